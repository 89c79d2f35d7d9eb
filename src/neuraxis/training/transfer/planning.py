"""`fit --from`: a training that begins with a bundle's weights, and with the decisions these weights need."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.bundle.card import Card
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, RecipeError, UsageError, suggest
from neuraxis.networks.catalog import PROMPTED
from neuraxis.recipe.planner import WISHED, Plan
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import Wishes, leaves, look_up

if TYPE_CHECKING:
    from neuraxis.training.transfer.beginning import Beginning

log = logging.getLogger("neuraxis")
TAKEN = "As the model has it that this one begins with."


def wishes_from(bundle: ModelBundle | None, dataset: Dataset, wished: Mapping[str, Any]) -> Wishes:
    """Return what of a bundle's recipe its weights need: network, patch, spacing, normalisation of the channels shared.

    Args:
        bundle: the model to begin with; None gives nothing.
        dataset: the new data.
        wished: what the user set; where that is another network, its patch and network are left to the plan.

    Raises:
        UsageError: it is the second stage of a cascade, or its axes are turned, which training does not do.
        RecipeError: the user gave a name to a channel or label that is not there, or names without a model.
    """
    renamed = _renamed(bundle, dataset, wished)
    if bundle is None:
        return {}
    recipe, channels = bundle.recipe, dataset.channels
    if bundle.previous_labels:
        raise UsageError(f"--from {bundle.path}: is the second stage of a cascade. Name a model of one stage.")
    if recipe.network.name in PROMPTED:
        raise UsageError(
            f"--from {bundle.path}: is told where to look; such a model begins with its base. Set "
            "network.options.base, or name a model of another network."
        )
    if recipe.preparation.axes != (0, 1, 2):
        axes = "".join("XYZ"[axis] for axis in recipe.preparation.axes)
        raise UsageError(
            f"--from {bundle.path}: takes the axes in the order {axes}, and training takes them in the order XYZ. Name "
            "a model that was planned for it."
        )
    rules, names = recipe.preparation.normalisation, {name: renamed.get(name, name) for name in channels}
    known = {name: rules[source] for name, source in names.items() if source in rules}
    preparation: dict[str, Any] = {"normalisation": known} if known else {}
    if all(recipe.preparation.spacing_mm):
        preparation["spacing_mm"] = list(recipe.preparation.spacing_mm)
    if look_up(wished, "network.name") not in (None, recipe.network.name):
        return {"preparation": preparation}
    return {
        "preparation": preparation,
        "patches": {"shape": list(recipe.patches.shape)},
        "network": {
            "name": recipe.network.name,
            "options": recipe.network.typed_options().model_dump(mode="json", exclude_none=True),
        },
    }


def _renamed(bundle: ModelBundle | None, dataset: Dataset, wished: Mapping[str, Any]) -> Mapping[str, str]:
    """Check the names that the user gave by hand, and return channel to channel of the model."""
    theirs = {
        "channels": bundle.channels if bundle else (),
        "labels": bundle.labels.outputs if bundle else (),
    }
    ours = {"channels": dataset.channels, "labels": dataset.labels.outputs}
    for kind, names in ours.items():
        for name, source in (look_up(wished, f"transfer.{kind}") or {}).items():
            if bundle is None:
                raise RecipeError(f"transfer.{kind}.{name}: needs a model to begin with. Name it with --from.")
            for given, known, whose in ((name, names, "the data have"), (source, theirs[kind], f"{bundle.path} has")):
                if given not in known:
                    raise RecipeError(
                        f"transfer.{kind}.{name} = {source}: {whose} no {kind[:-1]} '{given}'. {suggest(given, known)}"
                    )
    return look_up(wished, "transfer.channels") or {}


def with_reasons(plan: Plan, taken: Mapping[str, Any], wished: Mapping[str, Any]) -> Plan:
    """Return a plan that tells the decisions taken from the bundle from those that the user set."""
    own = set(leaves(wished))
    reasons = {
        key: TAKEN if reason == WISHED and key in set(leaves(taken)) - own else reason
        for key, reason in plan.reasons.items()
    }
    return replace(plan, reasons=reasons)


def noted_on(card: Card, bundle: ModelBundle, whole_splits: str) -> Card:
    """Return a card that says with which model the training began, and what may be wrong with its scores.

    Args:
        card: of the new model.
        bundle: the model to begin with.
        whole_splits: hash of the splits before `splits.share` thinned them out; who is held out is the same.
    """
    notes = [f"Began with the weights of '{bundle.name}' (SHA-256 {bundle.hash[:16]})."]
    ours, theirs = card.model_dump(mode="json"), bundle.card
    same_data = _hashes(ours, "data_hash") & _hashes(theirs, "data_hash")
    same_split = ({whole_splits} | _hashes(ours, "split_hash")) & _hashes(theirs, "split_hash")
    if same_data and not (same_split and list(theirs["folds"]) == list(card.folds)):
        notes.append("That model learned from these data with other cases held out: the scores may be too good.")
        log.warning("--from %s: %s", bundle.path, notes[-1])
    data = card.training_data
    return card.model_copy(update={"training_data": data.model_copy(update={"notes": (*data.notes, *notes)})})


def _hashes(card: Mapping[str, Any], key: str) -> set[str]:
    """Return the hash that a card bears, and that of the data before they were corrected."""
    return {card.get(key) or "", (card.get("corrections") or {}).get(key) or ""} - {""}


def refuse_misfit(bundle: ModelBundle, recipe: Recipe, ends: tuple[tuple[str, ...], tuple[str, ...]]) -> None:
    """Refuse a bundle whose weights do not fit the planned network, before anything is written.

    Args:
        bundle: the model to begin with.
        recipe: of the new one.
        ends: its channels and its outputs.

    Raises:
        UsageError: next to nothing fits.
    """
    from neuraxis.training.task import build_network
    from neuraxis.training.transfer.beginning import Beginning, begin_with
    from neuraxis.training.transfer.matching import Ends

    channels, outputs = ends
    network = build_network(recipe, len(channels), len(outputs))
    begin_with(network, recipe, Beginning(bundle, bundle.folds[0].index), Ends(channels, outputs))


def refuse_stages(recipe: Recipe, channels: tuple[str, ...], outputs: tuple[str, ...]) -> None:
    """Refuse stages that do not fit the planned network or its steps, before anything is written.

    Raises:
        RecipeError: a stage names a part that the network does not have, or freezes all of it.
        UsageError: a stage has no step.
    """
    if not recipe.stage:
        return
    from neuraxis.training.optimisation.parts import refuse_unknown_parts
    from neuraxis.training.optimisation.stage_schedule import refuse_empty_stages
    from neuraxis.training.schedule import Course
    from neuraxis.training.task import build_network

    refuse_unknown_parts(build_network(recipe, len(channels), len(outputs)), recipe.stage)
    refuse_empty_stages(recipe, Course(recipe.training.steps))


def beginning_of(path: Path, noted_hash: str, fold: int) -> Beginning:
    """Open the bundle that a run begins with, which must be the one it was planned with.

    Raises:
        DataError: it is another one now.
        BundleError: it is missing or refused.
    """
    from neuraxis.training.transfer.beginning import Beginning

    bundle = open_bundle(path)
    if bundle.hash != noted_hash:
        raise DataError(
            f"--from {path}: changed since this run began. Put the first one back, or choose another --into."
        )
    return Beginning(bundle, fold)
