"""A label map at another number of voxels, by a vote of its neighbours, with the ties of nnU-Net.

Each label's mask is interpolated linearly and the label of most weight wins. Weights are added up in double precision
and in the order in which scipy does it, so that two labels weigh the same here where they do there: where a voxel lies
in the middle between two labels, which at whole factors is at every border, rounding would decide otherwise.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from neuraxis.volume.interpolation import nearest_voxels
from neuraxis.volume.resample import Orders, Shape

_SLAB = 16
_Neighbours = tuple[tuple[np.ndarray, np.ndarray], ...]


def vote_labels(array: np.ndarray, shape: Shape, orders: Orders) -> np.ndarray:
    """Bring a label map (X, Y, Z) to another shape over the same box; numbers are never mixed.

    Of two labels that weigh the same the one of the nearest voxel is taken, or the lower one where the nearest voxel
    has neither (the rule of batchgenerators 0.25.5, which nnU-Net resamples label maps with).

    Args:
        array: whole numbers.
        shape: the new number of voxels along each axis.
        orders: for each axis 1 to interpolate masks linearly, 0 to take the nearest voxel.
    """
    if 3 in orders:
        raise ValueError("Labels are interpolated with order 0 or 1.")
    sizes = tuple(zip(array.shape, shape, strict=True))
    result: np.ndarray = array[np.ix_(*(nearest_voxels(old, new) for old, new in sizes))]
    x, y, z = (_neighbours(old, new, order) for (old, new), order in zip(sizes, orders, strict=True))
    for start in range(0, shape[0], _SLAB):
        rows = slice(start, start + _SLAB)
        _vote(array, result[rows], (tuple((place[rows], weight[rows]) for place, weight in x), y, z))
    return result


def _neighbours(old: int, new: int, order: int) -> _Neighbours:
    """Return the voxels that each new voxel lies between along an axis, and their weights; one where it is nearest."""
    if order == 0 or old == new:
        return ((nearest_voxels(old, new), np.ones(new)),)
    positions = (np.arange(new) + 0.5) * (old / new) - 0.5
    lower = np.floor(positions).astype(np.intp)
    near = 1 - (positions - lower)
    return (np.maximum(lower, 0), near), (np.minimum(lower + 1, old - 1), 1 - near)


def _vote(array: np.ndarray, nearest: np.ndarray, axes: tuple[_Neighbours, _Neighbours, _Neighbours]) -> None:
    """Put the winners of a slab in the place of its nearest voxels, wherever not all neighbours are of one label."""
    corners = list(product(*axes))
    around = [array[np.ix_(*(place for place, _ in corner))] for corner in corners]
    mixed = np.logical_or.reduce([other != around[0] for other in around])
    if not mixed.any():
        return
    i, j, k = np.nonzero(mixed)
    labels = np.stack([other[mixed] for other in around])
    weights = [a[i] * b[j] * c[k] for (_, a), (_, b), (_, c) in corners]

    def score(label: np.ndarray) -> np.ndarray:
        total = np.zeros(len(i))
        for other, weight in zip(labels, weights, strict=True):
            total += np.where(other == label, weight, 0)
        return total

    scores = np.stack([score(label) for label in labels])
    best = scores.max(axis=0)
    lowest = np.where(scores == best, labels, np.iinfo(labels.dtype).max).min(axis=0)
    near = nearest[mixed]
    nearest[mixed] = np.where(score(near) == best, near, lowest)
