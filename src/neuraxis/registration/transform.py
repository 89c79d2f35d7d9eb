"""How the world of one scan lies in that of another.

A `Transform` takes positions in mm, RAS+, of the moving scan to the same anatomy in the fixed scan.

>>> shift = Transform(np.array([[1, 0, 0, 5.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
>>> shift.apply(np.array([[1.0, 2.0, 3.0]]))
array([[6., 2., 3.]])
>>> shift.inverse.then(shift).is_identity
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.volume.grid import Grid

_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Transform:
    """An affine map of the world, (4, 4), from the moving scan to the fixed one, in mm."""

    matrix: np.ndarray

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or (matrix[3] != (0, 0, 0, 1)).any():
            raise ValueError("A transform is a finite 4 x 4 matrix whose last row is 0, 0, 0, 1.")
        if abs(np.linalg.det(matrix[:3, :3])) < _SAME:
            raise ValueError("A transform has an inverse; this matrix has none.")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @property
    def inverse(self) -> Transform:
        """From the fixed scan to the moving one."""
        return Transform(_exact_last_row(np.linalg.inv(self.matrix)))

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return bool(np.abs(self.matrix - np.eye(4)).max() < _SAME)

    def then(self, following: Transform) -> Transform:
        """Return the transform that does this one first and then the following one."""
        return Transform(_exact_last_row(following.matrix @ self.matrix))

    def apply(self, points_mm: np.ndarray) -> np.ndarray:
        """Return where points (N, 3) come to lie."""
        moved: np.ndarray = points_mm @ self.matrix[:3, :3].T + self.matrix[:3, 3]
        return moved

    def voxels(self, moving: Grid, fixed: Grid) -> np.ndarray:
        """Return the (4, 4) matrix from voxels of the fixed grid to those of the moving grid."""
        return np.asarray(np.linalg.inv(moving.affine) @ self.inverse.matrix @ fixed.affine)

    def largest_move_mm(self, grid: Grid) -> float:
        """Return how far the corner of a grid that moves most is moved, in mm."""
        return Grid(grid.shape, self.matrix @ grid.affine).corner_distance_mm(grid)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able content."""
        return {"matrix": self.matrix.tolist()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Transform:
        """Build from what `to_dict` returned."""
        return cls(np.array(content["matrix"]))


IDENTITY = Transform(np.eye(4))


def _exact_last_row(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix whose last row has lost its rounding."""
    matrix[3] = (0, 0, 0, 1)
    return matrix
