"""What is no fault of a case but good to know of a dataset: how values are stored, and how slices lie.

Each case says what it has of these, and one note tells it of all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from neuraxis.dataset.checks.finding import Finding
from neuraxis.volume.grid import Grid, nearest_axes

OBLIQUE_DEGREES = 1.0
THICK = 3.0
STRAIGHT = 0.01
Traits = Mapping[str, str | float]


def traits_of_image(array: np.ndarray, grid: Grid) -> dict[str, str | float]:
    """Return the traits of an image (X, Y, Z) as it was read: its type, its angle, and its thick slices."""
    traits: dict[str, str | float] = {"type": str(array.dtype)}
    degrees = angle_degrees(grid)
    if degrees > OBLIQUE_DEGREES and _is_straight(grid):
        traits["oblique"] = round(degrees, 1)
    thick = max(grid.spacing_mm)
    if min(grid.shape) > 1 and thick > THICK * float(np.median(grid.spacing_mm)):
        traits["thick"] = round(thick, 2)
    return traits


def angle_degrees(grid: Grid) -> float:
    """Return the largest angle between an axis of a grid and the axis of the world that it mostly runs along."""
    cosines = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    along = [abs(cosines[world, axis]) for axis, (world, _) in enumerate(nearest_axes(grid.affine))]
    return float(np.degrees(np.arccos(min(1.0, *along))))


def _is_straight(grid: Grid) -> bool:
    """Tell whether the axes stand at right angles; of those that do not, another finding tells."""
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max()) < STRAIGHT


def note_traits(traits: Mapping[str, Traits]) -> Iterator[Finding]:
    """Yield one note for each trait that some cases have.

    Args:
        traits: case id to its own.
    """
    types = Counter(str(held["type"]) for held in traits.values() if "type" in held)
    if len(types) > 1:
        words = ", ".join(f"{name} ({count})" for name, count in types.most_common())
        message = f"images are stored as different types: {words}"
        yield Finding("", "note", "mixed_types", message, "Check that their intensities mean the same.")
    floats = [id for id, held in traits.items() if "float_label" in held]
    if floats:
        message = f"{_cases(len(floats), 'stores', 'store')} whole numbers of label maps as floats, such as {floats[0]}"
        advice = "They are read as whole numbers; --fix labels stores them so."
        yield Finding("", "note", "float_labels", message, advice)
    oblique = {id: float(held["oblique"]) for id, held in traits.items() if "oblique" in held}
    if oblique:
        far = max(oblique, key=lambda id: oblique[id])
        who = _cases(len(oblique), "lies", "lie")
        message = f"{who} oblique to the scanner's axes, by up to {oblique[far]:g} degrees ({far})"
        yield Finding("", "note", "oblique", message, "Nothing needs doing: results return to the scan's own grid.")
    thick = {id: float(held["thick"]) for id, held in traits.items() if "thick" in held}
    if thick:
        far = max(thick, key=lambda id: thick[id])
        who = _cases(len(thick), "has", "have")
        message = f"{who} slices more than {THICK:g} times as thick as their pixels, up to {thick[far]:g} mm ({far})"
        yield Finding("", "note", "thick_slices", message, "The plan looks at the thick axis apart.")


def _cases(count: int, one: str, several: str) -> str:
    return f"1 case {one}" if count == 1 else f"{count} cases {several}"
