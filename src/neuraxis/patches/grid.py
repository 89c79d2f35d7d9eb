"""Where the windows lie that together cover a volume.

>>> window_starts((7, 4, 1), (4, 4, 1), overlap=0.5)
((0, 0, 0), (2, 0, 0), (3, 0, 0))
>>> window_starts((3, 4, 1), (4, 4, 1))  # smaller than the window: pad it first, one window does
((0, 0, 0),)
"""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np

Shape = tuple[int, int, int]
Sides = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def window_starts(shape: Shape, window: Shape, overlap: float = 0.5) -> tuple[Shape, ...]:
    """Return the first voxel of each window, evenly spread; the last along each axis ends flush with the volume.

    Args:
        shape: voxels of the volume along (X, Y, Z).
        window: voxels of a window along (X, Y, Z).
        overlap: least share of a window's side that the next one covers again, in [0, 1).

    Returns:
        Starts in a fixed order, the last axis fastest. An axis on which the volume is smaller than the window has
        the one start 0: such a volume is padded (`pad_to_window`).
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap is a share in [0, 1), not {overlap}.")
    axes = [_axis_starts(size, side, overlap) for size, side in zip(shape, window, strict=True)]
    return tuple((x, y, z) for x, y, z in itertools.product(*axes))


def stepped_starts(shape: Shape, window: Shape, overlap: float = 0.5) -> tuple[Shape, ...]:
    """Return the first voxel of each window, a step of whole voxels apart; only the last along each axis lies closer.

    That is how MONAI's sliding window lies. Arguments, order and small volumes are as for `window_starts`.

    >>> stepped_starts((11, 4, 1), (4, 4, 1), overlap=0.25)
    ((0, 0, 0), (3, 0, 0), (6, 0, 0), (7, 0, 0))
    """
    axes = []
    for size, side in zip(shape, window, strict=True):
        step, last = max(1, int(side * (1 - overlap))), max(0, size - side)
        axes.append((*range(0, last, step), last))
    return tuple((x, y, z) for x, y, z in itertools.product(*axes))


def missing(shape: Shape, window: Shape) -> Sides:
    """Return how many voxels lack before and after along each axis, for the volume to be as large as a window."""
    lacking = [max(0, side - size) for size, side in zip(shape, window, strict=True)]
    x, y, z = ((lack // 2, lack - lack // 2) for lack in lacking)
    return x, y, z


def pad_to_window(
    image: np.ndarray, window: Shape, padding: Literal["zeros", "edge"] = "zeros"
) -> tuple[np.ndarray, Shape]:
    """Pad an image (C, X, Y, Z), evenly on both sides, until no side is shorter than the window's.

    Args:
        image: of any size.
        window: voxels along (X, Y, Z).
        padding: with zeros, or with the voxels at the edge.

    Returns:
        The image (itself where nothing lacks), and the voxel at which the given image begins in it.
    """
    x, y, z = sides = missing((image.shape[1], image.shape[2], image.shape[3]), window)
    begin = (x[0], y[0], z[0])
    if not any(map(any, sides)):
        return image, begin
    return np.pad(image, ((0, 0), *sides), "constant" if padding == "zeros" else "edge"), begin


def _axis_starts(size: int, window: int, overlap: float) -> tuple[int, ...]:
    if size < 1 or window < 1:
        raise ValueError(f"Volume and window need at least one voxel, not {size} and {window}.")
    room = max(0, size - window)
    steps = math.ceil(room / max(1.0, window * (1 - overlap)))
    return tuple(round(room / steps * step) for step in range(steps + 1)) if steps else (0,)
