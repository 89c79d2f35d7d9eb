"""A DICOM series as a volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.pixels import is_inverted, values_of
from neuraxis.volume.formats.dicom.segmentation import reading as segmentation
from neuraxis.volume.formats.dicom.series import Found, Series, choose, find
from neuraxis.volume.formats.dicom.stack import Stack, pile
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume


@dataclass(frozen=True, eq=False)
class Origin:
    """The series that a volume came from: what `Stored.header` holds for DICOM.

    Attributes:
        series: its files and slices.
        stack: its slices in order, and the way between them and the grid.
        remarks: what is odd about it, in words.
    """

    series: Series = field(repr=False)
    stack: Stack
    remarks: tuple[str, ...] = ()


def read(path: Path, series: str = "") -> Volume:
    """Read a series as a canonical `Volume`; several volumes at the same places become channels.

    Args:
        path: of a folder (subfolders included), or of a file.
        series: its name, number or description where the path holds several; of a DICOM SEG, the segment to read.

    Raises:
        DataError: nothing, or several series, could be meant; or the series is refused.
        MissingExtra: its compression needs a package that is not installed.
    """
    found = find(path)
    if found.segmentations and not found.series:
        return segmentation.read(found, found.identity.shown(path), series)
    origin, who = _origin(found, path, series)
    stack, frames = origin.stack, [frame for volume in origin.stack.volumes for frame in volume]
    values = values_of(frames, origin.series.instances, who)
    count = len(stack.places)
    volumes = [stack.straighten(values[start : start + count]) for start in range(0, len(values), count)]
    array = np.stack(volumes) if len(volumes) > 1 else volumes[0][None]
    stored = Stored.of(stack.grid(), origin)
    return Volume(stored.to_canonical(array.transpose(0, 3, 2, 1)), stored.canonical_grid, stored, who)


def read_grid(path: Path, series: str = "") -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels, from the headers.

    Raises:
        DataError: as `read`.
    """
    found = find(path)
    if found.segmentations and not found.series:
        return segmentation.read_grid(found, found.identity.shown(path)), 1
    origin, _ = _origin(found, path, series)
    return Stored.of(origin.stack.grid()).canonical_grid, len(origin.stack.volumes)


def read_layout(path: Path, series: str = "") -> Stored:
    """Return how a series lies on its grid, from the headers; of a DICOM SEG, the grid of its frames.

    Raises:
        DataError: as `read`.
    """
    found = find(path)
    if found.segmentations and not found.series:
        return Stored.of(segmentation.read_grid(found, found.identity.shown(path)))
    origin, _ = _origin(found, path, series)
    return Stored.of(origin.stack.grid(), origin)


def origin_of(path: Path, series: str = "") -> Origin:
    """Return a series with its slices in order, from the headers.

    Raises:
        DataError: as `read`.
    """
    return _origin(find(path), path, series)[0]


def _origin(found: Found, path: Path, name: str) -> tuple[Origin, str]:
    who = found.identity.shown(path)
    series = choose(found, who, name)
    if len(found.series) > 1:
        who = f"{who} ({series.name})"
    if series.patients > 1:
        raise DataError(
            f"{who}: the slices of one series name {series.patients} patients. Sort them into one folder each."
        )
    first = series.first
    if first.fault:
        raise DataError(f"{who}: {first.fault}")
    stack = pile(series.frames, (first.rows, first.columns), who)
    return Origin(series, stack, (*stack.remarks, *_remarks(series, found))), who


def _remarks(series: Series, found: Found) -> list[str]:
    """Say what else is odd about a series and its folder."""
    remarks = []
    if series.doubled_files:
        remarks.append(f"left out as copies of slices that are there: {_files(series.doubled_files)}")
    if is_inverted(series.first):
        remarks.append("it is shown dark where its values are high (MONOCHROME1); they are inverted")
    elif series.first.photometric.upper() == "MONOCHROME1":
        remarks.append("it is shown dark where its values are high (MONOCHROME1); they are kept, being in a unit")
    if found.faults:
        remarks.append(f"{_files(len(found.faults))} of its folder cannot be read, the first: {found.faults[0]}")
    others = [other for other in found.series if other.first.series != series.first.series]
    aside = [other.name for other in others if other.is_set_aside]
    if aside:
        remarks.append(f"left aside as localisers or too few slices: {', '.join(aside[:6])}")
    if found.patients > 1:
        remarks.append(f"its folder holds scans of {found.patients} patients")
    return remarks


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"
