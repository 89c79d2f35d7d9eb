"""Interpolation along one axis as a banded matrix: what every resampling here is made of.

Cubic is the interpolating B-spline (M. Unser, A. Aldroubi and M. Eden, "B-spline signal processing: part II", IEEE
Trans Signal Process 41:834-848, 1993): the prefilter and the evaluation of an axis are one matrix, and three such
matrices, one for each axis, give the same values as `scipy.ndimage` does voxel by voxel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Literal

import numpy as np

from neuraxis.volume.lattice import Tick

Order = Literal[0, 1, 3]

# The spline's weights fall fourfold from voxel to voxel, into numbers so small that processors multiply them many
# times slower (denormal); all weights below this one add up to less than float32 can tell.
_NEGLIGIBLE = 1e-9
# Rows of a band, measured: few waste no multiplications on zeros, but along the last axis the product becomes thin.
_NARROW, _WIDE = 12, 64
# Multiplications in one product up to which OpenBLAS computes it in the calling thread. Its own threads would wait for
# one another by spinning, and hinder the threads that prepare other cases.
_ONE_THREAD = 260_000
_PAD = 12  # repeated voxels at each end, as scipy's "nearest" has them; their weight is 2e-7 of the first voxel's


@lru_cache(maxsize=64)
def axis_matrix(old: int, new: int, order: Order, tick: Tick | None = None) -> np.ndarray:
    """Return the matrix (new, old), float32, that brings an axis of `old` voxels to `new`, over the same length.

    The outer edges of the outer voxels stay where they are; beyond them the edge voxel is repeated.

    Args:
        old: voxels before.
        new: voxels after.
        order: 0 for the nearest voxel (the upper one where two are as near), 1 for linear, 3 for cubic B-splines.
        tick: where the new voxels lie among the old ones, if it is not the edges that stay.
    """
    if order not in (0, 1, 3):
        raise ValueError(f"Images are interpolated with order 0, 1 or 3, not {order}.")
    places = np.arange(new, dtype=np.float64)
    positions = tick[0] + tick[1] * places if tick else (places + 0.5) * (old / new) - 0.5
    if old == 1:
        matrix = np.ones((new, 1))
    elif order == 0:
        matrix = (np.arange(old) == nearest_voxels(old, new, tick)[:, None]).astype(np.float64)
    elif order == 1:
        matrix = np.maximum(0, 1 - np.abs(np.clip(positions, 0, old - 1)[:, None] - np.arange(old)))
    else:
        matrix = _spline_matrix(positions, old)
    matrix[np.abs(matrix) < _NEGLIGIBLE] = 0
    result = matrix.astype(np.float32)
    result.setflags(write=False)
    return result


def nearest_voxels(old: int, new: int, tick: Tick | None = None) -> np.ndarray:
    """Return for each of `new` voxels the nearest of `old` over the same length; the upper of two as near, as scipy.

    Args:
        old: voxels before.
        new: voxels after.
        tick: as for `axis_matrix`.
    """
    positions = tick[0] + tick[1] * np.arange(new) if tick else (old / new) * (np.arange(new) + 0.5) - 0.5
    nearest: np.ndarray = np.clip(np.floor(positions + 0.5), 0, old - 1).astype(np.intp)
    return nearest


def apply_to_axis(matrix: np.ndarray, array: np.ndarray, axis: int) -> np.ndarray:
    """Multiply one axis of (C, X, Y, Z) float32 by a matrix (new, old), band by band, on memory as it lies.

    Args:
        matrix: of `axis_matrix`, or a part of it.
        array: the values; nothing is transposed.
        axis: 1, 2 or 3.
    """
    result = np.empty((*array.shape[:axis], matrix.shape[0], *array.shape[axis + 1 :]), np.float32)
    source, target = (array.swapaxes(1, 2), result.swapaxes(1, 2)) if axis == 1 else (array, result)
    for rows, columns, weights in _bands(matrix, _WIDE if axis == 3 else _NARROW):
        step = max(1, _ONE_THREAD // weights.size)
        for start in range(0, array.shape[2 if axis == 3 else 3], step):
            beside = slice(start, start + step)
            if axis == 3:
                np.matmul(source[:, :, beside, columns], weights.T, out=target[:, :, beside, rows])
            else:
                np.matmul(weights, source[:, :, columns, beside], out=target[:, :, rows, beside])
    return result


def _bands(matrix: np.ndarray, height: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Cut a matrix into bands of rows, each with only the columns that are not 0."""
    for start in range(0, len(matrix), height):
        weights = matrix[start : start + height]
        used = np.flatnonzero(weights.any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 1)
        yield slice(start, start + len(weights)), columns, np.ascontiguousarray(weights[:, columns])


def _spline_matrix(positions: np.ndarray, old: int) -> np.ndarray:
    knots = np.arange(-_PAD, old + _PAD)
    distance = np.abs(np.clip(positions, -0.5 * _PAD, old - 1 + 0.5 * _PAD)[:, None] - knots)
    spline = np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, np.maximum(0, 2 - distance) ** 3 / 6)
    filtered = np.linalg.solve(_collocation(len(knots)), np.eye(len(knots)))
    matrix = np.zeros((len(positions), old))
    np.add.at(matrix.T, np.clip(knots, 0, old - 1), (spline @ filtered).T)
    return matrix


def _collocation(count: int) -> np.ndarray:
    beside = np.diag(np.full(count - 1, 1 / 6), 1)
    collocation: np.ndarray = np.diag(np.full(count, 2 / 3)) + beside + beside.T
    return collocation
