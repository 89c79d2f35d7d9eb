"""How far the elements of two surfaces lie apart: measured once, then read by every surface score.

An element is a point with a size: a surface voxel of size 1 (`surface.py`) or a piece of surface of so many mm²
(`surfels.py`). Elements on both surfaces are at distance 0; a k-d tree of the other surface's elements finds the
nearest for the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuraxis.evaluation.overlap import ratio

Spacing = tuple[float, float, float]
TIE_MM = 1e-6


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """The distance of each element of two surfaces to the nearest element of the other surface.

    Attributes:
        there: from each element of the prediction's surface to the reference's, in mm; infinite where the reference
            has no surface, or none as near as was looked.
        back: the same from the reference's surface to the prediction's.
        there_size: size of each element of the prediction's surface.
        back_size: size of each element of the reference's surface.
    """

    there: np.ndarray
    back: np.ndarray
    there_size: np.ndarray
    back_size: np.ndarray

    @property
    def has_both(self) -> bool:
        """Whether both masks have a surface, so that there is a distance."""
        return bool(self.there.size and self.back.size)

    def share_within(self, tolerance_mm: float) -> float:
        """Return the part of both surfaces, by size, that lies within a tolerance of the other: the surface Dice.

        A distance that exceeds the tolerance by a millionth of a mm still counts as within: it is rounding.

        Args:
            tolerance_mm: 0 or more.

        Returns:
            0 to 1; NaN where both surfaces are empty, 0 where one is.

        Raises:
            ValueError: the tolerance is negative or not a number.
        """
        if not tolerance_mm >= 0:
            raise ValueError(f"A tolerance is 0 mm or more, not {tolerance_mm}.")
        near = [
            float(sizes[distances <= tolerance_mm + TIE_MM].sum())
            for distances, sizes in ((self.there, self.there_size), (self.back, self.back_size))
        ]
        return ratio(sum(near), float(self.there_size.sum() + self.back_size.sum()))


def distances_between(
    ours: np.ndarray, theirs: np.ndarray, spacing_mm: Spacing, farthest_mm: float = math.inf
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each element of two sets, in memory's order, the distance to the nearest of the other set, in mm.

    Args:
        ours: bool (X, Y, Z), where the elements of one set lie.
        theirs: the same of the other set, on the same grid.
        spacing_mm: distance of neighbours on the grid along each axis.
        farthest_mm: how far to look, which saves time.

    Returns:
        Distances from ours to theirs, and back; infinite where none of the other set is as near as was looked.

    Raises:
        ValueError: a spacing is not positive.
    """
    if not all(size > 0 for size in spacing_mm):
        raise ValueError(f"Spacing needs positive sizes in mm, not {spacing_mm}.")
    scale = np.asarray(spacing_mm, dtype=np.float64)
    places = [np.flatnonzero(mask) for mask in (ours, theirs)]
    points = [np.stack(np.unravel_index(place, ours.shape), axis=1) * scale for place in places]
    apart = []
    for own, other in ((0, 1), (1, 0)):
        shared = np.ravel((theirs, ours)[own])[places[own]]
        distances = np.zeros(len(places[own]))
        distances[~shared] = _nearest_mm(points[own][~shared], points[other], farthest_mm)
        apart.append(distances)
    return apart[0], apart[1]


def _nearest_mm(points: np.ndarray, others: np.ndarray, farthest_mm: float) -> np.ndarray:
    """Return the distance of each point (N, 3) to the nearest of the others (M, 3), infinite where none is near."""
    from scipy.spatial import cKDTree

    if not len(points) or not len(others):
        return np.full(len(points), np.inf)
    tree = cKDTree(others, leafsize=32, balanced_tree=False)
    return np.asarray(tree.query(points, distance_upper_bound=farthest_mm + 2 * TIE_MM)[0])
