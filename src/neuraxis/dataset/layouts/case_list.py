"""A list of cases: CSV or TSV with a header, or JSON.

    case,subject,site,session,fold,FLAIR,T1,label
    p1_a,p1,north,2020,0,scans/p1_FLAIR.nii.gz,scans/p1_T1.nii.gz,masks/p1.nii.gz
    p2,p2,south,,test,scans/p2_FLAIR.nii.gz,scans/p2_T1.nii.gz,

Only the columns of channels are needed: every column that has none of the other names is one, and so is `image`.
Paths are relative to the list. `fold` is the number of the fold that holds a case out, or `train`, `valid`, `test`;
cases of `test` and those without a label map are unlabelled. In JSON each case is an object with the same keys, in a
list, or in one named `training` beside one named `test`, as MONAI writes it; an `image` may be a list of files there.
The list is `cases.csv`, `cases.tsv` or `cases.json` in the dataset's folder, or any file that is named itself.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts import folders
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts.found_labels import FoundLabels, find_labels
from neuraxis.dataset.layouts.label_tables import read_table
from neuraxis.dataset.opening import Opening
from neuraxis.dataset.splits import Fold
from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.volume.formats.any_format import stem

ABOUT = ("case", "subject", "site", "session", "label", "fold")
PARTS = {"train": "train", "training": "train", "valid": "valid", "validation": "valid", "val": "valid"}
MAX_BYTES = 2**26
Row = Mapping[str, Any]


def _recognises(folder: Path) -> bool:
    if folder.is_file():
        return folder.suffix.lower() in shared.LISTS
    keys = shared.description_keys(folder)
    is_monai = isinstance(keys.get("training"), list) and not {"modality", "channel_names"} & keys.keys()
    return any((folder / name).is_file() for name in shared.LIST_NAMES) or is_monai


def _read(folder: Path, opening: Opening) -> Dataset:
    path = (
        folder
        if folder.is_file()
        else next((folder / name for name in shared.LIST_NAMES if (folder / name).is_file()), folder)
    )
    path = path if path.is_file() else folder / shared.DESCRIPTION
    rows, numbers = _rows(path)
    channels = tuple(dict.fromkeys(name for row in rows for name in _images(row)))
    if not channels:
        raise DataError(f"{path}: names no image. Needed is a column for each channel, such as FLAIR, with its files.")
    cases: dict[str, Case] = {}
    folds: dict[str, str] = {}
    notes: list[str] = []
    for place, row in enumerate(rows, start=1):
        case, problem = _case(path, row, channels, f"{path.name}, case {place}")
        if case.id in cases:
            raise DataError(f"{path}: two cases are called '{case.id}'. Name them apart in the column 'case'.")
        notes += [f"{case.id}: {problem}"] if problem else []
        if not problem:
            cases[case.id], folds[case.id] = case, str(row.get("fold", "")).strip().casefold()
    held = [id for id, fold in folds.items() if fold == "test"]
    labelled = [case for id, case in cases.items() if case.label is not None and id not in held]
    others = [case.relabelled(None) for id, case in cases.items() if case.label is None or id in held]
    named = read_table(opening.label_table) if opening.label_table else None
    told = find_labels(labelled, (path.parent,), named)
    if numbers and named is None and labelled:
        told = FoundLabels(shared.build_labels(str(path), names=numbers), tuple(labelled))
    modality, remark = folders.modality_of(channels, labelled)
    return shared.refuse_empty(
        Dataset(
            name=folder.name if folder.is_dir() else folder.stem,
            root=folder,
            layout="list",
            channels=channels,
            modality=modality,
            labels=told.labels,
            cases=tuple(sorted(told.cases, key=lambda case: case.id)),
            unlabelled=tuple(sorted(others, key=lambda case: case.id)),
            own_folds=_own_folds(path, {case.id: folds[case.id] for case in labelled}),
            notes=(*notes, *told.notes, *remark),
        ),
    )


LAYOUT = shared.Layout("a list of cases, cases.csv or cases.json", _recognises, _read)


def _rows(path: Path) -> tuple[list[Row], dict[str, int]]:
    """Return the rows of a list, and labels where it names them."""
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: is larger than {MAX_BYTES >> 20} MiB, too large for a list of cases. Split it.")
    if path.suffix.lower() == ".json":
        return _json_rows(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            rows = [{str(key).strip(): (value or "").strip() for key, value in row.items()} for row in table]
    except (OSError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        raise DataError(
            f"{path}: cannot be read as a table ({error}). Needed is a header and a line a case."
        ) from error
    return list(rows), {}


def _json_rows(path: Path) -> tuple[list[Row], dict[str, int]]:
    content = read_json(path)
    listed = content.get("training", content.get("cases")) if isinstance(content, Mapping) else content
    tests = content.get("test") if isinstance(content, Mapping) else None
    rows = [*(listed if isinstance(listed, list) else [None])]
    rows += [{**row, "fold": "test"} if isinstance(row, Mapping) else row for row in (tests or [])]
    rows = [{"image": row} if isinstance(row, str) else row for row in rows]
    if not all(isinstance(row, Mapping) for row in rows):
        raise DataError(
            f'{path}: needed is a list of cases, such as [{{"FLAIR": "a.nii.gz", "label": "a_seg.nii.gz"}}].'
        )
    told = content.get("labels") if isinstance(content, Mapping) else None
    names = shared.names_and_numbers(told, f"{path}: labels") if told else {}
    return rows, {name: shared.whole_number(number, f"{path}: labels.{name}") for name, number in names.items()}


def _images(row: Row) -> dict[str, str]:
    """Return channel to path; several files of an `image` are numbered."""
    found: dict[str, str] = {}
    for name, value in row.items():
        if name in ABOUT or not value:
            continue
        if isinstance(value, list):
            found |= {f"{name}_{place}": str(path) for place, path in enumerate(value)}
        elif isinstance(value, str):
            found[name] = value
    return found


def _case(path: Path, row: Row, channels: Sequence[str], where: str) -> tuple[Case, str]:
    """Return a case, and what is wrong with it; empty where nothing is."""
    files = {name: path.parent / file for name, file in _images(row).items()}
    label = path.parent / str(row["label"]) if row.get("label") else None
    first = next(iter(files.values()), label)
    id = str(row.get("case") or "").strip() or (stem(first) if first is not None else "")
    if not id:
        raise DataError(f"{where}: names no file. Give each case an image.")
    subject, session = shared.subject_and_session(id, {})
    told = {key: str(row.get(key) or "").strip() for key in ("subject", "session", "site")}
    images = {name: ImageFile(files[name]) for name in channels if name in files}
    case = Case(id, images, label, told["subject"] or subject, told["site"], told["session"] or session)
    absent = [name for name in channels if name not in files]
    lost = [file for file in (*files.values(), *case.label_files) if not file.exists()]
    if absent:
        return case, f"channel '{absent[0]}' {shared.MISSING_FILE}"
    return case, f"{lost[0]} {shared.MISSING_FILE}" if lost else ""


def _own_folds(path: Path, folds: Mapping[str, str]) -> tuple[Fold, ...]:
    """Return the splits that the column `fold` tells: one by train and valid, else one for each number."""
    used = set(folds.values()) - {""}
    if not used:
        return ()
    parts = {fold: PARTS.get(fold, "") for fold in used}
    if all(parts.values()):
        training, validation = (
            tuple(sorted(id for id, fold in folds.items() if parts.get(fold) == part)) for part in ("train", "valid")
        )
        return (Fold(training, validation),) if training and validation else ()
    if not all(fold.isdigit() for fold in used) or "" in folds.values():
        odd = next((fold for fold in folds.values() if not fold.isdigit()), "")
        raise DataError(
            f"{path}: the fold {odd!a} is no number. Needed is for every case a number, or train, valid or test."
        )
    held = {
        number: tuple(sorted(id for id, fold in folds.items() if fold == number)) for number in sorted(used, key=int)
    }
    return tuple(Fold(tuple(sorted(set(folds) - set(out))), out) for out in held.values())
