"""Random numbers that are a function of (seed, purpose, step, sample).

A counter-based generator (Philox; Salmon et al. 2011) gives each combination its own independent stream.

>>> first = generator(0, Purpose.PLACE, 10, 1).random()
>>> first == generator(0, Purpose.PLACE, 10, 1).random()
True
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What numbers are drawn for; each has streams of its own."""

    ORDER = 1
    PLACE = 2
    AUGMENT = 3
    NOISE = 4
    WEIGHTS = 5
    DROPOUT = 6
    SHEAR = 7
    ZOOM = 8
    ELASTIC = 9
    BARREL = 10
    RICIAN = 11
    SHARPEN = 12
    LOW_RESOLUTION = 13
    BIAS = 14
    MOTION = 15
    GHOSTING = 16
    SPIKE = 17
    CUTOUT = 18
    MISSING = 19


def generator(seed: int, purpose: Purpose, step: int = 0, sample: int = 0) -> np.random.Generator:
    """Return the generator of one combination."""
    return np.random.Generator(np.random.Philox(key=[seed, int(purpose)], counter=[0, sample, step, 0]))


def derived_seed(seed: int, purpose: Purpose, step: int = 0, sample: int = 0) -> int:
    """Return a 63-bit seed of one combination, for generators of other libraries."""
    return int(generator(seed, purpose, step, sample).integers(2**63 - 1))
