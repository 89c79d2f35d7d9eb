"""The steps from a scan to what the network sees, each beside its inverse.

cut / paste: the box of voxels that are not 0 in every channel.
resample / restore: to the recipe's spacing, and logits back to the box's own voxels.
normalise: has no inverse; nothing returns intensities.
"""

from __future__ import annotations

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.recipe import IntensityStatistics, Normalisation, PreparationRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.resample import resample_image, resample_labels, shape_at_spacing

Triple = tuple[int, int, int]


def plan_way(array: np.ndarray, grid: Grid, recipe: PreparationRecipe) -> WayBack:
    """Decide the box to keep of (C, X, Y, Z) and its number of voxels at the recipe's spacing."""
    start, shape = nonzero_box(array) if recipe.crop == "nonzero" else ((0, 0, 0), grid.shape)
    return WayBack(grid, start, shape, shape_at_spacing(shape, grid.spacing_mm, recipe.spacing_mm))


def nonzero_box(array: np.ndarray) -> tuple[Triple, Triple]:
    """Return start and shape of the smallest box that holds every voxel with a non-zero channel; all if none has."""
    mask = (array != 0).any(axis=0)
    bounds = []
    for axis in range(3):
        line = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        bounds.append((int(line[0]), int(line[-1]) + 1) if line.size else (0, mask.shape[axis]))
    (x0, x1), (y0, y1), (z0, z1) = bounds
    return (x0, y0, z0), (x1 - x0, y1 - y0, z1 - z0)


def cut(array: np.ndarray, way: WayBack) -> np.ndarray:
    """Keep the box of (..., X, Y, Z)."""
    return array[(..., *way.box)]


def paste(array: np.ndarray, way: WayBack, fill: int | float = 0) -> np.ndarray:
    """Put the box back into the source's shape, `fill` around it; the inverse of `cut`."""
    if array.shape[-3:] == way.source.shape:
        return array
    whole = np.full((*array.shape[:-3], *way.source.shape), fill, array.dtype)
    whole[(..., *way.box)] = array
    return whole


def resample(array: np.ndarray, way: WayBack, order: int) -> np.ndarray:
    """Bring a cut image (C, X, Y, Z) to the prepared shape."""
    return resample_image(array, way.shape, order)


def resample_target(label_map: np.ndarray, way: WayBack) -> np.ndarray:
    """Bring a cut label map to the prepared shape, nearest voxel."""
    return resample_labels(label_map, way.shape)


def restore_segmentation(logits: np.ndarray, way: WayBack, labels: Labels) -> np.ndarray:
    """Turn logits (K, *way.shape) into label numbers (X, Y, Z) on the source's grid; 0 outside the box."""
    if labels.activation == "sigmoid":
        scores = activate(resample_image(logits, way.crop_shape, order=1), labels)
    elif logits.shape[1:] == way.crop_shape:
        scores = logits
    else:
        scores = resample_image(activate(logits, labels), way.crop_shape, order=1)
    return paste(labels.decode(scores), way)


def restore_probability(logits: np.ndarray, way: WayBack, labels: Labels) -> np.ndarray:
    """Turn logits (K, *way.shape) into probabilities (K, X, Y, Z) float16 on the source's grid; background outside."""
    probability = resample_image(activate(logits, labels), way.crop_shape, order=1).astype(np.float16)
    whole = paste(probability, way)
    if labels.activation == "softmax" and whole.shape[1:] != way.crop_shape:
        outside = np.ones(way.source.shape, bool)
        outside[way.box] = False
        whole[0][outside] = 1
    return whole


def activate(logits: np.ndarray, labels: Labels) -> np.ndarray:
    """Apply the labels' activation to logits (K, ...): softmax over K, or a sigmoid each; float32."""
    if labels.activation == "sigmoid":
        return (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float32)))).astype(np.float32)
    exponent = np.exp(logits - logits.max(axis=0, keepdims=True), dtype=np.float32)
    return exponent / exponent.sum(axis=0, keepdims=True)


def normalise(channel: np.ndarray, rule: Normalisation, statistics: IntensityStatistics | None = None) -> np.ndarray:
    """Normalise one channel (X, Y, Z) to float32 by a rule of `PreparationRecipe.normalisation`.

    A constant image becomes 0.
    """
    channel = channel.astype(np.float32)
    if rule == "ct":
        if statistics is None:
            raise ValueError("The rule 'ct' needs the statistics of the channel.")
        return (np.clip(channel, statistics.low, statistics.high) - statistics.mean) / statistics.std
    if rule == "zscore_nonzero":
        inside = channel != 0
        return np.where(inside, _standardise(channel, channel[inside]), np.float32(0))
    if rule == "percentile":
        low, high = np.percentile(channel, (0.5, 99.5)).astype(np.float32)
        return (np.clip(channel, low, high) - low) / max(high - low, np.float32(1e-8))
    return _standardise(channel, channel) if rule == "zscore" else channel


def _standardise(channel: np.ndarray, values: np.ndarray) -> np.ndarray:
    if values.size == 0:
        return np.zeros_like(channel)
    mean = values.mean(dtype=np.float64)
    deviation = values.std(dtype=np.float64)
    return ((channel - mean) / max(deviation, 1e-8)).astype(np.float32)
