"""Repaired copies of a dataset whose originals stay as they are.

Only what has one right answer is repaired: a label map whose header differs from its image's by less than half a voxel
takes the image's; of two geometries in one header the one that is used stays; whole numbers stored as floats become
integers; a mask of 0 and another number becomes the only label; NaN and infinity get numbers; voxels are stored along
RAS+. Everything else is for somebody who knows the scans, and is told.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.coding import PLAIN
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError, UsageError, suggest
from neuraxis.files import whole_folder
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Stored, Volume
from neuraxis.workers import map_in_order

REPAIRS = ("affine", "labels", "nan", "orientation")
Unknown = Literal["keep", "background", "ignore"]
_WHOLE = 1e-3
_HIDDEN = shutil.ignore_patterns(".*")
_CANONICAL = (0, 1, 2), (False, False, False)


@dataclass(frozen=True)
class Repair:
    """One thing that was changed in a copy.

    Attributes:
        case: id.
        file: the copy, relative to the new folder.
        kind: one of `REPAIRS`.
        message: what was changed, without a full stop.
    """

    case: str
    file: str
    kind: str
    message: str

    def __str__(self) -> str:
        return f"{self.case}: {self.file}: {self.message}"


@dataclass(frozen=True)
class RepairOptions:
    """What is repaired.

    Attributes:
        kinds: of `REPAIRS`.
        unknown: what becomes of numbers in a label map that no label has: they are kept, become background, or get
            the number that is ignored.

    Raises:
        UsageError: a kind is not known.
    """

    kinds: tuple[str, ...]
    unknown: Unknown = "keep"

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in REPAIRS:
                raise UsageError(f"--fix {kind}: no repair is called so. {suggest(kind, REPAIRS)}")


def repair_dataset(
    dataset: Dataset, options: RepairOptions, into: Path, progress: Progress | None = None
) -> tuple[Repair, ...]:
    """Copy a dataset to a new folder, repaired; originals are only read.

    Args:
        dataset: what is copied: the whole of its folder, with files that belong to no case.
        options: what is repaired.
        into: the new folder; it comes into being whole or not at all.
        progress: told how far it is.

    Returns:
        What was changed. A file that cannot be read or written in its format is copied as it is; `check_dataset` of
        the new folder tells what is still wrong.

    Raises:
        UsageError: `into` holds something, or lies in the dataset's folder, or a file of a case does not.
        ResourceError: it cannot be written.
    """
    root, into = dataset.root.resolve(), into.resolve()
    base = root if root.is_dir() else root.parent
    _refuse_place(base, into)
    cases = (*dataset.cases, *dataset.unlabelled)
    refused = next((path for case in cases for path in _files(case) if not path.absolute().is_relative_to(base)), None)
    if refused is not None:
        raise UsageError(f"{refused}: lies outside {base}, so that no copy of the dataset can hold it. Move it inside.")
    if options.unknown == "ignore" and dataset.labels.ignore is None:
        raise UsageError("--unknown ignore: the labels have no number to ignore. Name one in dataset.json.")
    repairs: list[Repair] = []
    with whole_folder(into) as part, (progress or Silent()).stage("repair", len(cases)) as stage:
        shutil.copytree(base, part, dirs_exist_ok=True, ignore=_HIDDEN, ignore_dangling_symlinks=True)
        work = partial(_repair_case, labels=dataset.labels, options=options, base=base, into=part)
        for found in map_in_order(work, cases):
            repairs += found
            stage.advance()
    return tuple(repairs)


def repair_scans(cases: Sequence[Case], options: RepairOptions, into: Path) -> tuple[Repair, ...]:
    """Write repaired copies of scans that belong to no dataset into a new folder, under their own names.

    Raises:
        UsageError: `into` holds something, or two scans bear one name.
        ResourceError: it cannot be written.
    """
    files = [path for case in cases for path in dict.fromkeys(_files(case))]
    if len({path.name for path in files}) < len(files):
        raise UsageError("Two scans bear the same name. Repair them one by one.")
    for path in files:
        _refuse_place(path.parent.resolve() / path.name, into.resolve())
    repairs: list[Repair] = []
    with whole_folder(into.resolve()) as part:
        for case in cases:
            for path in _files(case):
                copy = shutil.copytree if path.is_dir() else shutil.copy2
                copy(path, part / path.name)
                repairs += _repair_case(_alone(case, path), None, options, path.parent.absolute(), part)
    return tuple(repairs)


def _alone(case: Case, path: Path) -> Case:
    return replace(case, images={name: file for name, file in case.images.items() if file.path == path}, label=None)


def _refuse_place(base: Path, into: Path) -> None:
    if into.is_relative_to(base) or base.is_relative_to(into):
        raise UsageError(f"{into}: lies in {base}, or holds it. Name a folder beside it with --into.")


def _files(case: Case) -> list[Path]:
    return [*dict.fromkeys([*(file.path for file in case.images.values()), *case.label_files])]


def _repair_case(case: Case, labels: Labels | None, options: RepairOptions, base: Path, into: Path) -> list[Repair]:
    """Write what is changed of one case over its copy."""
    repairs: list[Repair] = []
    first: Volume | None = None
    for path in _files(case):
        volume = _read(path)
        if volume is None:
            continue
        is_label = path in case.label_files
        told: list[tuple[str, str]] = []
        changed = volume
        if "affine" in options.kinds:
            changed = _one_geometry(changed, first, told)
        if "nan" in options.kinds and not is_label:
            changed = _finite(changed, told)
        if "labels" in options.kinds and is_label and labels is not None:
            changed = _numbered(changed, labels, options.unknown if case.coding == PLAIN else "keep", told, case)
        if "orientation" in options.kinds:
            changed = _canonical(changed, told)
        first = first or changed
        if told:
            place = path.absolute().relative_to(base)
            any_format.write(into / place, changed)
            repairs += [Repair(case.id, place.as_posix(), kind, message) for kind, message in told]
    return repairs


def _read(path: Path) -> Volume | None:
    """Return a scan that can be read and written; others are copied as they are."""
    try:
        if any_format.format_of(path).write is None or not any_format.is_scan(path):
            return None
        return ImageFile(path).read()
    except DataError:
        return None


def _one_geometry(volume: Volume, first: Volume | None, told: list[tuple[str, str]]) -> Volume:
    if first is not None and first.stored is not None and volume.stored is not None:
        grid = first.grid
        if volume.grid.matches(grid, SAME_VOXELS) and not volume.grid.matches(grid):
            apart = volume.grid.corner_distance_mm(grid)
            told.append(("affine", f"takes the geometry of the first image, {apart:.3g} mm apart at the corners"))
            like = replace(first.stored, header=None)
            return Volume(volume.array, grid, like, volume.name)
    remarks = any_format.geometry_remarks(volume)
    if remarks and "is used" in remarks[0] and volume.stored is not None:
        told.append(("affine", "sform and qform are both the one that is used"))
        return replace(volume, stored=replace(volume.stored, header=None))
    return volume


def _finite(volume: Volume, told: list[tuple[str, str]]) -> Volume:
    array = volume.array
    if array.dtype.kind != "f":
        return volume
    bad = ~np.isfinite(array)
    count = int(np.count_nonzero(bad))
    if not count or count == array.size:
        return volume
    low, high = float(array[~bad].min()), float(array[~bad].max())
    told.append(
        ("nan", f"NaN became 0, infinity the largest or smallest finite value ({low:g} to {high:g}), in {count} voxels")
    )
    return volume.with_array(np.nan_to_num(array, nan=0.0, posinf=high, neginf=low))


def _numbered(volume: Volume, labels: Labels, unknown: Unknown, told: list[tuple[str, str]], case: Case) -> Volume:
    array = volume.array
    if array.dtype.kind == "f":
        whole = np.rint(array)
        with np.errstate(invalid="ignore"):
            if not (np.abs(array - whole) <= _WHOLE).all() or np.abs(whole).max(initial=0) >= 2**31:
                return volume
        array = whole.astype(np.int32)
        told.append(("labels", f"whole numbers stored as {volume.array.dtype} became integers"))
    if case.coding == PLAIN:
        array = _known(array, labels, unknown, told)
    if not told or array is volume.array:
        return volume
    low, high = int(array.min()), int(array.max())
    fits = np.uint8 if low >= 0 and high < 256 else np.int16 if low >= -(2**15) and high < 2**15 else np.int32
    return volume.with_array(array.astype(fits))


def _known(array: np.ndarray, labels: Labels, unknown: Unknown, told: list[tuple[str, str]]) -> np.ndarray:
    held = set(np.unique(array).tolist())
    outside = sorted(held - labels.allowed())
    if len(outside) == 1 and held <= {0, *outside} and len(labels.scored) == 1:
        number = next(iter(labels.scored.values()))[0]
        told.append(("labels", f"{outside[0]} became {number}, the only label"))
        return np.where(array == outside[0], number, array)
    if not outside or unknown == "keep":
        return array
    number = 0 if unknown == "background" else int(labels.ignore or 0)
    told.append(("labels", f"{', '.join(map(str, outside[:6]))}, which no label has, became {number}"))
    return np.where(np.isin(array, outside), number, array)


def _canonical(volume: Volume, told: list[tuple[str, str]]) -> Volume:
    stored = volume.stored
    if stored is None or (stored.axes, stored.flips) == _CANONICAL:
        return volume
    told.append(("orientation", f"stored along RAS, was {stored.grid.axis_codes}"))
    return replace(volume, stored=Stored.of(volume.grid))
