"""The loss that a recipe trains with, as a score of a whole case: one number, the same in the row of each structure.

It is the very loss of the training, so it needs torch, which is imported where a loss is computed and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.evaluation.distances import Spacing
from neuraxis.losses.catalog import WHOLE_CASE
from neuraxis.recipe.recipe import Recipe

if TYPE_CHECKING:
    from neuraxis.evaluation.metrics import Comparison

_BYTES_A_VALUE = 40


def recipe_loss(
    recipe: Recipe, probability: np.ndarray, target: np.ndarray, labels: Labels, spacing_mm: Spacing
) -> float:
    """Return the loss of a case.

    Args:
        recipe: whose loss it is.
        probability: (K, X, Y, Z), 0 to 1, a volume for each output of the labels.
        target: reference (T, X, Y, Z) on the same grid, see `Case.read_target`.
        labels: what the numbers mean.
        spacing_mm: size of a voxel along each axis.

    Raises:
        DataError: there is not one volume, or not one class weight, for each output.
        RecipeError: the recipe's class weights are not numbers yet.
        MissingExtra: torch is not installed.
    """
    if len(probability) != len(labels.outputs):
        raise DataError(
            f"the probabilities hold {len(probability)} volumes, and the loss needs one for each output "
            f"({', '.join(labels.outputs)}). Predict again with --probabilities."
        )
    weights = recipe.loss.class_weights
    if not isinstance(weights, str) and len(weights) not in (0, len(labels.outputs)):
        raise DataError(
            f"loss.class_weights has {len(weights)} numbers for {len(labels.outputs)} outputs "
            f"({', '.join(labels.outputs)}). Name the bundle or the run that made these probabilities."
        )
    flat_axis = recipe.network.options.get("flat_axis")
    extent = [count * size for count, size in zip(target.shape[1:], spacing_mm, strict=True)]
    if flat_axis is not None:
        extent[flat_axis] = spacing_mm[flat_axis]
    settings = recipe.loss.settings(bool(labels.regions), extent)
    compute = WHOLE_CASE.load("whole")
    loss = recipe.loss.name, settings, recipe.loss.typed_options()
    return float(compute(probability, target, loss, flat_axis))


def bytes_needed(voxels: int, outputs: int) -> int:
    """Return about how much memory the loss of a case takes, in bytes, its probabilities included."""
    return _BYTES_A_VALUE * voxels * outputs


def loss(pair: Comparison) -> float:
    """Return the recipe's loss of the case; NaN where it is not known."""
    return pair.loss
