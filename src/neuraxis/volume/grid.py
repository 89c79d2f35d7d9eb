"""Where voxels lie in space.

A `Grid` is a shape and an affine: voxel index (i, j, k) lies at `affine @ (i, j, k, 1)`, in mm, in the scanner's
RAS+ world (x to the right, y to the front, z to the head). Inside neuraxis grids are canonical: axis 0 runs mostly
to the right, axis 1 to the front, axis 2 to the head. Oblique scans keep their small angles.

>>> grid = Grid((2, 3, 4), np.diag([1.0, 1.0, 3.0, 1.0]))
>>> grid.spacing_mm
(1.0, 1.0, 3.0)
>>> grid.voxel_ml
0.003
>>> grid.axis_codes
'RAS'
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Grids of one shape whose corners lie less than half a voxel apart pair the same voxels: headers that were rounded on
# the way differ by so much.
SAME_VOXELS = 0.5


@dataclass(frozen=True, eq=False)
class Grid:
    """Shape (X, Y, Z) and affine (4, 4), voxel to world in mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise ValueError(f"An affine is a 4 x 4 matrix, not {affine.shape}.")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))

    @property
    def exact_spacing_mm(self) -> tuple[float, float, float]:
        """The spacing with every digit that the affine has: what decides where a number of voxels is rounded."""
        x, y, z = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(x), float(y), float(z)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along each axis, in mm."""
        x, y, z = (round(step, 6) for step in self.exact_spacing_mm)
        return x, y, z

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel, in mL."""
        return float(round(abs(np.linalg.det(self.affine[:3, :3])) / 1000, 9))

    @property
    def axis_codes(self) -> str:
        """The direction each axis mostly runs to, such as 'RAS' or 'LPI'."""
        ends = ("LR", "PA", "IS")
        return "".join(ends[world][int(sign > 0)] for world, sign in nearest_axes(self.affine))

    def matches(self, other: Grid, tolerance: float = 1e-3) -> bool:
        """Tell whether two grids agree: the same shape, and no corner further apart than `tolerance` voxels."""
        if self.shape != other.shape:
            return False
        return self.corner_distance_mm(other) <= tolerance * min(self.spacing_mm)

    def corner_distance_mm(self, other: Grid) -> float:
        """Return the largest distance between corresponding corners of two grids of one shape, in mm."""
        corners = np.array([[i, j, k, 1] for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
        corners[:, :3] *= np.array(self.shape) - 1
        apart = corners @ (self.affine - other.affine).T
        return float(np.sqrt((apart[:, :3] ** 2).sum(axis=1)).max())

    def resampled(self, shape: tuple[int, int, int]) -> Grid:
        """Return the grid of another shape that covers the same box, corner to corner of the outer voxels' edges."""
        factor = np.array(self.shape, dtype=np.float64) / np.array(shape)
        affine = self.affine.copy()
        affine[:3, :3] = affine[:3, :3] * factor
        affine[:3, 3] = self.affine[:3, :3] @ ((factor - 1) / 2) + self.affine[:3, 3]
        return Grid(shape, affine)

    def cropped(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Grid:
        """Return the grid of the box that begins at voxel `start`."""
        affine = self.affine.copy()
        affine[:3, 3] = affine[:3, :3] @ np.array(start, dtype=np.float64) + affine[:3, 3]
        return Grid(shape, affine)

    def describe(self) -> str:
        """Return shape, spacing and orientation in words, for messages."""
        spacing = ", ".join(f"{size:g}" for size in self.spacing_mm)
        return f"{' x '.join(map(str, self.shape))} voxels of {spacing} mm, {self.axis_codes}"


def nearest_axes(affine: np.ndarray) -> tuple[tuple[int, int], ...]:
    """Return for each voxel axis the world axis it mostly runs along and its sign, each world axis once.

    The assignment is the one that maximises the summed |direction cosine|, so that it is a permutation even for
    angles of 45 degrees.
    """
    matrix = np.asarray(affine, dtype=np.float64)[:3, :3]
    cosines = matrix / np.sqrt((matrix**2).sum(axis=0))
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    best = max(orders, key=lambda order: sum(abs(cosines[world, axis]) for axis, world in enumerate(order)))
    return tuple((world, 1 if cosines[world, axis] >= 0 else -1) for axis, world in enumerate(best))
