"""The smallest box that holds a mask: what lies outside of it need not be looked at."""

from __future__ import annotations

import numpy as np

Box = tuple[slice, slice, slice]


def joint_box(predicted: np.ndarray, reference: np.ndarray) -> Box | None:
    """Return the smallest box that holds every voxel of both masks (X, Y, Z); None where both are empty."""
    boxes = [box for box in (bounding_box(predicted), bounding_box(reference)) if box is not None]
    if not boxes:
        return None
    x, y, z = (slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3))
    return x, y, z


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box that holds every voxel of a mask (X, Y, Z); None where it is empty.

    Memory is walked through as it lies, so that C and Fortran order are equally fast.
    """
    order = sorted(range(3), key=lambda axis: -abs(mask.strides[axis]))
    laid = mask.transpose(order)
    plane = np.logical_or.reduce(laid, axis=0)
    middle, inner = _extent(plane, 1), _extent(plane, 0)
    if middle is None or inner is None:
        return None
    outer = _extent(laid[:, middle, inner], (1, 2)) or slice(0, 0)
    found = dict(zip(order, (outer, middle, inner), strict=True))
    return found[0], found[1], found[2]


def flat_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes along which a whole scan has one voxel only: a picture has none of its outline there.

    A scan of a single voxel is no picture; it has all its faces.

    >>> flat_axes((512, 512, 1)), flat_axes((4, 4, 4)), flat_axes((1, 1, 1))
    ((2,), (), ())
    """
    flat = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return flat if len(flat) < len(shape) else ()


def _extent(mask: np.ndarray, across: int | tuple[int, ...]) -> slice | None:
    """Return the range from the first to the last True along the one axis that is not in `across`."""
    hits = np.flatnonzero(np.logical_or.reduce(mask, axis=across))
    return slice(int(hits[0]), int(hits[-1]) + 1) if hits.size else None
