"""Glue windows back together: each voxel is the weighted mean of the windows that cover it.

Weights fall from the window's centre like a Gaussian, since a network sees least around the voxels at its edge
(Isensee et al., nnU-Net, Nature Methods 2021, doi:10.1038/s41592-020-01008-z).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from neuraxis.volume.half import round_to_half

Shape = tuple[int, int, int]
FLOOR = 1e-10
_PLANES = 8


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, np.float32)


def gaussian_weight(window: Shape, width: float = 1 / 8, floor: float = FLOOR) -> np.ndarray:
    """Return the weight of each voxel of a window, float32, 1 in the middle.

    Args:
        window: voxels along (X, Y, Z).
        width: standard deviation as a share of the window's side.
        floor: no weight is less, so that every covered voxel can be divided by its summed weight.
    """
    x, y, z = (_bell(side, width * side) for side in window)
    return np.asarray(np.maximum(x[:, None, None] * y[:, None] * z, floor), np.float32)


def nnunet_weight(window: Shape) -> np.ndarray:
    """Return the weight of each voxel of a window as nnU-Net's predictor has it, float16 as float32, 10 at most.

    Its middle is voxel `side // 2`, and where float16 has no number so small the smallest that it has takes the place.
    """
    x, y, z = (_bell(side, side / 8, side // 2) for side in window)
    weight = np.asarray(10 * x[:, None, None] * y[:, None] * z, np.float16).astype(np.float32)
    weight[weight == 0] = weight[weight > 0].min()
    return weight


def monai_weight(window: Shape, mode: Literal["gaussian", "constant"]) -> np.ndarray:
    """Return the weight of each voxel of a window as MONAI's sliding window has it, float32, 0.001 at least.

    Args:
        window: voxels along (X, Y, Z).
        mode: a Gaussian whose SD is an eighth of the side, or 1 everywhere.
    """
    if mode == "constant":
        return np.ones(window, np.float32)
    x, y, z = (
        np.exp(-0.5 * ((np.arange(side, dtype=np.float32) - (side - 1) / 2) / (side / 8)) ** 2, dtype=np.float32)
        for side in window
    )
    weight = x[:, None, None] * y[:, None] * z
    return np.asarray(np.maximum(weight, max(float(weight.min()), 1e-3)), np.float32)


class Merger:
    """Adds windows up in the order they come, and gives planes back as soon as no later window reaches them.

    So its memory is that of a slab as thick as a window, whatever the volume's length along X. The arrays may be
    numpy's or torch's, on any device: whoever owns them chooses.

    >>> merger = Merger.of_numpy(outputs=1, shape=(3, 1, 1), weight=np.ones((2, 1, 1), np.float32))
    >>> merger.add((0, 0, 0), np.full((1, 2, 1, 1), 2.0))
    >>> merger.finish(1).ravel().tolist()  # the next window begins at the plane after
    [2.0]
    >>> merger.add((1, 0, 0), np.full((1, 2, 1, 1), 4.0))
    >>> merger.finish().ravel().tolist()
    [3.0, 4.0]
    """

    def __init__(self, total: Any, summed: Any, weight: Any, in_half: bool = False) -> None:
        """Take over arrays of zeros.

        Args:
            total: (K, x, Y, Z) float32, a slab as thick as a window.
            summed: (x, Y, Z) float32, each voxel's summed weight.
            weight: (x, y, z) float32, the weight of each voxel of a window.
            in_half: whether every sum is rounded to what float16 can hold, as nnU-Net's are; numpy alone.
        """
        self._total, self._summed, self._weight, self._in_half = total, summed, weight, in_half
        self._first = self._given = 0

    @classmethod
    def of_numpy(
        cls,
        outputs: int,
        shape: Shape,
        weight: np.ndarray,
        in_half: bool = False,
        zeros: Callable[[tuple[int, ...]], np.ndarray] = _zeros,
    ) -> Merger:
        """Begin with numpy arrays.

        Args:
            outputs: K.
            shape: of the volume; no side is shorter than the window's.
            weight: (x, y, z) float32, the weight of each voxel of a window.
            in_half: as above.
            zeros: makes the largest array, in memory or elsewhere.
        """
        slab = (weight.shape[0], *shape[1:])
        return cls(zeros((outputs, *slab)), np.zeros(slab, np.float32), weight, in_half)

    def add(self, start: Shape, window: Any) -> None:
        """Add the values (K, x, y, z) of the window whose first voxel is `start`, on the first plane not yet given.

        Raises:
            ValueError: it begins on another plane.
        """
        self._move_on()
        if start[0] != self._first:
            raise ValueError(f"The window begins on plane {start[0]}, but {self._first} is the first that is open.")
        across = tuple(slice(begin, begin + side) for begin, side in zip(start, self._weight.shape, strict=True))[1:]
        for first in range(0, len(self._weight), _PLANES):  # few planes at a time stay in the processor's cache
            rows = slice(first, first + _PLANES)
            place, weight = (rows, *across), self._weight[rows]
            for total, values in zip(self._total, window, strict=True):
                total[place] = self._rounded(total[place] + values[rows] * weight)
            self._summed[place] = self._rounded(self._summed[place] + weight)

    def finish(self, planes: int | None = None) -> Any:
        """Return the weighted means (K, planes, Y, Z) of the next planes; all that are left without a number.

        They may be changed, and last until the next window is added.

        Raises:
            ValueError: a voxel was covered by no window.
        """
        self._move_on()
        self._given = len(self._summed) if planes is None else planes
        summed = self._summed[: self._given]
        if bool((summed == 0).any()):
            raise ValueError("Some voxels are covered by no window.")
        means = self._total[:, : self._given]
        means /= summed
        if self._in_half:
            means[...] = round_to_half(means)
        return means

    def _move_on(self) -> None:
        """Forget the planes that were given, and bring the others to the front."""
        given, self._given = self._given, 0
        if not given:
            return
        self._first += given
        for sums in (*self._total, self._summed):
            kept = max(0, len(sums) - given)
            for first in range(0, kept, given):  # piece by piece, since the places overlap
                last = min(first + given, kept)
                sums[first:last] = sums[given + first : given + last]
            sums[kept:] = 0

    def _rounded(self, sums: Any) -> Any:
        return round_to_half(sums) if self._in_half else sums


def _bell(side: int, sigma: float, middle: float | None = None) -> np.ndarray:
    distance = np.arange(side) - ((side - 1) / 2 if middle is None else middle)
    bell = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(bell / bell.max())
