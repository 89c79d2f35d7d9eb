"""What every kind of augmentation is drawn from: the patch it happens to, and a random stream of its own.

The kinds of `light` (affine, mirror, noise, blur, brightness, contrast, gamma) share the stream `Purpose.AUGMENT` of a
sample, in a fixed order. Each other kind has a stream of its own, so that switching one on changes no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from neuraxis.patches.draws import Purpose, generator

Triple = tuple[int, int, int]
Numbers = TypeVar("Numbers")


@dataclass(frozen=True)
class Patch:
    """What is augmented.

    Attributes:
        shape: voxels along (X, Y, Z).
        spacing_mm: of the voxels.
        flat_axis: the axis along which nothing is moved or mixed, in 2D.
        channels: of the image.
    """

    shape: Triple
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    flat_axis: int | None = None
    channels: int = 1

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes with more than one voxel, the flat one left out."""
        return tuple(axis for axis in range(3) if self.shape[axis] > 1 and axis != self.flat_axis)


@dataclass(frozen=True)
class Streams:
    """The random streams of one sample of one step."""

    seed: int
    step: int
    sample: int

    def __call__(self, purpose: Purpose) -> np.random.Generator:
        """Return the stream of a purpose, from its beginning."""
        return generator(self.seed, purpose, self.step, self.sample)

    def drawn_if(
        self, purpose: Purpose, probability: float, draw: Callable[[np.random.Generator], Numbers]
    ) -> Numbers | None:
        """Return what `draw` takes from the purpose's stream, or None where the kind does not happen."""
        if probability <= 0:
            return None
        draws = self(purpose)
        return draw(draws) if draws.random() < probability else None
