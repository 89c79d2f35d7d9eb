"""The recipe's loss of cases: whose it is, and what it is of a case that was just predicted."""

from __future__ import annotations

import logging
import math
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.case import Case
from neuraxis.dataset.prediction import Prediction
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.recipe_loss import bytes_needed, recipe_loss
from neuraxis.files import read_json
from neuraxis.hardware import available_memory_gb
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import resolve
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS

log = logging.getLogger("neuraxis")
KEY, RECIPE, BUNDLE, CARD = "loss", "recipe.toml", "model.nxb", "bundle.json"
_SHARE_OF_MEMORY = 0.5


def recipe_at(place: Path) -> Recipe:
    """Return the recipe of a bundle, of a run, or of a resolved recipe's file.

    Args:
        place: `NAME.nxb` or its folder, the folder of a run, or its `recipe.toml`.

    Raises:
        UsageError: it is none of these.
        RecipeError: the file leaves decisions open.
        BundleError: the bundle is refused.
    """
    if place.is_dir() and not (place / CARD).is_file():
        file = next((place / name for name in (RECIPE, BUNDLE) if (place / name).is_file()), None)
        if file is None:
            raise UsageError(f"--loss {place}: holds neither {RECIPE} nor {BUNDLE}. Name a run, a bundle or a recipe.")
        place = file
    if place.suffix != ".toml":
        return open_bundle(place).recipe
    try:
        return resolve(tomllib.loads(place.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--loss {place}: cannot be read ({error}). Name the {RECIPE} of a run.") from error


def has_room(cases: Sequence[Case], outputs: int) -> bool:
    """Tell whether memory has room for the loss of the largest case; where it has not, the log says so.

    Args:
        cases: labelled ones.
        outputs: of the network.
    """
    voxels = max((math.prod(any_format.read_grid(case.label)[0].shape) for case in cases if case.label), default=0)
    needed, free = bytes_needed(voxels, outputs) / 2**30, available_memory_gb()
    if needed <= _SHARE_OF_MEMORY * free:
        return True
    log.warning(
        "The loss of the held-out cases is left out of the scores: it would take %.1f GiB, and %.1f are free.",
        needed, free,
    )  # fmt: skip
    return False


def with_loss(found: Prediction, case: Case, recipe: Recipe) -> Prediction:
    """Return a prediction without its probabilities, whose sidecar tells the loss of the case."""
    if found.probability is None:
        return found
    reference = case.read_target(found.labels)
    if not reference.grid.matches(found.segmentation.grid, SAME_VOXELS):
        return replace(found, probability=None)
    array, spacing = found.probability.array, reference.grid.spacing_mm
    value = recipe_loss(recipe, array, reference.array, found.labels, spacing)
    return replace(found, probability=None, provenance={**found.provenance, KEY: value})


def losses_told(folder: Path, cases: Sequence[str]) -> dict[str, float]:
    """Return the losses that the sidecars of predictions tell, by case."""
    found = {}
    for id in cases:
        try:
            content = read_json(folder / f"{id}.json")
        except DataError:
            continue
        value = content.get(KEY) if isinstance(content, dict) else None
        if isinstance(value, int | float):
            found[id] = float(value)
    return found
