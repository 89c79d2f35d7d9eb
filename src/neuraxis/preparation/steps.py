"""The steps from a scan to what the network sees, each beside its inverse.

cut / paste: the box of voxels that are not 0 in every channel.
resample / restore: to the recipe's spacing, and logits back to the box's own voxels.
normalise: has no inverse; nothing returns intensities.
"""

from __future__ import annotations

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.recipe.preparation import IntensityStatistics, Normalisation, PreparationRecipe
from neuraxis.volume.box import nonzero_box
from neuraxis.volume.grid import Grid
from neuraxis.volume.resample import resample_image, resample_labels, shape_at_spacing


def plan_way(array: np.ndarray, grid: Grid, recipe: PreparationRecipe) -> WayBack:
    """Decide the box to keep of (C, X, Y, Z) and its number of voxels at the recipe's spacing."""
    start, shape = nonzero_box(array) if recipe.crop == "nonzero" else ((0, 0, 0), grid.shape)
    return WayBack(grid, start, shape, shape_at_spacing(shape, grid.spacing_mm, recipe.spacing_mm))


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
    probability: np.ndarray
    if labels.activation == "sigmoid":
        probability = (0.5 * (1 + np.tanh(0.5 * logits.astype(np.float32)))).astype(np.float32)
    else:
        exponent = np.exp(logits - logits.max(axis=0, keepdims=True), dtype=np.float32)
        probability = exponent / exponent.sum(axis=0, keepdims=True)
    return probability


def normalise(channel: np.ndarray, rule: Normalisation, statistics: IntensityStatistics | None = None) -> np.ndarray:
    """Normalise one channel (X, Y, Z) to float32 by a rule of `PreparationRecipe.normalisation`.

    A constant image becomes 0.
    """
    channel = channel.astype(np.float32)
    if rule == "ct":
        if statistics is None:
            raise ValueError("The rule 'ct' needs the statistics of the channel.")
        channel = (np.clip(channel, statistics.low, statistics.high) - statistics.mean) / statistics.std
    elif rule == "zscore_nonzero":
        inside = channel != 0
        channel = np.where(inside, _standardise(channel, channel[inside]), np.float32(0))
    elif rule == "percentile":
        low, high = np.percentile(channel, (0.5, 99.5)).astype(np.float32)
        channel = (np.clip(channel, low, high) - low) / max(high - low, np.float32(1e-8))
    elif rule == "zscore":
        channel = _standardise(channel, channel)
    return channel


def _standardise(channel: np.ndarray, values: np.ndarray) -> np.ndarray:
    if values.size == 0:
        return np.zeros_like(channel)
    mean = values.mean(dtype=np.float64)
    deviation = values.std(dtype=np.float64)
    standard: np.ndarray = ((channel - mean) / max(deviation, 1e-8)).astype(np.float32)
    return standard
