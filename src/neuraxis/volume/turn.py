"""Turning a volume's axes: another order, some of them reversed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.volume.grid import Grid

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Turn:
    """How the axes after a turn lie in those before it.

    Attributes:
        axes: axis i after it is axis `axes[i]` before it.
        flips: whether axis i after it runs against that one.

    >>> turn = Turn((2, 1, 0), (False, False, True))
    >>> turn.undo(turn.apply(np.arange(24).reshape(1, 2, 3, 4))).shape
    (1, 2, 3, 4)
    """

    axes: Triple = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Turn the last three axes of an array (a view)."""
        lead = array.ndim - 3
        turned: np.ndarray = array.transpose(*range(lead), *(lead + axis for axis in self.axes))[self._flipped]
        return turned

    def undo(self, array: np.ndarray) -> np.ndarray:
        """Turn the last three axes of a turned array back (a view)."""
        lead = array.ndim - 3
        back: np.ndarray = array[self._flipped]
        return back.transpose(*range(lead), *(lead + self.axes.index(axis) for axis in range(3)))

    def grid(self, before: Grid) -> Grid:
        """Return the grid of a turned array."""
        x, y, z = (before.shape[axis] for axis in self.axes)
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for place, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, place] = -1 if flip else 1
            matrix[axis, 3] = before.shape[axis] - 1 if flip else 0
        return Grid((x, y, z), before.affine @ matrix)

    @property
    def _flipped(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))


NO_TURN = Turn()
