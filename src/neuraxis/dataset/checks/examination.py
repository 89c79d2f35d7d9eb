"""Reading one case once, and everything that can be said against it.

Nothing is raised for a bad scan: it becomes a `Finding`, and what could be read is kept for the fingerprint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.finding import Finding, Severity
from neuraxis.dataset.checks.sketch import Sketch, sketch
from neuraxis.dataset.checks.traits import traits_of_image
from neuraxis.dataset.coding import PLAIN, Undecodable, voxels
from neuraxis.dataset.histogram import count_image
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError, NeuraxisError
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS, Grid
from neuraxis.volume.volume import Stored, Volume

SPACING_MM = (0.1, 10.0)
SHEARED = 0.01
_AGAIN = "Resample one onto the other or leave the case out."


@dataclass(eq=False)
class Examination:
    """One case as read: its channels on one grid, its label map, and what was found.

    Attributes:
        channels: name to array (X, Y, Z), of the file's own dtype; those that could be read and share a grid, that of
            the label map where any of them has it.
        grid: their canonical grid.
        stored_axes: how the file of the first one is oriented, such as "LPS".
        apart: name to array and grid of the channels with grids of their own, which preparation can bring together.
        label: label map (X, Y, Z) of whole numbers, where it could be read and lies on the same grid.
        counts: label number to voxels.
        sketches: channel to what is kept of it to find copies by; None where it is the same everywhere.
        traits: how its values are stored and its slices lie (`neuraxis.dataset.checks.traits`).
    """

    case: Case
    labels: Labels
    channels: dict[str, np.ndarray] = field(default_factory=dict)
    grid: Grid | None = None
    stored_axes: str = ""
    apart: dict[str, tuple[np.ndarray, Grid]] = field(default_factory=dict)
    label: np.ndarray | None = None
    counts: dict[int, int] = field(default_factory=dict)
    sketches: dict[str, Sketch | None] = field(default_factory=dict)
    traits: dict[str, str | float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def report(self, severity: Severity, code: str, message: str, advice: str) -> None:
        """Keep one finding about this case."""
        self.findings.append(Finding(self.case.id, severity, code, message, advice))


def examine_case(case: Case, labels: Labels) -> Examination:
    """Read every file of a case once and check it; one without a label map is checked without."""
    seen = Examination(case, labels)
    _read_channels(seen)
    on_grid = {name: (array, seen.grid) for name, array in seen.channels.items()}
    for name, (array, grid) in (on_grid | seen.apart).items():
        _check_values(seen, name, array)
        if grid is not None:
            seen.sketches[name] = sketch(array, grid.spacing_mm)
    if seen.grid is not None and seen.channels:
        seen.traits.update(traits_of_image(next(iter(seen.channels.values())), seen.grid))
    if case.label is not None:
        _read_label(seen)
    return seen


def compare_grids(grid: Grid, other: Grid) -> tuple[Severity, str, str] | None:
    """Return severity, code and words for how two grids differ, or None where they agree within a thousandth voxel."""
    if grid.shape != other.shape:
        return "error", "shape", f"{grid.describe()} against {other.describe()}"
    if grid.matches(other):
        return None
    apart = f"{grid.corner_distance_mm(other):.3g} mm"
    if grid.matches(other, SAME_VOXELS):
        return "warning", "affine_drift", f"corners up to {apart} apart, less than half a voxel"
    if not np.allclose(grid.spacing_mm, other.spacing_mm, rtol=1e-3):
        return "error", "spacing", f"{grid.describe()} against {other.describe()}"
    return "error", "affine", f"one shape and spacing, but corners up to {apart} apart"


def _read_channels(seen: Examination) -> None:
    volumes: dict[tuple[Path, str], Volume | None] = {}
    usable: dict[str, Volume] = {}
    for name, file in seen.case.images.items():
        key = file.path, file.series
        if key not in volumes:
            volumes[key] = _read(seen, file.read)
        volume = volumes[key]
        if volume is not None and _has_channel(seen, name, volume, file.index):
            usable[name] = volume
    if usable:
        first = _reference(seen.case, usable)
        seen.grid = usable[first].grid
        seen.stored_axes = (usable[first].stored or Stored.of(seen.grid)).grid.axis_codes
        _check_geometry(seen, usable[first])
        for name, volume in usable.items():
            array = seen.case.images[name].pick(volume)
            if name == first or _shares_grid(seen, name, first, volume.grid):
                seen.channels[name] = array
            else:
                seen.apart[name] = array, volume.grid
        _note_apart(seen, first)
    if not seen.case.images:
        seen.report("error", "no_image", "has no image", "Add one or leave the case out.")


def _reference(case: Case, usable: Mapping[str, Volume]) -> str:
    """Return the first channel that lies on the label map's grid, or else the first."""
    if case.label is not None:
        try:
            grid = any_format.read_grid(case.label)[0]
        except NeuraxisError:  # reading it whole tells why
            return next(iter(usable))
        for name, volume in usable.items():
            if volume.grid.matches(grid, SAME_VOXELS):
                return name
    return next(iter(usable))


def _shares_grid(seen: Examination, name: str, first: str, grid: Grid) -> bool:
    """Tell whether a channel lies on the grid of the reference, give or take half a voxel."""
    difference = None if seen.grid is None else compare_grids(grid, seen.grid)
    return (difference is None or difference[0] != "error") and _same_grid(seen, f"'{name}' and '{first}'", grid)


def _note_apart(seen: Examination, first: str) -> None:
    """Note channels that preparation will bring onto the grid of the reference."""
    for name, (_, grid) in list(seen.apart.items())[:1]:
        difference = None if seen.grid is None else compare_grids(grid, seen.grid)
        who = f"'{name}' and '{first}' do" if len(seen.apart) == 1 else f"'{first}' and {len(seen.apart)} others do"
        message = f"{who} not share a grid: {difference[2] if difference else ''}"
        seen.report("note", "own_grid", message, f"Preparing brings all onto that of '{first}' (preparation.space).")


def _read(seen: Examination, read: Callable[[], Volume]) -> Volume | None:
    try:
        return read()
    except DataError as error:
        message, _, advice = str(error).rpartition(". ")
        seen.report("error", "unreadable", message or str(error), advice or "Leave the case out.")
        return None


def _has_channel(seen: Examination, name: str, volume: Volume, index: int | str | None) -> bool:
    file = Path(volume.name).name
    if index is None and volume.channels > 1:
        message = f"'{name}' ({file}) is 4D with {volume.channels} volumes where 3D is needed"
        seen.report("error", "four_dimensional", message, "Split it or keep one volume.")
        return False
    if isinstance(index, int) and index >= volume.channels:
        message = f"'{name}' is volume {index} of {file}, which holds {volume.channels}"
        seen.report("error", "channel_missing", message, "Add the channel or mend dataset.json.")
        return False
    if index == 0 and volume.channels > len(seen.case.images):
        message = f"{file} holds {volume.channels} volumes, but the dataset names {len(seen.case.images)} channels"
        seen.report("warning", "channel_count", message, "The last ones are not used; name them, or remove them.")
    return True


def _same_grid(seen: Examination, who: str, grid: Grid) -> bool:
    difference = None if seen.grid is None else compare_grids(grid, seen.grid)
    if difference is None:
        return True
    severity, code, words = difference
    if severity == "error":
        seen.report("error", code, f"{who} do not share a grid: {words}", _AGAIN)
        return False
    seen.report(severity, code, f"{who} differ a little in their headers: {words}", "They are taken as one grid.")
    return True


def _check_geometry(seen: Examination, volume: Volume) -> None:
    grid = volume.grid
    axes = grid.affine[:3, :3] / np.linalg.norm(grid.affine[:3, :3], axis=0)
    slant = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if slant > SHEARED:
        degrees = float(np.degrees(np.arcsin(min(1.0, slant))))
        message = f"the voxel axes are sheared, {degrees:.1f} degrees from a right angle (a tilted gantry?)"
        seen.report("warning", "sheared", message, "Distances are off by that much; resample it to a straight grid.")
    low, high = SPACING_MM
    if min(grid.spacing_mm) < low or max(grid.spacing_mm) > high:
        message = f"the spacing is unusual: {grid.describe()}"
        seen.report("warning", "spacing_extreme", message, "Check the header's units and slice distance.")
    for remark in any_format.geometry_remarks(volume):
        seen.report("warning", "header_geometry", remark, "Look at it in a viewer, left and right above all.")


def _check_values(seen: Examination, name: str, array: np.ndarray) -> None:
    low, high = array.min(), array.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(array.size - np.count_nonzero(np.isfinite(array)))
        message = f"'{name}' holds {voxels(bad)} of NaN or infinity"
        seen.report("error", "not_finite", message, "Replace them, or leave the case out.")
    elif low == high:
        seen.report("error", "constant", f"'{name}' is {low:g} everywhere", "Export it again or leave the case out.")


def _read_label(seen: Examination) -> None:
    volumes = [_read(seen, partial(seen.case.read_label_file, path)) for path in seen.case.label_files]
    read = [volume for volume in volumes if volume is not None]
    if len(read) < len(volumes):
        return
    same = [_same_grid(seen, "image and label map", volume.grid) for volume in read]
    if any(volume.grid.shape != read[0].grid.shape for volume in read):
        return
    try:
        whole = seen.case.coding.decode([channel for volume in read for channel in volume.array])
    except Undecodable as problem:
        seen.report("error", problem.code, f"the label map {problem.message}", problem.advice)
        return
    if seen.case.coding == PLAIN and any(volume.array.dtype.kind == "f" for volume in read):
        seen.traits["float_label"] = str(read[0].array.dtype)
    seen.counts = count_values(whole)
    _check_counts(seen)
    if all(same) and seen.grid is not None:
        seen.label = whole


def count_values(array: np.ndarray) -> dict[int, int]:
    """Return how often each whole number occurs in a label map (X, Y, Z)."""
    histogram = count_image(array if array.dtype.kind in "iu" else array.astype(np.int64))
    return {int(value): int(count) for value, count in zip(histogram.values, histogram.counts, strict=True)}


def _check_counts(seen: Examination) -> None:
    labels = seen.labels
    outside = {value: count for value, count in seen.counts.items() if value not in labels.allowed()}
    known = ", ".join(f"{number} {name}" for name, number in sorted(labels.names.items(), key=lambda pair: pair[1]))
    if len(outside) == 1 and seen.counts.keys() <= {0, *outside} and len(labels.scored) == 1:
        value = next(iter(outside))
        own = next(iter(labels.scored.values()))[0]
        message = f"the label map is a mask of 0 and {value} ({voxels(outside[value])}); the labels are {known}"
        seen.report(
            "error",
            "mask_value",
            message,
            f"Store the label's own number in place of {value}, or --set labels.map.{value}={own}.",
        )
    elif outside:
        held = ", ".join(_few(f"{value} in {voxels(count)}" for value, count in outside.items()))
        message = f"the label map holds numbers without a name: {held}; the labels are {known}"
        seen.report(
            "error",
            "unknown_label",
            message,
            "Name them in dataset.json or labels.names, exchange them with labels.map, or mend the label map.",
        )
    elif not any(value not in (0, labels.ignore) for value in seen.counts):
        seen.report("warning", "empty_label", "the label map is empty", "Right for a healthy control; else add labels.")


def _few(words: Iterator[str], most: int = 6) -> list[str]:
    every = list(words)
    return every if len(every) <= most else [*every[:most], f"and {len(every) - most} more"]
