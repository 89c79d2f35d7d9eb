"""The series in a folder: told apart by their UID, orientation, spacing and shape, and named without identity."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.frames import Frame
from neuraxis.volume.formats.dicom.headers import Instance, read_header
from neuraxis.volume.formats.dicom.identity import Identity

MAX_FILES = 200_000
MAX_DEPTH = 8
TINY = 3
_LOCALISER = re.compile(r"(?<![a-z])(loc|locali[sz]er|scout|topogram|surview|survey|scanogram|3-?plane)(?![a-z])")
_SAME_DIRECTION, _SAME_SPACING = 2e-3, 1e-3
_LISTED = 12


@dataclass(frozen=True)
class Series:
    """Slices that make one stack, or several of one shape at the same places.

    Attributes:
        name: names it among those of its folder: number and description, and a letter where a series has parts.
        instances: its files, in no order that means anything.
        frames: its slices, in no order that means anything.
        doubled_files: how many further files bore an instance that was there already.
        identity: the words that must not be shown, of all files of the folder.
    """

    name: str
    instances: tuple[Instance, ...]
    frames: tuple[Frame, ...]
    doubled_files: int = 0
    identity: Identity = field(default_factory=Identity)

    @property
    def first(self) -> Instance:
        """One of its files, for what all of them say alike."""
        return self.instances[0]

    @property
    def patients(self) -> int:
        """How many patients its files name."""
        return len({instance.patient for instance in self.instances})

    @property
    def is_localiser(self) -> bool:
        """Whether it only served to plan others."""
        first = self.first
        words = f"{first.description} {first.protocol}".casefold().replace("_", " ")
        return "LOCALIZER" in first.image_type or bool(_LOCALISER.search(words))

    @property
    def is_set_aside(self) -> bool:
        """Whether it is a localiser, of fewer than three slices, or without usable pixels."""
        return self.is_localiser or len(self.frames) < TINY or bool(self.first.fault)

    def describe(self) -> str:
        """Return its name, modality and size, for messages."""
        first = self.first
        kind = f"{first.modality}, " if first.modality else ""
        note = ", localiser" if self.is_localiser else ""
        return f"'{self.name}' ({kind}{len(self.frames)} of {first.columns} x {first.rows}{note})"


@dataclass(frozen=True)
class Found:
    """What a path holds.

    Attributes:
        series: image series, the larger ones first where numbers do not say.
        segmentations: DICOM SEG files.
        faults: files that begin as DICOM does and cannot be read, as sentences.
        others: objects without pixels, such as reports.
        identity: the words that must not be shown.
    """

    series: tuple[Series, ...]
    segmentations: tuple[Instance, ...]
    faults: tuple[str, ...]
    others: int
    identity: Identity

    @property
    def patients(self) -> int:
        """How many patients the image series name."""
        return len({instance.patient for series in self.series for instance in series.instances})

    def listed(self) -> str:
        """Return the series in words, for messages."""
        every = [series.describe() for series in self.series]
        more = [f"and {len(every) - _LISTED} more"] if len(every) > _LISTED else []
        return ", ".join([*every[:_LISTED], *more])


def find(path: Path) -> Found:
    """Find the series in a folder, its subfolders included, or in one file.

    Raises:
        DataError: there is no such path, or too many files.
    """
    instances: list[Instance] = []
    faults: list[str] = []
    for file in _files(path):
        try:
            instance = read_header(file)
        except DataError as error:
            faults.append(str(error))
            continue
        if instance is not None:
            instances.append(instance)
    identity = Identity.joined(instance.identity for instance in instances)
    images = [instance for instance in instances if instance.frames and not instance.is_segmentation]
    segmentations = tuple(instance for instance in instances if instance.is_segmentation and instance.frames)
    others = len(instances) - len(images) - len(segmentations)
    hidden = tuple(_hidden(fault, identity) for fault in faults)
    return Found(_named(_split(images), identity), segmentations, hidden, others, identity)


def choose(found: Found, who: str, name: str = "") -> Series:
    """Return the series that is meant.

    Args:
        found: what a path holds.
        who: names the path in messages.
        name: of a series, its number, or its description; empty: the only one that is not set aside.

    Raises:
        DataError: none, or several could be meant.
    """
    refuse_nothing(found, who)
    if name:
        return _by_name(found, who, name)
    if found.patients > 1:
        raise DataError(
            f"{who}: holds series of {found.patients} patients: {found.listed()}. Sort them into one folder each."
        )
    whole = [series for series in found.series if not series.is_set_aside]
    if len(whole) == 1 or len(found.series) == 1:
        return (whole or list(found.series))[0]
    raise DataError(f"{who}: holds {len(found.series)} series: {found.listed()}. Name the one that is meant.")


def refuse_nothing(found: Found, who: str) -> None:
    """Raise `DataError` where a path holds no image series, with the reason."""
    if found.series:
        return
    if found.faults:
        raise DataError(found.faults[0])
    what = "a segmentation and no image" if found.segmentations else "no DICOM image"
    raise DataError(f"{who}: holds {what}. Name a folder of slices.")


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    if not path.is_dir():
        raise DataError(f"{Identity().mask(path.name)}: no such file or folder. Check the name.")
    count = 0
    folders = [(path, 0)]
    while folders:
        folder, depth = folders.pop()
        try:
            entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir():
                folders += [(entry, depth + 1)] if depth < MAX_DEPTH and not entry.is_symlink() else []
                continue
            count += 1
            if count > MAX_FILES:
                raise DataError(f"A folder of DICOM holds more than {MAX_FILES} files. Name a study or a series.")
            yield entry


def _hidden(fault: str, identity: Identity) -> str:
    name, colon, rest = fault.partition(": ")
    return f"{identity.mask(name)}{colon}{rest}"


def _split(images: Sequence[Instance]) -> list[Series]:
    """Part files by series, orientation, spacing and shape, and leave out what was copied."""
    by_series: dict[str, list[Instance]] = {}
    for instance in images:
        by_series.setdefault(instance.series, []).append(instance)
    return [part for instances in by_series.values() for part in _parts(instances)]


def _parts(instances: list[Instance]) -> list[Series]:
    seen: set[str] = set()
    doubled = 0
    groups: list[tuple[Instance, Frame, list[Instance], list[Frame]]] = []
    for instance in instances:
        uid = instance.frames[0].uid
        if uid and uid in seen:
            doubled += 1
            continue
        seen.add(uid)
        for frame in instance.frames:
            for example, like, members, frames in groups:
                if _alike(instance, frame, example, like):
                    if members[-1] is not instance:
                        members.append(instance)
                    frames.append(frame)
                    break
            else:
                groups.append((instance, frame, [instance], [frame]))
    return [
        Series("", tuple(members), tuple(frames), doubled if place == 0 else 0)
        for place, (_, _, members, frames) in enumerate(groups)
    ]


def _alike(instance: Instance, frame: Frame, other: Instance, like: Frame) -> bool:
    same = (instance.rows, instance.columns, instance.photometric, bool(instance.fault)) == (
        other.rows,
        other.columns,
        other.photometric,
        bool(other.fault),
    )
    return (
        same
        and (frame.position is None) == (like.position is None)
        and bool(np.allclose((*frame.row, *frame.column), (*like.row, *like.column), rtol=0, atol=_SAME_DIRECTION))
        and bool(np.allclose(frame.spacing, like.spacing, rtol=_SAME_SPACING, atol=0))
    )


def _named(parts: list[Series], identity: Identity) -> tuple[Series, ...]:
    """Order series by their number and give each a name of its own."""
    parts = sorted(parts, key=lambda part: (part.first.number, part.first.description, -len(part.frames)))
    plain = [_plain_name(part, place, identity) for place, part in enumerate(parts, start=1)]
    named, letters = [], dict.fromkeys(plain, 0)
    for part, name in zip(parts, plain, strict=True):
        letters[name] += 1
        told = name if plain.count(name) == 1 else f"{name}.{letters[name]}"
        named.append(replace(part, name=told, identity=identity))
    return tuple(named)


def _plain_name(part: Series, place: int, identity: Identity) -> str:
    first = part.first
    words = first.description or first.protocol or first.modality
    words = re.sub(r"[^A-Za-z0-9.+-]+", "_", "" if identity.is_named_in(words) else words).strip("_.")[:48]
    number = str(first.number) if 0 <= first.number < 10**6 else ""
    return "-".join(word for word in (number, words) if word) or f"series_{place}"


def _by_name(found: Found, who: str, name: str) -> Series:
    wanted = name.casefold()
    for tell in (
        lambda series: series.name,
        lambda series: str(series.first.number),
        lambda series: series.first.description,
        lambda series: series.first.protocol,
    ):
        fitting = [series for series in found.series if tell(series).casefold() == wanted]
        if len(fitting) > 1:
            fitting = [series for series in fitting if not series.is_set_aside] or fitting
        if len(fitting) == 1:
            return fitting[0]
    shown = found.identity.mask(name)
    raise DataError(f"{who}: '{shown}' names no series, or several. There are {found.listed()}.")
