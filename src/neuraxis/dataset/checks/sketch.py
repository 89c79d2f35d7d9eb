"""A scan in a few kilobytes, so that copies of it are found among thousands: its points of interest.

A point of interest is where the image, smoothed at one width less the image smoothed at a larger one, is a local
maximum or minimum (as in Lowe 2004, IJCV 60:91, in three dimensions). What surrounds it is described by numbers that
do not change when the intensities are scaled or the image is mirrored, and that hardly change by noise; shifting and
cropping move the points, and leave most of them. It is done on two halvings of the voxel grid, so that a scan and
a part of it, at least half as long, share one of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

Triple = tuple[int, int, int]

LONGEST, SHORTEST = 128, 24  # voxels of the longest axis on a level
MOST_POINTS = 48
NARROW, WIDE = 1.5, 2.5  # voxels; the second is applied on top of the first
REACH = 3  # voxels from one ring of a description to the next
EDGE = 2
_RINGS = (0, REACH, 2 * REACH)
# (26, 8, 3): places around a point; the eight of a group are mirror images of one another.
_AROUND = np.array(
    [
        [np.multiply(place, signs) for signs in product((1, -1), repeat=3)]
        for place in product(_RINGS, repeat=3)
        if any(place)
    ],
    np.float32,
)


@dataclass(frozen=True, eq=False)
class Level:
    """The points of one halving of the grid.

    Attributes:
        factor: voxels of the scan that make one of the level, along each axis.
        places: of the points, in voxels of the level, float32 (N, 3).
        around: what surrounds each, float32 (N, 52).
    """

    factor: Triple
    places: np.ndarray
    around: np.ndarray


@dataclass(frozen=True, eq=False)
class Sketch:
    """What is kept of a scan.

    Attributes:
        sides: the numbers of voxels along the axes, ascending.
        moments: skewness, kurtosis, and the least and the largest value in standard deviations from the mean, which
            neither scaling nor turning nor mirroring changes.
        levels: the points, on one or two halvings of the grid.
    """

    sides: Triple
    moments: np.ndarray
    levels: tuple[Level, ...]


def sketch(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> Sketch | None:
    """Sketch an image.

    Args:
        array: (X, Y, Z), any real dtype.
        spacing_mm: thick slices are not halved as soon as thin ones.

    Returns:
        The sketch, or None where the image is the same everywhere or not finite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _sketched(array, spacing_mm)


def _sketched(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> Sketch | None:
    moments = _moments(array)
    if moments is None or not np.isfinite(moments).all():
        return None
    longest = max(array.shape)
    first = max(0, math.ceil(math.log2(longest / LONGEST)))
    halvings = [first, *([first + 1] if longest / 2 ** (first + 1) >= SHORTEST else [])]
    levels = []
    reduced, done = array, (1, 1, 1)
    for halving in halvings:
        factor = _factor(halving, spacing_mm)
        x, y, z = (new // old for new, old in zip(factor, done, strict=True))
        reduced, done = shrink(reduced, (x, y, z)), factor
        levels.append(_points(reduced, factor))
    x, y, z = sorted(array.shape)
    return Sketch((x, y, z), moments, tuple(levels))


def shrink(array: np.ndarray, factor: Triple) -> np.ndarray:
    """Return the means of blocks of voxels, float32; voxels that fill no block are left out."""
    for axis, size in enumerate(factor):
        count = array.shape[axis] // size
        if size > 1 and count:
            blocks = np.moveaxis(array, axis, 0)[: count * size].reshape(count, size, *_others(array.shape, axis))
            array = np.moveaxis(blocks.mean(axis=1, dtype=np.float32), 0, axis)
    return np.ascontiguousarray(array, dtype=np.float32)


def detail(reduced: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (X, Y, Z) smoothed, and that less the image smoothed more."""
    smooth = ndimage.gaussian_filter(reduced, NARROW, mode="nearest", truncate=3)
    return smooth, smooth - ndimage.gaussian_filter(smooth, WIDE, mode="nearest", truncate=3)


def _others(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(size for other, size in enumerate(shape) if other != axis)


def _moments(array: np.ndarray) -> np.ndarray | None:
    values = array.reshape(-1, order="A")
    mean = float(values.mean(dtype=np.float64))
    low, high = float(values.min()), float(values.max())
    reach = max(high - mean, mean - low)
    if not math.isfinite(reach) or not 0 < reach < np.finfo(np.float32).max:
        return None
    apart = (values.astype(np.float32) - np.float32(mean)) / np.float32(reach)
    square = apart * apart
    spread = math.sqrt(float(square.mean(dtype=np.float64)))
    if not spread > 0 or not math.isfinite(spread):
        return None
    skewness = float(np.mean(square * apart, dtype=np.float64)) / spread**3
    kurtosis = float(np.mean(square * square, dtype=np.float64)) / spread**4
    return np.array([skewness, kurtosis, float(apart.min()) / spread, float(apart.max()) / spread])


def _factor(halving: int, spacing_mm: tuple[float, float, float]) -> Triple:
    """Return how many voxels are put together along each axis; fewer where voxels are long already."""
    steps = [round(math.log2(size / min(spacing_mm))) for size in spacing_mm]
    x, y, z = (2 ** max(0, halving - step) for step in steps)
    return x, y, z


def _points(reduced: np.ndarray, factor: Triple) -> Level:
    smooth, found = detail(reduced)
    is_peak = (ndimage.maximum_filter(found, 5) == found) | (ndimage.minimum_filter(found, 5) == found)
    inner = np.zeros(found.shape, bool)
    inner[tuple(slice(EDGE, -EDGE) if size > 4 * EDGE else slice(None) for size in found.shape)] = True
    at = np.argwhere(is_peak & inner & (found != 0))
    strength = np.abs(found[tuple(at.T)])
    at = at[np.argsort(-strength, kind="stable")[:MOST_POINTS]]
    places = _refined(found, at)
    values = ndimage.map_coordinates(
        smooth, (places[:, None, None] + _AROUND).reshape(-1, 3).T, order=1, mode="nearest"
    ).reshape(len(at), *_AROUND.shape[:2])
    values -= values.mean(axis=(1, 2), keepdims=True)
    spread = np.sqrt((values**2).mean(axis=(1, 2), keepdims=True))
    values /= np.where(spread > 0, spread, 1)
    around = np.concatenate([values.mean(axis=2), values.std(axis=2)], axis=1)
    known = np.isfinite(around).all(axis=1)
    return Level(factor, places[known], around[known].astype(np.float32))


def _refined(found: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return places (N, 3) between the voxels: the top of the parabola through each voxel and its neighbours."""
    places = at.astype(np.float32)
    here = found[tuple(at.T)]
    for axis, size in enumerate(found.shape):
        step = np.eye(3, dtype=at.dtype)[axis]
        before, after = (found[tuple(np.clip(at + sign * step, 0, np.array(found.shape) - 1).T)] for sign in (-1, 1))
        bend = before - 2 * here + after
        offset = np.divide(before - after, 2 * bend, out=np.zeros_like(here), where=bend != 0)
        places[:, axis] += np.clip(offset, -0.5, 0.5) if size > 2 else 0
    return places
