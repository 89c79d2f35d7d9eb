"""From a folder to a `Dataset`, whichever layout it has."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.catalog import LAYOUTS
from neuraxis.dataset.layouts.label_tables import with_table
from neuraxis.dataset.layouts.layout import DESCRIPTION, LISTS, NO_IMAGE, NO_LABEL, Layout, description_keys, scans_in
from neuraxis.dataset.opening import Opening, Place
from neuraxis.errors import DataError, MissingExtra
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.any_format import stem
from neuraxis.volume.formats.dicom import dicom


def open_dataset(
    path: Path | str,
    layout: str = "auto",
    subject: str = "",
    label_table: Path | str | None = None,
    volume: int | Literal["mean"] | None = None,
) -> Dataset:
    """Open a folder of labelled scans; no image is read yet, and label maps only where nothing names the labels.

    Args:
        path: the dataset's folder, its dataset.json, or a list of cases (CSV or JSON).
        layout: a name of `neuraxis catalog layouts`, or "auto" to have it recognised.
        subject: regular expression whose one group finds the patient in a case's name.
        label_table: file with the names of the labels.
        volume: which one of images that hold several, or the "mean" of all; None: the mean of BIDS series alone.

    Raises:
        DataError: there is no such folder, no layout (or more than one) recognises it, or it breaks the layout's rules.
        UnknownName: no layout is called so.
        UsageError: `subject` cannot be used.
    """
    table = Path(label_table) if label_table else None
    return open_place(Place(Path(path), Opening(layout, subject, table, volume)))


def open_place(place: Place | Path | str) -> Dataset:
    """Open a dataset where it lies, as `open_dataset` does."""
    place = place if isinstance(place, Place) else Place(Path(place))
    opening, root = place.opening, _root(place.path)
    layout: Layout = LAYOUTS.load(_recognise(root) if opening.layout == "auto" else opening.layout)
    if not layout.recognises(root):
        raise DataError(
            f"{root}: is not of the layout '{opening.layout}'. Looked for {layout.looks_for}; found {_contents(root)}."
        )
    dataset = layout.read(root, opening)
    if opening.label_table is not None:
        dataset = with_table(dataset, opening.label_table)
    if opening.volume is not None:
        dataset = _with_volume(dataset, opening.volume)
    if opening.subject:
        known, others = (
            tuple(replace(case, subject=opening.subject_of(case.id)) for case in cases)
            for cases in (dataset.cases, dataset.unlabelled)
        )
        dataset = replace(dataset, cases=known, unlabelled=others)
    return replace(dataset, opening=opening)


def _with_volume(dataset: Dataset, volume: int | Literal["mean"]) -> Dataset:
    """Return the dataset in which images that hold several volumes are taken by one of them, or by their mean."""

    def chosen(file: ImageFile) -> ImageFile:
        try:
            several = file.index is None and any_format.read_grid(file.path, file.series)[1] > 1
        except (DataError, MissingExtra):  # the check will say so
            several = False
        return replace(file, index=volume) if several else file

    known, others = (
        tuple(replace(case, images={name: chosen(file) for name, file in case.images.items()}) for case in cases)
        for cases in (dataset.cases, dataset.unlabelled)
    )
    return replace(dataset, cases=known, unlabelled=others)


def recognising(folder: Path) -> tuple[str, ...]:
    """Return the names of all layouts that recognise a folder; those that come last only where no other does."""
    found = [name for name in LAYOUTS.names() if LAYOUTS.load(name).recognises(folder)]
    return tuple(name for name in found if not LAYOUTS.load(name).last) or tuple(found)


def _root(path: Path) -> Path:
    """Return the absolute path of a dataset's folder, or of the list of its cases."""
    if path.name == DESCRIPTION and path.is_file() and recognising(path.parent):
        path = path.parent
    if not path.exists():
        raise DataError(f"{path}: no such folder. Name the folder of a dataset.")
    if not path.is_dir() and path.suffix.lower() not in LISTS:
        raise DataError(
            f"{path}: is a file. Name the folder of a dataset or a list of cases (.csv, .json); an archive must be "
            "unpacked first."
        )
    return Path(os.path.abspath(path))


def _recognise(folder: Path) -> str:
    found = recognising(folder)
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(f"{folder}: could be of the layouts {', '.join(found)}. Name one of them as the layout.")
    below = any(child.is_dir() and recognising(child) for child in folder.iterdir()) if folder.is_dir() else False
    if folder.is_dir() and not below and dicom.is_part(folder):
        raise DataError(
            f"{any_format.shown(folder)}: holds DICOM, and no layout recognises it as labelled cases. Check or segment "
            "it as it lies, or list its cases and label maps in a file cases.csv (columns: case, label, one a channel)."
        )
    found_here, known = _contents(folder), ", ".join(LAYOUTS.names())
    raise DataError(f"{folder}: no layout recognises it ({known}). Found {found_here}. {_advice(folder)}")


def _contents(folder: Path) -> str:
    """Say in words what lies in a folder, and which scans of imagesTr and labelsTr have no partner."""
    if not folder.is_dir():
        return "a file"
    parts = []
    if (folder / DESCRIPTION).exists():
        keys = description_keys(folder)
        parts.append(f"dataset.json with {', '.join(list(keys)[:12])}" if keys else "a dataset.json without keys")
    else:
        parts.append("no dataset.json")
    images, labels = scans_in(folder / "imagesTr"), scans_in(folder / "labelsTr")
    others = sorted(child for child in folder.iterdir() if child.name != DESCRIPTION and not child.name.startswith("."))
    folders = [f"{child.name} with {len(scans_in(child))} scans" for child in others if child.is_dir()]
    files = sum(child.is_file() for child in others)
    parts += folders[:6] + ([f"{len(folders) - 6} more folders"] if len(folders) > 6 else [])
    parts += [f"{files} other files"] if files else []
    if images and labels:
        partners = {stem(path) for path in images} | {stem(path)[:-5] for path in images}
        labelled = {stem(path) for path in labels}
        alone = [f"{stem(p)} {NO_LABEL}" for p in images if not {stem(p), stem(p)[:-5]} & labelled]
        alone += [f"{stem(p)} {NO_IMAGE}" for p in labels if stem(p) not in partners]
        parts += alone[:6] + ([f"{len(alone) - 6} more without a partner"] if len(alone) > 6 else [])
    return ", ".join(parts)


def _advice(folder: Path) -> str:
    below = [child.name for child in sorted(folder.iterdir()) if child.is_dir() and recognising(child)]
    if below:
        return f"The folder '{below[0]}' in it is a dataset: name that."
    if (folder / "imagesTr").is_dir() and not (folder / DESCRIPTION).exists():
        return 'Write a dataset.json that names the channels and the labels, such as {"background": 0, "lesion": 1}.'
    return "Name a dataset's own folder, or list its cases in a file cases.csv (columns: case, label, one a channel)."
