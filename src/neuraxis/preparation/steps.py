"""The steps from a scan to what the network sees, each beside its inverse.

turn, cut and resample: to the network's axes, the box of voxels that are not 0 in every channel, the recipe's spacing.
restore: logits back to the scan's own voxels, with an axis of thick slices too, and background around the box.
Normalisation has no inverse, since nothing returns intensities; see `normalise`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.preparation.space.home import return_home
from neuraxis.recipe.preparation import Crop, Interpolation, PreparationRecipe
from neuraxis.recipe.recipe import Arithmetic
from neuraxis.volume.box import Triple, nonzero_box
from neuraxis.volume.grid import Grid
from neuraxis.volume.half import round_to_half
from neuraxis.volume.interpolation import Order
from neuraxis.volume.lattice import lay
from neuraxis.volume.resample import (
    resample_image,
    resample_labels,
    resample_rows,
    thick_axis,
)
from neuraxis.volume.turn import NO_TURN, Turn


def plan_way(array: np.ndarray, grid: Grid, recipe: PreparationRecipe, turn: Turn = NO_TURN) -> WayBack:
    """Decide the box to keep of (C, X, Y, Z), its voxels at the recipe's spacing, and which slices are thick.

    Args:
        array: the scan, turned already.
        grid: that it lies on.
        recipe: the decisions.
        turn: what was done to it.
    """
    start, shape = _box(array, recipe.crop)
    here = grid.exact_spacing_mm
    x, y, z = (wanted or own for wanted, own in zip(recipe.spacing_mm, here, strict=True))
    new, ticks = recipe.prepared_shape(shape, here), None
    if recipe.keeps == "centres":
        new, ticks = lay(grid.cropped(start, shape), recipe.spacing_mm)
    return WayBack(
        source=grid,
        crop_start=start,
        crop_shape=shape,
        shape=new,
        thick_axis=thick_axis(here, (x, y, z), recipe.thick_ratio),
        thick_across=recipe.thick_across,
        turn=turn,
        thick_axis_back=thick_axis((x, y, z), here, recipe.thick_ratio),
        ticks=ticks,
    )


def _box(array: np.ndarray, crop: Crop) -> tuple[Triple, Triple]:
    """Return first voxel and shape of the box of (C, X, Y, Z) that is kept."""
    if crop == "none":
        return (0, 0, 0), (array.shape[1], array.shape[2], array.shape[3])
    return nonzero_box(array if crop == "nonzero" else array > 0)


def cut(array: np.ndarray, way: WayBack) -> np.ndarray:
    """Keep the box of (..., X, Y, Z)."""
    return array[(..., *way.box)]


def resample(array: np.ndarray, way: WayBack, order: Order, clip_overshoot: bool = False) -> np.ndarray:
    """Bring a cut image (C, X, Y, Z) to the prepared shape."""
    return resample_image(array, way.shape, way.orders(order), clip_overshoot, way.ticks)


def resample_target(label_map: np.ndarray, way: WayBack, order: Interpolation = "nearest") -> np.ndarray:
    """Bring a cut label map to the prepared shape: nearest voxel, or the label whose linear mask weighs most."""
    return resample_labels(label_map, way.shape, way.orders(0 if order == "nearest" else 1))


def resample_shares(shares: np.ndarray, way: WayBack) -> np.ndarray:
    """Bring cut soft labels (S, X, Y, Z) to the prepared shape, linearly; across thick slices as the recipe has it."""
    return resample_image(shares, way.shape, way.orders(1), ticks=way.ticks).clip(0, 1)


@dataclass(frozen=True, eq=False)
class Restored:
    """A prediction on the scan's canonical grid.

    Attributes:
        segmentation: label numbers (X, Y, Z); 0 outside the box that was kept.
        probability: (K, X, Y, Z) float16, background outside; None where it was not asked for.
    """

    segmentation: np.ndarray
    probability: np.ndarray | None


def restore(
    slabs: Iterable[np.ndarray],
    way: WayBack,
    labels: Labels,
    arithmetic: Arithmetic = "neuraxis",
    probabilities: bool = False,
) -> Restored:
    """Turn logits (K, *way.shape) into label numbers on the scan's grid, and into probabilities, in one pass.

    It goes plane by plane, so that no K volumes of either size are ever in memory but those asked for.

    Plain labels: the most probable after the probabilities were interpolated; as nnU-Net does it, the one of the
    highest logit after the logits were interpolated and rounded to float16. Regions: those whose interpolated logit
    is above 0, which is a probability above one half; as MONAI does it, whose interpolated probability is. From the
    space of a template probabilities of both kinds are interpolated.

    Args:
        slabs: pieces (K, n, Y, Z) of the logits, which follow each other along X; each is used before the next.
        way: how the scan was prepared.
        labels: what the outputs mean.
        arithmetic: of the recipe.
        probabilities: whether they are kept.
    """
    if way.to_native is not None:
        return Restored(*return_home(slabs, way, labels, activate, probabilities))
    exact = arithmetic == "nnunet"
    activated = way.is_resampled and (arithmetic == "monai" or (labels.activation == "softmax" and not exact))

    def change(plane: np.ndarray) -> np.ndarray:
        return activate(plane, labels) if activated else plane

    segmentation = np.zeros(way.source.shape, np.uint8 if max(labels.allowed()) < 256 else np.int16)
    numbers = np.array([labels.names[name] for name in labels.outputs] if not labels.regions else labels.paint)
    kept = _background(labels, way) if probabilities else None
    single = (slab[:, row : row + 1] for slab in slabs for row in range(slab.shape[1]))
    planes = resample_rows(single, way.shape[0], way.crop_shape, way.orders_back, change, way.ticks_back)
    for place, (target, plane) in enumerate(zip(segmentation[way.box], planes, strict=True), start=way.crop_start[0]):
        scores = round_to_half(plane[:, 0]) if exact else plane[:, 0]
        half = 0.5 if activated else 0.0
        target[...] = _painted(scores, numbers, half) if labels.regions else _strongest(scores, numbers)
        if kept is not None:
            kept[(slice(None), place, *way.box[1:])] = scores if activated else activate(scores, labels)
    return Restored(way.turn.undo(segmentation), None if kept is None else way.turn.undo(kept))


def _background(labels: Labels, way: WayBack) -> np.ndarray:
    """Return probabilities (K, X, Y, Z) float16 of background everywhere."""
    whole = np.zeros((len(labels.outputs), *way.source.shape), np.float16)
    if labels.activation == "softmax":
        whole[0] = 1
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


def _painted(scores: np.ndarray, numbers: np.ndarray, least: float) -> np.ndarray:
    """Return the number of the last region whose score is above the least, from (K, Y, Z); 0 without one."""
    painted = np.zeros(scores.shape[1:], numbers.dtype)
    for score, number in zip(scores, numbers, strict=True):
        painted[score > least] = number
    return painted
