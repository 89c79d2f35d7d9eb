"""An image in space.

A `Volume` is an array (C, X, Y, Z) and the canonical `Grid` that it lies on. `Stored` remembers how the file laid
the same voxels out, so that a result goes back exactly: `volume.stored.from_canonical(labels)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from neuraxis.volume.grid import Grid, nearest_axes
from neuraxis.volume.turn import Turn


@dataclass(frozen=True, eq=False)
class Stored:
    """How a file laid its voxels out.

    Attributes:
        grid: shape and affine as stored.
        axes: canonical axis i is stored axis `axes[i]`.
        flips: whether canonical axis i runs against its stored axis.
        header: the file's own header, for the format that wrote it; opaque to everybody else.
    """

    grid: Grid
    axes: tuple[int, int, int]
    flips: tuple[bool, bool, bool]
    header: Any = None

    @classmethod
    def of(cls, grid: Grid, header: Any = None) -> Stored:
        """Find the permutation and flips that make `grid` canonical."""
        nearest = nearest_axes(grid.affine)
        axes = tuple(next(axis for axis in range(3) if nearest[axis][0] == world) for world in range(3))
        flips = tuple(nearest[axis][1] < 0 for axis in axes)
        return cls(grid, (axes[0], axes[1], axes[2]), (flips[0], flips[1], flips[2]), header)

    @property
    def turn(self) -> Turn:
        """The turn from stored to canonical axes."""
        return Turn(self.axes, self.flips)

    @property
    def canonical_grid(self) -> Grid:
        """The same voxels' grid after reordering to RAS+."""
        return self.turn.grid(self.grid)

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        """Reorder the last three axes from stored to canonical order (a view)."""
        return self.turn.apply(array)

    def from_canonical(self, array: np.ndarray) -> np.ndarray:
        """Reorder the last three axes from canonical to stored order (a view)."""
        return self.turn.undo(array)


@dataclass(frozen=True, eq=False)
class Volume:
    """Array (C, X, Y, Z) on a canonical grid; `stored` tells how its file lay, `name` where it came from.

    Where the channels of a scan do not share a grid, `apart` holds each as a volume of its own, and the array is that
    of the first one alone.
    """

    array: np.ndarray
    grid: Grid
    stored: Stored | None = None
    name: str = ""
    apart: tuple[Volume, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.grid.shape:
            raise ValueError(f"A volume needs (C, X, Y, Z) on {self.grid.shape}, not an array of {self.array.shape}.")

    @property
    def channels(self) -> int:
        """Number of channels."""
        return len(self.apart) or int(self.array.shape[0])

    @property
    def each(self) -> tuple[Volume, ...]:
        """Every channel as a volume of its own, (1, X, Y, Z)."""
        single = (self.array[place : place + 1] for place in range(self.array.shape[0]))
        return self.apart or tuple(self.with_array(array) for array in single)

    def as_stored(self) -> tuple[Stored, np.ndarray]:
        """Return how the volume's file lies, or would, and the array (C, ...) in that order; bool becomes uint8.

        Raises:
            ValueError: the array is of another shape than the file that the volume came from.
        """
        stored = self.stored or Stored.of(self.grid)
        array = stored.from_canonical(self.array)
        if array.shape[1:] != stored.grid.shape:
            raise ValueError(f"The volume has {array.shape[1:]} voxels, but its file had {stored.grid.shape}.")
        return stored, array.view(np.uint8) if array.dtype == bool else array

    def with_array(self, array: np.ndarray) -> Volume:
        """Return a volume with other values on the same grid."""
        return replace(self, array=array, apart=())
