"""Keeping a store of prepared cases from being written over by another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuraxis.errors import UsageError
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import leaves, look_up


def refuse_other_store(into: Path, there: dict[str, Any], asked: dict[str, Any]) -> None:
    """Refuse to write over the store of other data, splits or decisions; the first difference is named.

    Raises:
        UsageError: the store was made from something else.
    """
    kept, card = there["cards"][0], asked["cards"][0]
    advice = "Name another place with --into, or replace the store with --overwrite."
    same_data = all(kept[key] == card[key] for key in ("channels", "labels", "data_hash"))
    if not same_data or there["folds"] != asked["folds"]:
        raise UsageError(f"{into}: holds the store of other data or splits. {advice}")
    if there.get("copies", 0) != asked.get("copies", 0):
        told = f"{there.get('copies', 0)} augmented copies of each case, asked are {asked.get('copies', 0)}"
        raise UsageError(f"{into}: holds a store with {told}. {advice}")
    earlier = Recipe.model_validate(kept["recipe"]).model_dump(mode="json")  # a key that came since has its default
    for key in sorted({*leaves(earlier), *leaves(card["recipe"])}):
        before, now = look_up(earlier, key), look_up(card["recipe"], key)
        if before != now:
            told = f"{key} = {str(before)[:60]}, asked is {str(now)[:60]}"
            raise UsageError(f"{into}: holds a store with {told}. {advice}")
