"""DICOM SEG as label maps: binary, fractional and label maps, sparse frames, by the places of their frames."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.frames import Frame
from neuraxis.volume.formats.dicom.headers import Instance, opened, understood
from neuraxis.volume.formats.dicom.pixels import frames_in
from neuraxis.volume.formats.dicom.series import Found, find
from neuraxis.volume.formats.dicom.stack import Stack, pile, stack_on
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

# What a segment's description says where neuraxis wrote it: the number that the label has in its label map.
NUMBERED = re.compile(r"label (\d{1,5})")
_TAGS = ["SegmentSequence", "SegmentationType", "MaximumFractionalValue", "PixelPaddingValue",
         "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence", "SegmentsOverlap"]  # fmt: skip
_APART = 2e-3
_MAX_SEGMENTS = 32767


@dataclass(frozen=True)
class Content:
    """What a DICOM SEG says about its segments and frames.

    Attributes:
        kind: BINARY, FRACTIONAL or LABELMAP.
        names: segment number to its name.
        numbers: segment number to the number of its label.
        segments: of each frame; 0 in a label map.
        highest: the value of a fraction of 1.
        padding: the value of a label map that means nothing; None: there is none.
    """

    kind: str
    names: dict[int, str]
    numbers: dict[int, int]
    segments: tuple[int, ...]
    highest: float = 1.0
    padding: int | None = None


def segments_of(path: Path) -> dict[str, int]:
    """Return the name and number of each label in a DICOM SEG, by rising number.

    Raises:
        DataError: it is none, or cannot be read.
    """
    found = find(path)
    content = _content(_only(found, found.identity.shown(path)))
    return {content.names[number]: label for number, label in sorted(content.numbers.items(), key=lambda pair: pair[1])}


def read(found: Found, who: str, segment: str = "") -> Volume:
    """Read a DICOM SEG by itself as labels (1, X, Y, Z), on the grid that its frames span.

    Args:
        found: what its path holds.
        who: names the path in messages.
        segment: name or number of the only one to read; empty: all of them, which must not overlap.

    Raises:
        DataError: it is refused, or segments overlap.
    """
    instance = _only(found, who)
    stack = _stack(instance, who)
    return _volume(instance, stack, Stored.of(stack.grid()), who, segment)


def read_grid(found: Found, who: str) -> Grid:
    """Return the canonical grid that the frames of a DICOM SEG span."""
    return Stored.of(_stack(_only(found, who), who).grid()).canonical_grid


def read_onto(path: Path, segment: str, image: Stored) -> Volume:
    """Read a DICOM SEG as labels (1, X, Y, Z) on the grid of its image; slices that it leaves out hold 0.

    Where the image was read from DICOM, each frame finds its source slice, tilted and unevenly spaced ones too.

    Args:
        path: of the DICOM SEG.
        segment: name or number of the only one to read; empty: all of them, which must not overlap.
        image: how the image lies.

    Raises:
        DataError: it is refused, segments overlap, or it was drawn on another image.
    """
    found = find(path)
    who = found.identity.shown(path)
    instance = _only(found, who)
    stack = getattr(image.header, "stack", None)
    if isinstance(stack, Stack):
        return _volume(instance, stack, image, who, segment)
    turned = _turned(image.canonical_grid, Stored.of(_stack(instance, who).grid()))
    return _volume(instance, stack_on(turned.grid), turned, who, segment)


def _turned(grid: Grid, like: Stored) -> Stored:
    """Return how a canonical grid lies where its axes run as those of a file do."""
    x, y, z = (grid.shape[like.axes.index(axis)] for axis in range(3))
    turn = like.turn.grid(Grid((x, y, z), np.eye(4))).affine
    return Stored(Grid((x, y, z), grid.affine @ np.linalg.inv(turn)), like.axes, like.flips)


def _only(found: Found, who: str) -> Instance:
    if len(found.segmentations) == 1:
        return found.segmentations[0]
    if found.segmentations:
        raise DataError(f"{who}: holds {len(found.segmentations)} segmentations. Name the file that is meant.")
    raise DataError(found.faults[0] if found.faults else f"{who}: is no DICOM SEG. Name a segmentation.")


def _volume(instance: Instance, stack: Stack, stored: Stored, who: str, segment: str) -> Volume:
    content = _content(instance)
    wanted = _wanted(content, segment, who)
    slices = _painted(instance, content, stack, wanted, who)
    labels = stack.straighten_labels(slices) if stack.frames[0].path != Path() else slices
    array = stored.to_canonical(labels.transpose(2, 1, 0)[None])
    return Volume(array, stored.canonical_grid, Stored(stored.grid, stored.axes, stored.flips), who)


def _content(instance: Instance) -> Content:
    who = instance.shown
    with opened(instance.path, _TAGS, pixels=False) as dataset, understood(who):
        kind = str(dataset.get("SegmentationType", "")).upper()
        if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
            raise DataError(f"{who}: is a segmentation of an unknown kind. Needed is BINARY, FRACTIONAL or LABELMAP.")
        names, numbers = _segments(dataset, instance)
        shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
        groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
        segments = tuple(0 if kind == "LABELMAP" else _segment_of(group, shared) for group in groups)
        padding = dataset.get("PixelPaddingValue")
        highest = float(dataset.get("MaximumFractionalValue", 1) or 1)
    unknown = set(segments) - set(numbers) - ({0} if kind == "LABELMAP" else set())
    if unknown or not numbers:
        raise DataError(f"{who}: its frames name segments that it does not describe. Fetch or export it again.")
    return Content(kind, names, numbers, segments, highest, None if padding is None else int(padding))


def _segments(dataset: Any, instance: Instance) -> tuple[dict[int, str], dict[int, int]]:
    """Return names and label numbers by segment number, names made unlike where they are alike."""
    names: dict[int, str] = {}
    told: dict[int, int] = {}
    for item in dataset.get("SegmentSequence") or ():
        number = int(item.SegmentNumber)
        label = instance.identity.mask_words(str(item.get("SegmentLabel", "") or f"segment {number}").strip())
        if number == 0 and label.casefold() == "background":
            continue
        if not 0 <= number <= _MAX_SEGMENTS or number in names:
            raise DataError(f"{instance.shown}: its segments are misnumbered. Fetch or export it again.")
        names[number] = label if label not in names.values() else f"{label} {number}"
        match = NUMBERED.fullmatch(str(item.get("SegmentDescription", "") or "").strip())
        told[number] = int(match[1]) if match else 0
    trusted = all(told.values()) and len(set(told.values())) == len(told)
    return names, told if trusted else {number: number for number in names}


def _segment_of(group: Any, shared: Any) -> int:
    for place in (group, shared):
        if place is not None and (told := place.get("SegmentIdentificationSequence")):
            return int(told[0].ReferencedSegmentNumber)
    return -1


def _wanted(content: Content, segment: str, who: str) -> dict[int, int]:
    """Return the segments that are read and the numbers they become."""
    if not segment:
        return content.numbers
    for number, name in content.names.items():
        if segment.casefold() in (name.casefold(), str(number)):
            return {number: content.numbers[number]}
    known = ", ".join(f"{number} {name}" for number, name in content.names.items())
    raise DataError(f"{who}: has no such segment. There are {known}.")


def _stack(instance: Instance, who: str) -> Stack:
    """Return the stack that the places of a segmentation's frames span, gaps included."""
    places: dict[tuple[float, ...], Frame] = {}
    for frame in instance.frames:
        if frame.position is None:
            raise DataError(f"{who}: its frames do not say where they lie. Fetch or export it again.")
        places.setdefault(tuple(round(part, 2) for part in frame.position), frame)
    return pile(_filled(list(places.values()), who), (instance.rows, instance.columns), who)


def _filled(frames: list[Frame], who: str) -> list[Frame]:
    """Add the frames that a segmentation leaves out, by the distance that its header tells."""
    first, distance = frames[0], frames[0].distance or frames[0].thickness
    if len(frames) < 2 or distance <= 0:
        return frames
    normal = np.cross(first.row, first.column)
    corners = np.array([frame.position for frame in frames])
    order = np.argsort(corners @ normal)
    found = [frames[order[0]]]
    for index in order[1:]:
        frame, before = frames[index], found[-1]
        apart = np.array(frame.position) - np.array(before.position)
        lacking = round(float(apart @ normal) / distance) - 1
        if lacking > 10_000:
            raise DataError(f"{who}: its frames are strewn too far. Fetch or export it again.")
        for step in range(1, lacking + 1):
            x, y, z = np.array(before.position) + apart * (step / (lacking + 1))
            found.append(_at(first, (float(x), float(y), float(z))))
        found.append(frame)
    return found


def _at(frame: Frame, position: tuple[float, float, float]) -> Frame:
    return Frame(
        frame.path, -1, position, frame.row, frame.column, frame.spacing, frame.thickness, frame.distance, 1.0, 0.0, ()
    )


def _painted(instance: Instance, content: Content, stack: Stack, wanted: dict[int, int], who: str) -> np.ndarray:
    """Return the labels on the slices of a stack (K, rows, columns)."""
    dtype = np.uint8 if max(wanted.values()) < 256 else np.int16
    slices = np.zeros((len(stack.places), *stack.shape), dtype)
    weights = np.full(slices.shape, 0.5, np.float32) if content.kind == "FRACTIONAL" else None
    owners: dict[tuple[int, int], int] = {}
    for place, mask, segment in _placed(instance, content, stack, who):
        if content.kind == "LABELMAP":
            for number, label in wanted.items():
                slices[place][mask == number] = label
        elif segment in wanted and weights is not None:
            above = mask / content.highest > weights[place]
            slices[place][above] = wanted[segment]
            weights[place][above] = mask[above] / content.highest
        elif segment in wanted:
            shared = (slices[place] != 0) & (slices[place] != wanted[segment]) & (mask != 0)
            if shared.any():
                other = int(np.bincount(slices[place][shared]).argmax())
                key = (other, wanted[segment])
                owners[key] = owners.get(key, 0) + int(shared.sum())
            slices[place][mask != 0] = wanted[segment]
    _refuse_overlap(owners, content, who)
    return slices


def _placed(instance: Instance, content: Content, stack: Stack, who: str) -> Iterator[tuple[int, np.ndarray, int]]:
    """Yield each frame's slice in the stack, its values moved onto that slice, and its segment."""
    like = stack.frames[0]
    frame = instance.frames[0]
    turned = np.allclose((*frame.row, *frame.column), (*like.row, *like.column), rtol=0, atol=_APART)
    if not turned or not np.allclose(frame.spacing, like.spacing, rtol=_APART):
        raise DataError(
            f"{who}: was drawn on slices of another orientation or spacing than its image. Needed is a segmentation "
            "of this series; name the series it was drawn on."
        )
    normal = np.cross(like.row, like.column)
    origins = np.array([one.position for one in stack.frames])
    heights = origins @ normal
    room = max(float(np.diff(heights).max()) if len(heights) > 1 else stack.step, stack.step) / 2
    for frame, values, segment in zip(instance.frames, frames_in(instance), content.segments, strict=True):
        apart = np.array(frame.position) - origins
        place = int(np.abs(apart @ normal).argmin())
        across = float(apart[place] @ np.array(like.row)) / like.spacing[1]
        down = float(apart[place] @ np.array(like.column)) / like.spacing[0]
        if abs(float(apart[place] @ normal)) > room * 1.01:
            if values.any():
                raise DataError(f"{who}: a frame lies outside of its image. Name the series it was drawn on.")
            continue
        yield place, _laid(values, (round(down), round(across)), stack.shape, who), segment


def _laid(values: np.ndarray, start: tuple[int, int], shape: tuple[int, int], who: str) -> np.ndarray:
    """Lay a frame into a slice that begins elsewhere; only zeros may fall off."""
    if start == (0, 0) and values.shape == shape:
        return values
    result = np.zeros(shape, values.dtype)
    spans = []
    for first, size, room in zip(start, values.shape, shape, strict=True):
        low, high = max(0, first), min(room, first + size)
        spans.append((slice(low, max(low, high)), slice(low - first, max(low, high) - first)))
    (rows, own_rows), (columns, own_columns) = spans
    result[rows, columns] = values[own_rows, own_columns]
    if np.count_nonzero(result) != np.count_nonzero(values):
        raise DataError(f"{who}: a frame reaches out of its image. Name the series it was drawn on.")
    return result


def _refuse_overlap(owners: dict[tuple[int, int], int], content: Content, who: str) -> None:
    if not owners:
        return
    names = {label: content.names[number] for number, label in content.numbers.items()}
    (first, second), count = max(owners.items(), key=lambda pair: pair[1])
    raise DataError(
        f"{who}: '{names[first]}' and '{names[second]}' overlap in {count} voxels, and a label map holds one number a "
        "voxel. Read one segment at a time, by its name."
    )
