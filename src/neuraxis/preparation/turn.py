"""From the axes of a canonical scan to those that the network was trained on, and back.

Our own models work on canonical axes. An imported model may have seen scans as their files stored them, in an order of
axes of its own; its recipe says so (`preparation.orientation`, `preparation.axes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Turn:
    """How the network's axes lie in the scan's canonical ones.

    Attributes:
        axes: the network's axis i is the canonical axis `axes[i]`.
        flips: whether the network's axis i runs against it.

    >>> turn = Turn((2, 1, 0), (False, False, True))
    >>> turn.undo(turn.apply(np.arange(24).reshape(1, 2, 3, 4))).shape
    (1, 2, 3, 4)
    """

    axes: Triple = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def of(cls, stored: Stored | None, recipe: PreparationRecipe) -> Turn:
        """Return what a recipe asks for, of a scan whose file lay like `stored` (None: canonical)."""
        if recipe.orientation == "canonical" or stored is None:
            return cls(recipe.axes)
        x, y, z = (stored.axes.index(axis) for axis in recipe.axes)
        flips = (stored.flips[x], stored.flips[y], stored.flips[z])
        return cls((x, y, z), flips)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """Turn the last three axes of a canonical array (a view)."""
        lead = array.ndim - 3
        turned: np.ndarray = array.transpose(*range(lead), *(lead + axis for axis in self.axes))[self._flipped]
        return turned

    def undo(self, array: np.ndarray) -> np.ndarray:
        """Turn the last three axes back to canonical ones (a view)."""
        lead = array.ndim - 3
        canonical: np.ndarray = array[self._flipped]
        return canonical.transpose(*range(lead), *(lead + self.axes.index(axis) for axis in range(3)))

    def grid(self, canonical: Grid) -> Grid:
        """Return the grid of a turned array."""
        x, y, z = (canonical.shape[axis] for axis in self.axes)
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for place, (axis, flip) in enumerate(zip(self.axes, self.flips, strict=True)):
            matrix[axis, place] = -1 if flip else 1
            matrix[axis, 3] = canonical.shape[axis] - 1 if flip else 0
        return Grid((x, y, z), canonical.affine @ matrix)

    def volume(self, volume: Volume) -> Volume:
        """Return a volume on the network's axes; it no longer knows how its file lay."""
        return Volume(self.apply(volume.array), self.grid(volume.grid), None, volume.name)

    @property
    def _flipped(self) -> tuple[Any, ...]:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))


NO_TURN = Turn()
