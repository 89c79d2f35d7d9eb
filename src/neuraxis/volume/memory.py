"""Copies between arrays that run through memory in different orders.

A NIfTI file has X fastest, numpy's own order has Z fastest. A plain copy from one to the other jumps a whole plane at
every voxel, and with sides that are powers of two all jumps fall on the same few lines of the processor's cache.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 32


def copy_reordered(out: np.ndarray, array: np.ndarray) -> None:
    """Do `out[...] = array` for (X, Y, Z) of any strides and dtypes, up to four times faster.

    Where the fastest axes differ, it goes in two steps: first into an array that shares the fastest axis with `out` but
    is written in small blocks, then by whole rows.
    """
    first, last = _fastest_axis(array), _fastest_axis(out)
    if first == last:
        out[...] = array
        return
    order = (3 - first - last, first, last)
    source, target = array.transpose(order), out.transpose(order)
    between = np.empty(source.shape, out.dtype)
    for start in range(0, source.shape[2], _BLOCK):
        between[:, :, start : start + _BLOCK] = source[:, :, start : start + _BLOCK]
    target[...] = between


def _fastest_axis(array: np.ndarray) -> int:
    steps = [abs(step) if size > 1 else np.inf for step, size in zip(array.strides, array.shape, strict=True)]
    return int(np.argmin(steps))
