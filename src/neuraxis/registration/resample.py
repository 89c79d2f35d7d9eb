"""Values of one scan on the grid of another, through a transform."""

from __future__ import annotations

import numpy as np

from neuraxis.registration.transform import IDENTITY, Transform
from neuraxis.volume.grid import Grid
from neuraxis.volume.interpolation import Order
from neuraxis.volume.volume import Volume

_EXACT = 1e-6  # of a voxel


def resample_onto(
    volume: Volume, grid: Grid, transform: Transform = IDENTITY, order: Order = 3, labels: bool = False
) -> Volume:
    """Bring a volume onto another grid.

    Args:
        volume: (C, X, Y, Z), the moving scan.
        grid: of the fixed scan; canonical.
        transform: from the moving scan's world to that of the fixed one.
        order: 3 for cubic B-splines, 1 for linear, 0 for the nearest voxel.
        labels: whether the numbers are names: then the nearest voxel is taken and the dtype stays.

    Returns:
        (C, *grid.shape), float32 or, of labels, the volume's own dtype; 0 beyond the scan. Its file is no longer known.
    """
    chosen: Order = 0 if labels else order
    dtype = volume.array.dtype if labels else np.dtype(np.float32)
    result = np.empty((volume.channels, *grid.shape), dtype)
    matrix = transform.voxels(volume.grid, grid)
    for channel, out in zip(volume.array, result, strict=True):
        resample_array(channel, matrix, out, chosen)
    return Volume(result, grid, None, volume.name)


def resample_array(array: np.ndarray, matrix: np.ndarray, out: np.ndarray, order: Order, beyond: float = 0.0) -> None:
    """Fill `out` (X, Y, Z) with the values of an array at the voxels where a matrix leads.

    Args:
        array: (X, Y, Z) of any real dtype.
        matrix: (4, 4), from voxels of `out` to those of `array`.
        out: filled in place.
        order: of the interpolation: 0, 1 or 3.
        beyond: the value where a voxel lies outside of the array by half a voxel or more.
    """
    from scipy import ndimage

    whole = np.rint(matrix)
    if np.abs(matrix - whole).max() < _EXACT and (whole[:3, :3] == np.eye(3)).all():
        _shift(array, [int(step) for step in whole[:3, 3]], out, beyond)
        return
    source = array if order == 0 or array.dtype == np.float32 else array.astype(np.float32)
    ndimage.affine_transform(source, matrix[:3, :3], matrix[:3, 3], output=out, order=order, mode="nearest")
    out[~_within(matrix, array.shape, out.shape)] = beyond


def _shift(array: np.ndarray, steps: list[int], out: np.ndarray, beyond: float) -> None:
    """Copy without interpolation where one grid is a part of the other, or continues it."""
    out[...] = beyond
    read, filled = [], []
    for step, size, new in zip(steps, array.shape, out.shape, strict=True):
        first, last = max(0, -step), min(new, size - step)
        filled.append(slice(first, max(first, last)))
        read.append(slice(first + step, max(first, last) + step))
    out[tuple(filled)] = array[tuple(read)]


def _within(matrix: np.ndarray, shape: tuple[int, ...], new: tuple[int, ...]) -> np.ndarray:
    """Return where a voxel of the new grid lies in a voxel of the old one, bool of shape `new`."""
    inside = np.ones(new, bool)
    places = np.ogrid[: new[0], : new[1], : new[2]]
    for row, size in zip(matrix[:3], shape, strict=True):
        position = sum(step * place for step, place in zip(row[:3], places, strict=True)) + row[3]
        inside &= (position > -0.5 - _EXACT) & (position < size - 0.5 + _EXACT)
    return inside
