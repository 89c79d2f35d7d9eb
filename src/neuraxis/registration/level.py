"""A scan as a registration looks at it: coarser, without its extremes, with the head told from the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.registration.foreground import find_head
from neuraxis.volume.grid import Grid

_MARGIN_MM = 16.0
_PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class Level:
    """A scan at one step of a registration.

    Attributes:
        array: (X, Y, Z) float32, its brightest and darkest half percent cut off.
        head: where the head is, with a margin around it; bool (X, Y, Z).
        grid: that both lie on.
    """

    array: np.ndarray
    head: np.ndarray
    grid: Grid

    @classmethod
    def of(cls, array: np.ndarray, grid: Grid, voxel_mm: float) -> Level:
        """Make one from a whole scan (X, Y, Z), whose voxels are joined until they are about as large as wanted."""
        coarse, there = coarser(array, grid, voxel_mm)
        low, high = np.percentile(coarse, _PERCENTILES)
        return cls(np.clip(coarse, low, high), find_head(coarse, there, _MARGIN_MM), there)

    @property
    def centre_mm(self) -> np.ndarray:
        """The centre of the head, in mm."""
        return np.asarray(self.grid.affine[:3, :3] @ np.argwhere(self.head).mean(axis=0) + self.grid.affine[:3, 3])

    def coarser(self, voxel_mm: float) -> Level:
        """Return the same with larger voxels."""
        array, there = coarser(self.array, self.grid, voxel_mm)
        head, _ = coarser(self.head.astype(np.float32), self.grid, voxel_mm)
        return Level(array, head >= 0.5, there)


def coarser(array: np.ndarray, grid: Grid, voxel_mm: float) -> tuple[np.ndarray, Grid]:
    """Return means over blocks of voxels (X, Y, Z), float32, and their grid; a rest at the far ends is left out.

    Along each axis as many voxels are joined as come nearest to the size that is wanted, and at least four remain
    where there are four.

    >>> coarser(np.arange(8.0).reshape(8, 1, 1), Grid((8, 1, 1), np.eye(4)), 2.0)[0].ravel()
    array([0.5, 2.5, 4.5, 6.5], dtype=float32)
    """
    steps = [
        max(1, min(round(voxel_mm / size), count // 4))
        for size, count in zip(grid.exact_spacing_mm, grid.shape, strict=True)
    ]
    if steps == [1, 1, 1]:
        return array.astype(np.float32, copy=False), grid
    x, y, z = (count // step for count, step in zip(grid.shape, steps, strict=True))
    kept = array[: x * steps[0], : y * steps[1], : z * steps[2]]
    blocks = kept.reshape(x, steps[0], y, steps[1], z, steps[2])
    joined = blocks.mean(axis=(1, 3, 5), dtype=np.float32)
    whole = grid.cropped((0, 0, 0), (kept.shape[0], kept.shape[1], kept.shape[2]))
    return joined, whole.resampled((x, y, z))
