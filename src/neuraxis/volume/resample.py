"""Values on another grid that covers the same box.

Both functions change the number of voxels along each axis and keep the box: the outer edges of the outer voxels
stay where they are, as in scikit-image's `resize` and nnU-Net. Images use separable cubic B-splines: prefilter
and evaluation of an axis are one banded matrix. Labels use the nearest voxel.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

Shape = tuple[int, int, int]

# The spline's weights fall fourfold from voxel to voxel, into numbers so small that processors multiply them many
# times slower (denormal); all weights below this one add up to less than float32 can tell.
_NEGLIGIBLE = 1e-9
_ONE_THREAD = 260_000  # multiplications in one product, up to which OpenBLAS takes no second thread


def resample_image(array: np.ndarray, shape: Shape, order: int = 3) -> np.ndarray:
    """Interpolate an image (C, X, Y, Z) to (C, *shape).

    Args:
        array: any real dtype.
        shape: the new number of voxels along each axis.
        order: 3 for cubic B-splines, 1 for linear.

    Returns:
        float32; equal to `scipy.ndimage.zoom(..., order, mode="nearest", grid_mode=True)` within rounding. Cubic
        values may overshoot the input's range a little.
    """
    if order not in (1, 3):
        raise ValueError(f"Images are interpolated with order 1 or 3, not {order}.")
    result = np.ascontiguousarray(array, dtype=np.float32)
    for axis in sorted((0, 1, 2), key=lambda axis: shape[axis] / array.shape[1 + axis]):
        if shape[axis] != result.shape[1 + axis]:
            result = _interpolate_axis(result, 1 + axis, shape[axis], order)
    return result


def resample_labels(array: np.ndarray, shape: Shape) -> np.ndarray:
    """Take the nearest voxel of a label map (..., X, Y, Z) for each of (..., *shape); values are never mixed."""
    for axis in range(3):
        old = array.shape[axis - 3]
        if old != shape[axis]:
            positions = (np.arange(shape[axis]) + 0.5) * (old / shape[axis]) - 0.5
            nearest = np.clip(np.floor(positions + 0.5 - 1e-9), 0, old - 1).astype(np.intp)
            array = np.take(array, nearest, axis=axis - 3)
    return np.ascontiguousarray(array)


def shape_at_spacing(shape: Shape, old_mm: tuple[float, ...], new_mm: tuple[float, ...]) -> Shape:
    """Return the number of voxels that cover the same box at another spacing, at least 1 along each axis."""
    x, y, z = (max(1, round(size * old / new)) for size, old, new in zip(shape, old_mm, new_mm, strict=True))
    return x, y, z


def _interpolate_axis(array: np.ndarray, axis: int, size: int, order: int) -> np.ndarray:
    """Apply one axis' matrix, band by band, on memory as it lies: nothing is transposed."""
    result = np.empty((*array.shape[:axis], size, *array.shape[axis + 1 :]), np.float32)
    beside = array.shape[2] if axis == 3 else array.shape[3]
    for rows, columns, weights in _bands(_matrix(array.shape[axis], size, order), beside):
        if axis == 3:
            np.matmul(array[..., columns], weights.T, out=result[..., rows])
        elif axis == 2:
            np.matmul(weights, array[:, :, columns], out=result[:, :, rows])
        else:
            np.matmul(weights, array.swapaxes(1, 2)[:, :, columns], out=result.swapaxes(1, 2)[:, :, rows])
    return result


def _bands(matrix: np.ndarray, beside: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Cut a matrix into bands of rows, each with only the columns that are not 0, for products with `beside` columns.

    The bands are so narrow that OpenBLAS computes each product in the calling thread: its own threads would wait for
    one another by spinning, and hinder the threads that prepare other cases.
    """
    new, old = matrix.shape
    height = new
    while height > 4 and height * min(old, height * old / new + 26) * beside > _ONE_THREAD:
        height -= 1
    for start in range(0, new, height):
        weights = matrix[start : start + height]
        used = np.flatnonzero(weights.any(axis=0))
        columns = slice(int(used[0]), int(used[-1]) + 1)
        yield slice(start, start + height), columns, np.ascontiguousarray(weights[:, columns])


@lru_cache(maxsize=64)
def _matrix(old: int, new: int, order: int) -> np.ndarray:
    """Return the (new, old) matrix of one axis: spline prefilter and evaluation in one, edges repeated."""
    positions = (np.arange(new, dtype=np.float64) + 0.5) * (old / new) - 0.5
    if old == 1:
        return np.ones((new, 1), dtype=np.float32)
    if order == 1:
        hats: np.ndarray = np.maximum(0, 1 - np.abs(np.clip(positions, 0, old - 1)[:, None] - np.arange(old)))
        return hats.astype(np.float32)
    pad = 12
    knots = np.arange(-pad, old + pad)
    distance = np.abs(np.clip(positions, -0.5 * pad, old - 1 + 0.5 * pad)[:, None] - knots)
    spline = np.where(distance < 1, 2 / 3 - distance**2 + distance**3 / 2, np.maximum(0, 2 - distance) ** 3 / 6)
    filtered = np.linalg.solve(_collocation(len(knots)), np.eye(len(knots)))
    weights = spline @ filtered
    matrix = np.zeros((new, old))
    np.add.at(matrix.T, np.clip(knots, 0, old - 1), weights.T)
    matrix[np.abs(matrix) < _NEGLIGIBLE] = 0
    return matrix.astype(np.float32)


def _collocation(count: int) -> np.ndarray:
    beside = np.diag(np.full(count - 1, 1 / 6), 1)
    collocation: np.ndarray = np.diag(np.full(count, 2 / 3)) + beside + beside.T
    return collocation
