"""The part of a scan that holds anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Triple = tuple[int, int, int]


def nonzero_box(channels: Sequence[np.ndarray] | np.ndarray) -> tuple[Triple, Triple]:
    """Return start and shape of the smallest box that holds every voxel with a non-zero channel; all if none has.

    Planes are peeled off from outside, so that only the border is looked at.

    Args:
        channels: (C, X, Y, Z), or C arrays (X, Y, Z) of one shape.
    """
    kept = [slice(0, size) for size in channels[0].shape]
    for axis in range(3):
        first = _first_plane(channels, kept, axis, range(kept[axis].stop))
        if first is None:
            x, y, z = channels[0].shape
            return (0, 0, 0), (x, y, z)
        last = _first_plane(channels, kept, axis, range(kept[axis].stop - 1, first - 1, -1))
        kept[axis] = slice(first, (first if last is None else last) + 1)
    x, y, z = kept
    return (x.start, y.start, z.start), (x.stop - x.start, y.stop - y.start, z.stop - z.start)


def _first_plane(channels: Sequence[np.ndarray] | np.ndarray, kept: list[slice], axis: int, order: range) -> int | None:
    for place in order:
        plane = tuple(place if other == axis else kept[other] for other in range(3))
        if any(channel[plane].any() for channel in channels):
            return place
    return None
