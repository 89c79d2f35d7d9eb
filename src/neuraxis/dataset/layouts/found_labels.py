"""Labels that no description names, found out by a look at the label maps themselves.

Files that describe their segments (`.seg.nrrd`, DICOM SEG) give names; numbers of one name may differ from file to
file. A table beside the data names what occurs. Else a small set of whole numbers becomes `label 1`, `label 2`, and
so on. A mask of 0 and 255 is one label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.coding import PLAIN, Coding
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts.label_tables import LabelTable, find_table
from neuraxis.errors import DataError, MissingExtra
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.format import Segment
from neuraxis.workers import map_in_order

MOST = 256
UNSEEN = Labels(names={"background": 0, "label 1": 1})


@dataclass(frozen=True)
class FoundLabels:
    """What a look at label maps told.

    Attributes:
        labels: of the dataset.
        cases: with the coding that each needs.
        notes: in words.
    """

    labels: Labels
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()


def find_labels(cases: Sequence[Case], folders: Iterable[Path], table: LabelTable | None = None) -> FoundLabels:
    """Find the labels of labelled cases; label maps that cannot be read are left to the check.

    Args:
        cases: each with a label map of one layer, or of segments.
        folders: where a table of labels may lie.
        table: that the user named; it goes before any other.

    Raises:
        DataError: so many numbers occur that these are no label maps.
    """
    notes: tuple[str, ...] = ()
    if not cases:
        return FoundLabels(UNSEEN, (), ("no label map was found, so the labels are not known",))
    described = list(map_in_order(_segments_in, [case.label for case in cases]))
    if any(described):
        return _by_segments(cases, described)
    if table is None and (found := find_table(*folders)) is not None:
        table, notes = found[1], (f"the labels are called as in {found[0].name}",)
    numbers = set().union(*map_in_order(_numbers_in, [case.label for case in cases]))
    if len(numbers) > MOST or min(numbers, default=0) < 0:
        raise DataError(
            f"{cases[0].label.parent if cases[0].label else ''}: the label maps hold {len(numbers)} different numbers, "
            f"from {min(numbers)} to {max(numbers)}. Needed are label maps of at most {MOST} labels; are these images?"
        )
    if numbers - {0} == {255} and table is None:
        coded = tuple(replace(case, coding=Coding(numbers={255: 1})) for case in cases)
        return FoundLabels(UNSEEN, coded, ("the label maps hold 0 and 255; 255 is taken as label 1",))
    if not numbers - {0}:
        return FoundLabels(UNSEEN, tuple(cases), ("no label map holds a label",))
    where = str(cases[0].label.parent if cases[0].label else "")
    labels = (table or LabelTable({}, {})).labels(numbers, where)
    if table is None:
        notes = (f"nothing names the labels; they are called by their numbers: {shared.listed(labels.scored)}",)
    return FoundLabels(labels, tuple(cases), notes)


def _by_segments(cases: Sequence[Case], described: Sequence[tuple[Segment, ...]]) -> FoundLabels:
    """Number the names of segments, and give each case the coding that turns its own numbers into these."""
    names: dict[str, int] = {}
    colours: dict[str, str] = {}
    taken: dict[int, str] = {}
    for segments in described:
        for name, segment in _unique(segments).items():
            if name not in names:
                number = segment.value if segment.value not in taken else max(taken) + 1
                names[name], taken[number] = number, name
            colours |= {name: segment.colour} if segment.colour else {}
    labels = shared.build_labels("segments", names={"background": 0, **names}, colours=colours)
    coded = [
        replace(case, coding=_coding(_unique(segments), names)) for case, segments in zip(cases, described, strict=True)
    ]
    return FoundLabels(labels, tuple(coded), ("the labels are the segments that the label maps describe",))


def _unique(segments: Sequence[Segment]) -> dict[str, Segment]:
    found: dict[str, Segment] = {}
    for segment in segments:
        name = segment.name if segment.name not in found else f"{segment.name} {segment.value}"
        found[name] = segment
    return found


def _coding(segments: Mapping[str, Segment], names: Mapping[str, int]) -> Coding:
    layers: list[dict[int, int]] = [{} for _ in range(1 + max((one.layer for one in segments.values()), default=0))]
    for name, segment in segments.items():
        layers[segment.layer][segment.value] = names[name]
    if len(layers) > 1:
        return Coding(layers=tuple(layers))
    changed = {value: number for value, number in layers[0].items() if value != number}
    return Coding(numbers=changed) if changed else PLAIN


def _segments_in(path: Path | None) -> tuple[Segment, ...]:
    try:
        return any_format.segments_of(path) if path is not None else ()
    except (DataError, MissingExtra):
        return ()


def _numbers_in(path: Path | None) -> frozenset[int]:
    if path is None:
        return frozenset()
    try:
        status = path.stat()
        return _numbers(path, status.st_size, status.st_mtime_ns)
    except (OSError, ValueError, DataError, MissingExtra):
        return frozenset()


@lru_cache(maxsize=100_000)
def _numbers(path: Path, size: int, modified: int) -> frozenset[int]:
    """Return the whole numbers of a label map; of one that holds more than labels do, the first of them."""
    whole = PLAIN.decode(list(any_format.read(path).array))
    if whole.size and whole.dtype.kind in "iu" and whole.min() >= 0 and whole.max() < 2**16:
        return frozenset(np.flatnonzero(np.bincount(whole.ravel(order="K"))).tolist())
    return frozenset(int(number) for number in np.unique(whole)[: 4 * MOST])
