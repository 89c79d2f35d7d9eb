"""The names of BraTS: a folder for each case, with four channels and the tumour.

    BraTS20_Training_001/BraTS20_Training_001_{flair,t1,t1ce,t2,seg}.nii      2020 and 2021: labels 1, 2, 4
    BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t2f,t1n,t1c,t2w,seg}.nii.gz      2023: labels 1, 2, 3
    BRATS_001/BRATS_001_{0000,0001,0002,0003,labels}.nii.gz                   the same scans in the Decathlon's order

Labels are necrotic core 1, oedema 2 and enhancing tumour: 4 where every case is of 2020 or 2021, else 3, which is what
4 then is read as; of the Decathlon, whose oedema is 1 and whose core is 2, the two change places. The outputs are the
regions of the challenge: whole tumour, tumour core, enhancing tumour.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.coding import PLAIN, Coding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.opening import Opening
from neuraxis.volume.formats.any_format import stem

CHANNELS = ("FLAIR", "T1", "T1ce", "T2")
SEG = "seg"
# What ends the names of each year: channel, or SEG, to ending.
YEARS: Mapping[str, Mapping[str, str]] = {
    "2020": {"FLAIR": "_flair", "T1": "_t1", "T1ce": "_t1ce", "T2": "_t2", SEG: "_seg"},
    "2023": {"FLAIR": "-t2f", "T1": "-t1n", "T1ce": "-t1c", "T2": "-t2w", SEG: "-seg"},
    "decathlon": {"FLAIR": "_0000", "T1": "_0001", "T1ce": "_0002", "T2": "_0003", SEG: "_labels"},
}


def _recognises(folder: Path) -> bool:
    return not shared.has_description(folder) and any(_year_of(child) for child in _case_folders(folder))


def _read(folder: Path, opening: Opening) -> Dataset:
    found = {child: year for child in _case_folders(folder) if (year := _year_of(child))}
    old = set(found.values()) <= {"2020"}
    enhancing = 4 if old else 3
    coding = {
        "2020": PLAIN if old else Coding(numbers={4: 3}),
        "2023": PLAIN,
        "decathlon": Coding(numbers={1: 2, 2: 1}),
    }
    cases: list[Case] = []
    unlabelled: list[Case] = []
    notes: list[str] = []
    for child, year in found.items():
        files = _files(child, year, notes)
        absent = [name for name in CHANNELS if name not in files]
        if absent:
            notes.append(f"{child.name}: channel '{absent[0]}' {shared.MISSING_FILE}")
            continue
        images = {name: ImageFile(files[name]) for name in CHANNELS}
        subject, session = _patient(child.name, year)
        case = Case(child.name, images, files.get(SEG), subject, session=session, coding=coding[year])
        (cases if SEG in files else unlabelled).append(case)
    if not old and "2020" in found.values():
        notes.append("cases of different years: enhancing tumour, 4 in those of 2020 and 2021, is read as 3")
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="brats",
            channels=CHANNELS,
            modality=dict.fromkeys(CHANNELS, "MRI"),
            labels=labels_with(enhancing),
            cases=tuple(sorted(cases, key=lambda case: case.id)),
            unlabelled=tuple(sorted(unlabelled, key=lambda case: case.id)),
            notes=tuple(notes),
        ),
    )


LAYOUT = shared.Layout("folders of cases whose files end in _flair or -t2f, and _seg (BraTS)", _recognises, _read)


def labels_with(enhancing: int) -> Labels:
    """Return the labels and regions of the challenge with the number of enhancing tumour."""
    names = {"background": 0, "necrotic core": 1, "oedema": 2, "enhancing tumour": enhancing}
    regions = {"whole tumour": (1, 2, enhancing), "tumour core": (1, enhancing), "enhancing tumour": (enhancing,)}
    return Labels(names=names, regions=regions, paint=(2, 1, enhancing))


def _case_folders(folder: Path) -> list[Path]:
    return [child for child in (sorted(folder.iterdir()) if folder.is_dir() else []) if child.is_dir()]


def _year_of(case: Path) -> str:
    """Return whose names a folder's files have; empty where they have none of them."""
    names = {stem(path).lower() for path in shared.scans_in(case)}
    for year, endings in YEARS.items():
        begins = [
            {name[: -len(end)] for name in names if name.endswith(end)} for key, end in endings.items() if key != SEG
        ]
        if set.intersection(*begins):
            return year
    return ""


def _files(case: Path, year: str, notes: list[str]) -> dict[str, Path]:
    scans, files = {stem(path).lower(): path for path in shared.scans_in(case)}, {}
    for key, end in YEARS[year].items():
        found = sorted(name for name in scans if name.endswith(end))
        if found:
            files[key] = scans.pop(found[0])
    odd = [path for name, path in scans.items() if "seg" in name]
    if SEG not in files and len(odd) == 1:
        files[SEG] = odd[0]
        notes.append(f"{case.name}: image {shared.ODD_PAIR}, {odd[0].name}")
    return files


def _patient(case: str, year: str) -> tuple[str, str]:
    """Return patient and time point: of 2023 the last number is the time point."""
    match = re.fullmatch(r"(.+-\d{5})-(\d{3})", case) if year == "2023" else None
    return (match[1], match[2]) if match else (case, "")
