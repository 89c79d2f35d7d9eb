"""Half precision by hand: float32 values that float16 could hold."""

from __future__ import annotations

import numpy as np

_SMALLEST_NORMAL = 0x38800000  # the bits of 2^-14, float16's smallest number of full precision
_TO_STEPS = np.float32(0.75)  # its neighbours in float32 are 2^-24 apart, as float16's smallest numbers are


def round_to_half(values: np.ndarray) -> np.ndarray:
    """Return float32 values as float16 would hold them, halves to even; beyond its largest they are kept, not infinite.

    Processors convert numbers below float16's normal range some fifty times slower than others, and a window's edge is
    full of them: so the bits are rounded where they are.
    """
    values = np.ascontiguousarray(values, np.float32)
    bits = values.view(np.uint32)
    rounded = (bits >> 13) & 1
    rounded += bits
    rounded += 0xFFF
    rounded &= 0xFFFFE000
    small = (bits & 0x7FFFFFFF) < _SMALLEST_NORMAL
    result: np.ndarray = rounded.view(np.float32)
    if small.any():
        np.copyto(result, (values + _TO_STEPS) - _TO_STEPS, where=small)
    return result
