"""The steps from a scan to what the network sees, each beside its inverse.

cut and resample: to the box of voxels that are not 0 in every channel, at the recipe's spacing.
restore: logits back to the scan's own voxels, with the same axis of thick slices, and background around the box.
Normalisation has no inverse, since nothing returns intensities; see `normalise`.
"""

from __future__ import annotations

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import Interpolation, PreparationRecipe
from neuraxis.volume.box import nonzero_box
from neuraxis.volume.grid import Grid
from neuraxis.volume.interpolation import Order
from neuraxis.volume.resample import resample_image, resample_labels, resample_rows, shape_at_spacing, thick_axis


def plan_way(array: np.ndarray, grid: Grid, recipe: PreparationRecipe) -> WayBack:
    """Decide the box to keep of (C, X, Y, Z), its voxels at the recipe's spacing, and which slices are thick."""
    start, shape = nonzero_box(array) if recipe.crop == "nonzero" else ((0, 0, 0), grid.shape)
    return WayBack(
        source=grid,
        crop_start=start,
        crop_shape=shape,
        shape=shape_at_spacing(shape, grid.spacing_mm, recipe.spacing_mm),
        thick_axis=thick_axis(grid.spacing_mm, recipe.spacing_mm, recipe.thick_ratio),
        thick_across=recipe.thick_across,
    )


def cut(array: np.ndarray, way: WayBack) -> np.ndarray:
    """Keep the box of (..., X, Y, Z)."""
    return array[(..., *way.box)]


def resample(array: np.ndarray, way: WayBack, order: Order) -> np.ndarray:
    """Bring a cut image (C, X, Y, Z) to the prepared shape."""
    return resample_image(array, way.shape, way.orders(order))


def resample_target(label_map: np.ndarray, way: WayBack, order: Interpolation = "nearest") -> np.ndarray:
    """Bring a cut label map to the prepared shape: nearest voxel, or the label whose linear mask weighs most."""
    return resample_labels(label_map, way.shape, way.orders(0 if order == "nearest" else 1))


def restore_segmentation(logits: np.ndarray, way: WayBack, labels: Labels) -> np.ndarray:
    """Turn logits (K, *way.shape) into label numbers (X, Y, Z) on the source's grid; 0 outside the box.

    Plain labels: the most probable after the probabilities were interpolated. Regions: those whose interpolated logit
    is above 0. It goes plane by plane, so that no K volumes of the source's size are ever in memory.
    """
    segmentation = np.zeros(way.source.shape, np.uint8 if max(labels.allowed()) < 256 else np.int16)
    resampled = logits.shape[1:] != way.crop_shape

    def change(plane: np.ndarray) -> np.ndarray:
        return activate(plane, labels) if resampled and labels.activation == "softmax" else plane

    numbers = np.array([labels.names[name] for name in labels.outputs] if not labels.regions else labels.paint)
    planes = resample_rows(logits, way.crop_shape, way.orders(1), change)
    for target, scores in zip(segmentation[way.box], planes, strict=True):
        target[...] = _strongest(scores[:, 0], numbers) if not labels.regions else _painted(scores[:, 0], numbers)
    return segmentation


def restore_probability(logits: np.ndarray, way: WayBack, labels: Labels) -> np.ndarray:
    """Turn logits (K, *way.shape) into probabilities (K, X, Y, Z) float16 on the source's grid; background outside."""
    whole = np.zeros((len(logits), *way.source.shape), np.float16)
    if labels.activation == "softmax":
        whole[0] = 1
    planes = resample_rows(logits, way.crop_shape, way.orders(1), lambda plane: activate(plane, labels))
    for place, probability in enumerate(planes, start=way.crop_start[0]):
        whole[(slice(None), place, *way.box[1:])] = probability[:, 0]
    return whole


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
