"""From the axes of a canonical scan to those that the network was trained on.

Our own models work on canonical axes. An imported model may have seen scans as their files stored them, in an order of
axes of its own; its recipe says so (`preparation.orientation`, `preparation.axes`).
"""

from __future__ import annotations

from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.turn import Turn
from neuraxis.volume.volume import Stored


def turn_of(stored: Stored | None, recipe: PreparationRecipe) -> Turn:
    """Return the turn that a recipe asks for, of a scan whose file lay like `stored` (None: canonical)."""
    if recipe.orientation == "canonical" or stored is None:
        return Turn(recipe.axes)
    x, y, z = (stored.axes.index(axis) for axis in recipe.axes)
    return Turn((x, y, z), (stored.flips[x], stored.flips[y], stored.flips[z]))
