"""`neuraxis plan`: every decision of a training, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output, Overwrite, RecipeName, Settings
from neuraxis.cli.printing import columns, show, show_json

if TYPE_CHECKING:
    from neuraxis.recipe.planner import Plan


def plan(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    recipe: RecipeName = "auto",
    settings: Settings = (),
    into: Annotated[Path | None, Parameter(help="TOML file for the recipe.", show_default=False)] = None,
    overwrite: Overwrite = False,
    output: Output = SHOWN,
) -> int:
    """Plan a training and say why: spacing, patch, network, normalisation, schedule.

    Every decision can be overridden with --set, or by editing the file and
    giving it to --recipe.

    For example:

        neuraxis plan ms-brain/ --set memory_gb=16 --into recipe.toml

    Args:
        datasets: Folders of labelled scans; several are joined.
        recipe: where the wishes come from.
        settings: wishes on top.
        into: where the recipe goes.
        overwrite: whether an existing file is replaced.
        output: how it is shown.
    """
    from neuraxis.files import refuse_existing, write_text
    from neuraxis.pipelines.steps import plan_datasets

    if into is not None:
        refuse_existing(into, overwrite)
    with display(output) as progress:
        decided = plan_datasets(datasets, recipe, settings, progress)
    if into is not None:
        write_text(into, decided.to_toml(), overwrite)
    if output.json:
        show_json({"recipe": decided.recipe, "reasons": dict(decided.reasons), "file": into})
    else:
        show(describe_plan(decided))
        if into is not None:
            show(f"\nrecipe  {into}")
    return 0


def describe_plan(plan: Plan) -> str:
    """Return each decision, its value and its reason in words."""
    content = plan.recipe.model_dump(mode="json")
    return columns([(key, _short(_value(content, key)), reason) for key, reason in plan.reasons.items()])


def _value(content: object, key: str) -> object:
    for name in key.split("."):
        content = content.get(name, "") if isinstance(content, dict) else ""
    return content


def _short(value: object) -> str:
    if isinstance(value, list):
        plain = all(isinstance(item, int | float) for item in value)
        text = " x ".join(map(str, value)) if plain else f"{len(value)} entries"
    elif isinstance(value, dict):
        text = ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    else:
        text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
