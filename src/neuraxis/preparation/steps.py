"""The steps from a scan to what the network sees, each beside its inverse.

turn, cut and resample: to the network's axes, the box of voxels that are not 0 in every channel, the recipe's spacing.
restore: logits back to the scan's own voxels, with an axis of thick slices too, and background around the box.
Normalisation has no inverse, since nothing returns intensities; see `normalise`.
"""

from __future__ import annotations

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import Interpolation, PreparationRecipe
from neuraxis.recipe.recipe import Arithmetic
from neuraxis.volume.box import nonzero_box
from neuraxis.volume.grid import Grid
from neuraxis.volume.interpolation import Order
from neuraxis.volume.resample import resample_image, resample_labels, resample_rows, shape_at_spacing, thick_axis
from neuraxis.volume.turn import NO_TURN, Turn


def plan_way(array: np.ndarray, grid: Grid, recipe: PreparationRecipe, turn: Turn = NO_TURN) -> WayBack:
    """Decide the box to keep of (C, X, Y, Z), its voxels at the recipe's spacing, and which slices are thick.

    Args:
        array: the scan, turned already.
        grid: that it lies on.
        recipe: the decisions.
        turn: what was done to it.
    """
    start, shape = nonzero_box(array) if recipe.crop == "nonzero" else ((0, 0, 0), grid.shape)
    here = grid.exact_spacing_mm
    x, y, z = (wanted or own for wanted, own in zip(recipe.spacing_mm, here, strict=True))
    return WayBack(
        source=grid,
        crop_start=start,
        crop_shape=shape,
        shape=shape_at_spacing(shape, here, (x, y, z)),
        thick_axis=thick_axis(here, (x, y, z), recipe.thick_ratio),
        thick_across=recipe.thick_across,
        turn=turn,
        thick_axis_back=thick_axis((x, y, z), here, recipe.thick_ratio),
    )


def cut(array: np.ndarray, way: WayBack) -> np.ndarray:
    """Keep the box of (..., X, Y, Z)."""
    return array[(..., *way.box)]


def resample(array: np.ndarray, way: WayBack, order: Order, clip_overshoot: bool = False) -> np.ndarray:
    """Bring a cut image (C, X, Y, Z) to the prepared shape."""
    return resample_image(array, way.shape, way.orders(order), clip_overshoot)


def resample_target(label_map: np.ndarray, way: WayBack, order: Interpolation = "nearest") -> np.ndarray:
    """Bring a cut label map to the prepared shape: nearest voxel, or the label whose linear mask weighs most."""
    return resample_labels(label_map, way.shape, way.orders(0 if order == "nearest" else 1))


def restore_segmentation(
    logits: np.ndarray, way: WayBack, labels: Labels, arithmetic: Arithmetic = "neuraxis"
) -> np.ndarray:
    """Turn logits (K, *way.shape) into label numbers (X, Y, Z) on the scan's canonical grid; 0 outside the box.

    Plain labels: the most probable after the probabilities were interpolated; as nnU-Net does it, the one of the
    highest logit after the logits were interpolated and rounded to float16. Regions: those whose interpolated logit
    is above 0. It goes plane by plane, so that no K volumes of the scan's size are ever in memory.
    """
    segmentation = np.zeros(way.source.shape, np.uint8 if max(labels.allowed()) < 256 else np.int16)
    resampled, rounded = logits.shape[1:] != way.crop_shape, arithmetic == "nnunet"

    def change(plane: np.ndarray) -> np.ndarray:
        return activate(plane, labels) if resampled and labels.activation == "softmax" and not rounded else plane

    numbers = np.array([labels.names[name] for name in labels.outputs] if not labels.regions else labels.paint)
    planes = resample_rows(logits, way.crop_shape, way.orders_back, change)
    for target, plane in zip(segmentation[way.box], planes, strict=True):
        scores = plane[:, 0].astype(np.float16).astype(np.float32) if rounded else plane[:, 0]
        target[...] = _strongest(scores, numbers) if not labels.regions else _painted(scores, numbers)
    return way.turn.undo(segmentation)


def restore_probability(
    logits: np.ndarray, way: WayBack, labels: Labels, arithmetic: Arithmetic = "neuraxis"
) -> np.ndarray:
    """Turn logits (K, *way.shape) into probabilities (K, X, Y, Z) float16 on the scan's grid; background outside."""
    whole = np.zeros((len(logits), *way.source.shape), np.float16)
    if labels.activation == "softmax":
        whole[0] = 1
    rounded = arithmetic == "nnunet"
    planes = resample_rows(
        logits, way.crop_shape, way.orders_back, lambda plane: plane if rounded else activate(plane, labels)
    )
    for place, plane in enumerate(planes, start=way.crop_start[0]):
        probability = activate(plane.astype(np.float16).astype(np.float32), labels) if rounded else plane
        whole[(slice(None), place, *way.box[1:])] = probability[:, 0]
    return way.turn.undo(whole)


def activate(logits: np.ndarray, labels: Labels) -> np.ndarray:
    """Apply the labels' activation to logits (K, ...): softmax over K, or a sigmoid each; float32."""
    probability: np.ndarray
    if labels.activation == "sigmoid":
        probability = (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float32)))).astype(np.float32)
    else:
        exponent = np.exp(logits - logits.max(axis=0, keepdims=True), dtype=np.float32)
        probability = exponent / exponent.sum(axis=0, keepdims=True)
    return probability


def _strongest(scores: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the number of the highest of K scores (K, Y, Z), the first of equal ones; six times numpy's argmax."""
    best, winner = scores[0].copy(), np.zeros(scores.shape[1:], np.uint8)
    for output, score in enumerate(scores[1:], start=1):
        ahead = score > best
        np.maximum(winner, ahead.view(np.uint8) * np.uint8(output), out=winner)
        np.maximum(best, score, out=best)
    return np.asarray(numbers[winner])


def _painted(logits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the number of the last region whose logit is above 0, from (K, Y, Z); 0 without one."""
    painted = np.zeros(logits.shape[1:], numbers.dtype)
    for logit, number in zip(logits, numbers, strict=True):
        painted[logit > 0] = number
    return painted
