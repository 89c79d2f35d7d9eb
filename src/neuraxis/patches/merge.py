"""Glue windows back together: each voxel is the weighted mean of the windows that cover it.

Weights fall from the window's centre like a Gaussian, since a network sees least around the voxels at its edge
(Isensee et al., nnU-Net, Nature Methods 2021, doi:10.1038/s41592-020-01008-z).
"""

from __future__ import annotations

from typing import Any

import numpy as np

Shape = tuple[int, int, int]
FLOOR = 1e-10


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


class Merger:
    """Adds up windows in the order they come, in memory that does not grow with their number.

    The arrays may be numpy's or torch's, on any device: whoever owns them chooses.

    >>> merger = Merger.of_numpy(outputs=1, shape=(3, 1, 1), weight=np.ones((2, 1, 1), np.float32))
    >>> merger.add((0, 0, 0), np.full((1, 2, 1, 1), 2.0))
    >>> merger.add((1, 0, 0), np.full((1, 2, 1, 1), 4.0))
    >>> merger.merged().ravel().tolist()
    [2.0, 3.0, 4.0]
    """

    def __init__(self, total: Any, summed: Any, weight: Any) -> None:
        """Take over arrays of zeros.

        Args:
            total: (K, X, Y, Z) float32, becomes the result. Where it is float16, so are all sums, as nnU-Net's are:
                each step is computed in float32 and rounded.
            summed: (X, Y, Z) of the same dtype, becomes each voxel's summed weight.
            weight: (x, y, z) float32, the weight of each voxel of a window.
        """
        self._total, self._summed, self._weight = total, summed, weight

    @classmethod
    def of_numpy(cls, outputs: int, shape: Shape, weight: np.ndarray) -> Merger:
        """Begin with numpy arrays of zeros."""
        return cls(np.zeros((outputs, *shape), np.float32), np.zeros(shape, np.float32), weight)

    def add(self, start: Shape, window: Any) -> None:
        """Add the values (K, x, y, z) of the window whose first voxel is `start`."""
        box = tuple(slice(first, first + side) for first, side in zip(start, self._weight.shape, strict=True))
        self._total[(slice(None), *box)] += window * self._weight
        self._summed[box] += self._weight

    def merged(self) -> Any:
        """Return the weighted mean (K, X, Y, Z); the merger is used up.

        Raises:
            ValueError: a voxel was covered by no window.
        """
        if bool((self._summed == 0).any()):
            raise ValueError("Some voxels are covered by no window.")
        self._total /= self._summed
        return self._total


def _bell(side: int, sigma: float, middle: float | None = None) -> np.ndarray:
    distance = np.arange(side) - ((side - 1) / 2 if middle is None else middle)
    bell = np.exp(-0.5 * (distance / sigma) ** 2)
    return np.asarray(bell / bell.max())
