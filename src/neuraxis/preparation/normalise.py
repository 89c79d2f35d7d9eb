"""The rules of normalisation: from a channel's own numbers to numbers of a size that a network learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.intensity import blocks_of_rows, match_landmarks, nyul_landmarks


def normalise(image: np.ndarray, channel: str, recipe: PreparationRecipe, head: np.ndarray | None = None) -> np.ndarray:
    """Normalise one channel by its rule in `PreparationRecipe.normalisation`.

    No rule gives NaN or infinity from finite values, and every rule that uses the image's own statistics makes a
    constant image 0.

    Args:
        image: (X, Y, Z), any real dtype, finite.
        channel: its name.
        recipe: the rules, and the statistics of the training data that they need.
        head: (X, Y, Z) bool of `head_of`, for the rule "zscore_head".

    Returns:
        float32, an array of its own.
    """
    rule = recipe.normalisation[channel]
    image = image.astype(np.float32)
    if rule == "zscore":
        return _standardised(image)
    if rule == "zscore_nonzero":
        return _standardised(image, image != 0)
    if rule == "zscore_head":
        return _standardised(image, head)
    if rule == "ct":
        known = recipe.intensity[channel]
        return _scaled(np.clip(image, known.low, known.high, out=image), known.mean, known.std)
    if rule == "percentile":
        low, high = np.percentile(image, (0.5, 99.5)).astype(np.float32)
        return _scaled(np.clip(image, low, high, out=image), float(low), float(high) - float(low))
    if rule == "range":
        return _scaled(image, float(image.min()), float(image.max()) - float(image.min()))
    if rule == "picture":
        return _scaled(image, 0.0, 255.0)
    if rule == "nyul":
        return match_landmarks(image, nyul_landmarks(image), recipe.landmarks[channel])
    return image


def head_of(channels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Return where any channel (C, X, Y, Z) is not 0, or where that encloses what is 0 in all: (X, Y, Z) bool.

    A hole is what no path from face to face of voxels connects with the border.
    """
    import cc3d

    outside = np.pad(np.logical_and.reduce([channel == 0 for channel in channels]), 1, constant_values=True)
    pieces = cc3d.connected_components(outside, connectivity=6, binary_image=True)
    return np.asarray(pieces != pieces[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _standardised(image: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Give the voxels inside (all, where left out) mean 0 and SD 1, in place; the others become 0."""
    values = image if inside is None else image[inside]
    if not values.size or values.min() == values.max():
        return np.zeros_like(image)
    mean, square = values.mean(dtype=np.float64), 0.0
    for rows in blocks_of_rows(values):
        square += float(((values[rows] - mean) ** 2).sum())
    standard = _scaled(image, mean, (square / values.size) ** 0.5)
    if inside is not None:
        standard[~inside] = 0
    return standard


def _scaled(image: np.ndarray, zero: float, one: float) -> np.ndarray:
    """Map `zero` to 0 and `zero + one` to 1, in place, in double precision; all is 0 where `one` is."""
    for rows in blocks_of_rows(image):
        image[rows] = (image[rows] - np.float64(zero)) / np.float64(one) if one else 0
    return image
