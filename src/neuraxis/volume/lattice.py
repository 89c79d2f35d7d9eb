"""Where the voxels of another spacing lie among those of a scan, as MONAI's Spacing lays them.

The first voxel keeps its centre, and voxels follow as long as about the last one's is reached. On an oblique scan the
numbers of a header are rounded so that axes are not quite at right angles; then MONAI mostly lets the middles meet,
counted from the centre of the first voxel. Both are found here by its own sums, so that rounding decides alike.
"""

from __future__ import annotations

import itertools

import numpy as np

from neuraxis.volume.grid import Grid

Tick = tuple[float, float]  # where the first new voxel lies among the old ones, and how many old ones a step is
Ticks = tuple[Tick, Tick, Tick]
SAME: Tick = (0.0, 1.0)
_SAME_SPACING, _SAME_PLACE = 1e-3, 1e-8


def lay(grid: Grid, spacing_mm: tuple[float, float, float]) -> tuple[tuple[int, int, int], Ticks]:
    """Return the shape of a grid at another spacing, and where along each axis its voxels lie.

    Spacings that differ by at most a thousandth of a mm are taken for the same.

    Args:
        grid: of the scan.
        spacing_mm: that is wanted; 0 along an axis keeps the scan's own.

    >>> lay(Grid((5, 4, 3), np.diag([1.0, 1.0, 3.0, 1.0])), (2.0, 0.0, 2.0))
    ((3, 4, 4), ((0.0, 2.0), (0.0, 1.0), (0.0, 0.6666666666666666)))
    """
    old = grid.affine[:3, :3]
    here = grid.exact_spacing_mm
    target = [new if new and abs(own - new) > _SAME_SPACING else own for own, new in zip(here, spacing_mm, strict=True)]
    upper = np.linalg.cholesky(old.T @ old).T
    new = old @ np.linalg.inv(upper) @ np.diag(target)
    corners = np.array(list(itertools.product(*((0.0, size - 1.0) for size in grid.shape)))).T
    reached = np.linalg.solve(new, old) @ corners  # in new voxels, from the first
    x, y, z = (int(size) for size in np.round(np.ptp(reached, axis=1) + 1.0))
    steps = np.diag(np.linalg.solve(old, new))
    if np.abs(steps - 1).max() <= _SAME_SPACING and (x, y, z) == grid.shape:
        return grid.shape, (SAME, SAME, SAME)
    starts = np.zeros(3)
    if np.abs(reached.min(axis=1)).max() > _SAME_PLACE:
        starts = (np.array(grid.shape) - steps * np.array((x, y, z))) / 2
    first, second, third = ((float(start), float(step)) for start, step in zip(starts, steps, strict=True))
    return (x, y, z), (first, second, third)


def back(ticks: Ticks) -> Ticks:
    """Return where the old voxels lie among the new ones.

    >>> back(((0.5, 2.0), (0.0, 1.0), (0.0, 0.5)))
    ((-0.25, 0.5), (0.0, 1.0), (0.0, 2.0))
    """
    x, y, z = ((0.0 - start / step, 1 / step) for start, step in ticks)
    return x, y, z
