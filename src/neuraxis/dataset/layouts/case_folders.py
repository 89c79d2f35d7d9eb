"""A folder for each case, with files of the same names in each: its channels, and one label map.

    my-data/
        patient01/FLAIR.nii.gz, patient01/T1.nii.gz, patient01/gt.nii.gz
        patient02/...

The label map is the file called seg, mask, label, gt and the like, alone or at the end of its name; the name of the
folder at the beginning of a file's does not count.
"""

from __future__ import annotations

import re
from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts import folders, pairs
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts.found_labels import find_labels
from neuraxis.dataset.layouts.label_tables import read_table
from neuraxis.dataset.opening import Opening
from neuraxis.volume.formats.any_format import stem

_LABEL = re.compile(r"(?i)(?:.*[_.-])?(?:labels?|masks?|seg|segm|segmentations?|gt|groundtruth|manual|consensus)")
_NO_CASE = {
    *pairs.IMAGE_FOLDERS,
    *pairs.LABEL_FOLDERS,
    "imagestr",
    "labelstr",
    "imagests",
    "derivatives",
    "train",
    "test",
}


def _recognises(folder: Path) -> bool:
    if shared.has_description(folder) or shared.scans_in(folder):
        return False
    found = [_files(child) for child in _case_folders(folder)]
    labelled = [files for files in found if len(_label_names(files)) == 1 and len(files) > 1]
    return bool(labelled) and all(len(_label_names(files)) <= 1 for files in found if files)


def _read(folder: Path, opening: Opening) -> Dataset:
    found = {child.name: _files(child) for child in _case_folders(folder)}
    found = {id: files for id, files in found.items() if files}
    labels = {id: files.pop(names[0]) for id, files in found.items() if (names := _label_names(files))}
    channels = tuple(sorted(set().union(*(found[id] for id in labels or found))))
    cases: list[Case] = []
    unlabelled: list[Case] = []
    notes: list[str] = []
    for id, files in sorted(found.items()):
        absent = [name for name in channels if name not in files]
        if absent:
            notes.append(f"{id}: channel '{absent[0]}' {shared.MISSING_FILE}")
            continue
        subject, session = shared.subject_and_session(id, {})
        images = {name: ImageFile(files[name]) for name in channels}
        case = Case(id, images, labels.get(id), subject, session=session)
        (cases if id in labels else unlabelled).append(case)
    told = find_labels(cases, (folder,), read_table(opening.label_table) if opening.label_table else None)
    modality, remark = folders.modality_of(channels, cases)
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="case-folders",
            channels=channels,
            modality=modality,
            labels=told.labels,
            cases=told.cases,
            unlabelled=tuple(unlabelled),
            notes=(*notes, *told.notes, *remark),
        ),
    )


LAYOUT = shared.Layout(
    "folders of cases: their channels, one file called seg, mask or gt", _recognises, _read, last=True
)


def _case_folders(folder: Path) -> list[Path]:
    return [
        child
        for child in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if child.is_dir() and not child.name.startswith((".", "sub-")) and child.name.casefold() not in _NO_CASE
    ]


def _files(case: Path) -> dict[str, Path]:
    """Return the scans of a case by their names, without the case's own name before them."""
    found = {}
    for path in pairs.of_kind(shared.scans_in(case), pictures=False):
        name = stem(path)
        short = name.removeprefix(case.name).lstrip("_.-")
        found[short or name] = path
    return found


def _label_names(files: dict[str, Path]) -> list[str]:
    return [name for name in files if _LABEL.fullmatch(name)]
