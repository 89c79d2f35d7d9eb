"""Write the table of presets into docs/reference/augmentations.md from the presets themselves.

usage: python docs/augmentation_presets.py docs/reference/augmentations.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.recipe.augmentation import PRESETS, AugmentationRecipe

BEGIN, END = "<!-- presets -->", "<!-- end of presets -->"
GENERAL = ("channel_share", "keep_zeros")


def with_table(page: str) -> str:
    """Return a page with the table between its two marks made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def table() -> str:
    """Return the table: a row for each kind, a column for each preset."""
    lines = [["kind", *(f"`{name}`" for name in PRESETS)], ["---"] * (1 + len(PRESETS))]
    for kind in AUGMENTATIONS.entries:
        lines.append([f"`{kind}`", *(_cell(kind, AugmentationRecipe(preset=name), name) for name in PRESETS)])
    for key in GENERAL:
        lines.append([f"`{key}`", *(_value(getattr(AugmentationRecipe(preset=name), key)) for name in PRESETS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(kind: str, recipe: AugmentationRecipe, preset: str) -> str:
    if kind == "mirror":
        axes = ", ".join(map(str, recipe.mirror_axes))
        return (f"axes {axes}" if axes else "–") if "mirror_axes" in PRESETS[preset] else "planned"
    probability = getattr(recipe, f"{kind}_probability")
    if probability == 0:
        return "–"
    values = []
    for key in _keys(kind):
        planned = key == "rotation_deg" and key not in PRESETS[preset]
        value = "planned" if planned else _value(getattr(recipe, key))
        values.append(value if key == kind else f"{key} {value}")
    return f"{probability:g}: {', '.join(values)}"


def _keys(kind: str) -> Iterator[str]:
    """Yield the keys that stand after a kind's probability in the recipe, up to the next kind's."""
    keys = list(AugmentationRecipe.model_fields)
    for key in keys[keys.index(f"{kind}_probability") + 1 :]:
        if key.endswith("_probability") or key in ("mirror_axes", *GENERAL):
            return
        yield key


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        numbers = [f"{one:g}" for one in value]
        if len(set(numbers)) == 1:
            return numbers[0] if len(value) == 2 else f"±{numbers[0]}"
        return " to ".join(numbers)
    return f"{value:g}" if isinstance(value, int | float) else str(value)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text("utf-8")), encoding="utf-8")
