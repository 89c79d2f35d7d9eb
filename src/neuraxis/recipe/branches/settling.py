"""What stages and missing channels become once the data are known: names are checked, and lengths are shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from neuraxis.errors import RecipeError, suggest
from neuraxis.recipe.branches.stages import StageRecipe, shares_of
from neuraxis.recipe.wishes import Wishes, look_up, overlay


def settle_branches(wishes: Wishes, channels: Sequence[str]) -> Wishes:
    """Return the wishes with stages and missing channels as a resolved recipe has them.

    Args:
        wishes: with keys and types checked.
        channels: of the data, in their order.

    Raises:
        RecipeError: a channel is not there, there is but one, or the lengths of the stages do not fit together.
    """
    return overlay(wishes, overlay(_missing(wishes, channels), _stages(wishes, channels)))


def _missing(wishes: Wishes, channels: Sequence[str]) -> Wishes:
    wish = look_up(wishes, "missing.probability")
    if not wish:
        return {}
    if len(channels) == 1:
        raise RecipeError(f"missing.probability: the data have one channel, {channels[0]}, which has to be there.")
    if not isinstance(wish, Mapping):
        return {"missing": {"probability": dict.fromkeys(channels, float(wish))}}
    _refuse_unknown(wish, channels, "missing.probability")
    return {}


def _stages(wishes: Wishes, channels: Sequence[str]) -> Wishes:
    stages = [StageRecipe.model_validate(stage) for stage in wishes.get("stage") or ()]
    if not stages:
        return {}
    for number, stage in enumerate(stages, start=1):
        _refuse_unknown(stage.channels, channels, f"stage {number}: channels")
    try:
        shares = shares_of(stages)
    except ValueError as error:
        raise RecipeError(f"stage: {error}.") from error
    resolved = [
        stage.model_copy(update={"steps": None, "share": share}).model_dump(mode="json", exclude_none=True)
        for stage, share in zip(stages, shares, strict=True)
    ]
    asked, steps = look_up(wishes, "training.steps"), sum(stage.steps or 0 for stage in stages)
    if steps and asked not in (None, steps):
        raise RecipeError(
            f"training.steps is {asked}, but the stages have {steps} steps in all. Leave it out, or give each stage a "
            "share."
        )
    return {"stage": resolved, "training": {"steps": steps}} if steps else {"stage": resolved}


def _refuse_unknown(names: Iterable[str], channels: Sequence[str], where: str) -> None:
    for name in names:
        if name not in channels:
            raise RecipeError(f"{where}: the data have no channel '{name}'. {suggest(name, channels)}")
