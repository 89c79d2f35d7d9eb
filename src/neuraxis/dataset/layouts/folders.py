"""Images and label maps in two folders side by side, or in one, paired by their names.

    my-data/
        images/patient07_FLAIR.nii.gz, images/patient07_T1.nii.gz     the channel at the end of the name
        labels/patient07.nii.gz
    my-data/
        brain1_image.nrrd, brain1_label.nrrd                          or all in one folder

Any format but pictures, also mixed; for DICOM a folder of slices, or a file, is a scan, and a DICOM SEG is a label map.
An image without a label map is an unlabelled case.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts import pairs
from neuraxis.dataset.layouts.found_labels import find_labels
from neuraxis.dataset.layouts.label_tables import read_table
from neuraxis.dataset.opening import Opening
from neuraxis.errors import DataError, MissingExtra

AIR_HU = -500


def _recognises(folder: Path) -> bool:
    if shared.has_description(folder):
        return False
    found = pairs.find_folders(folder)
    if found is not None:
        return all(pairs.holds_volumes(part) for part in found)
    return pairs.is_flat(folder, pictures=False)


def _read(folder: Path, opening: Opening) -> Dataset:
    found, notes = pairs.find_folders(folder), []
    if found is not None:
        images, labels = (pairs.volumes_in(part) for part in found)
        notes = _unread(folder, found)
    else:
        images, labels = pairs.split_flat(shared.scans_in(folder))
    matched = pairs.pair(images, labels)
    cases = [_case(id, matched, matched.labels[id]) for id in matched.complete]
    named = read_table(opening.label_table) if opening.label_table else None
    told = find_labels(cases, (folder, *(found or ())), named)
    modality, remark = modality_of(matched.channels, cases)
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="folders",
            channels=matched.channels,
            modality=modality,
            labels=told.labels,
            cases=told.cases,
            unlabelled=tuple(_case(id, matched) for id in matched.unlabelled),
            notes=(*matched.notes, *notes, *told.notes, *remark),
        ),
    )


LAYOUT = shared.Layout(
    "folders images and labels, or X_image and X_label in one folder, with pairs of one name", _recognises, _read
)


def modality_of(channels: Sequence[str], cases: Sequence[Case]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Say for each channel what it is; where its name does not tell, values far below zero are Hounsfield units."""
    known = shared.modalities(channels)
    if len(channels) != 1 or known[channels[0]] == "CT" or not cases:
        return known, ()
    try:
        lowest = min(float(np.min(case.images[channels[0]].read().array)) for case in (cases[0], cases[-1]))
    except (DataError, MissingExtra):
        return known, ()
    if lowest > AIR_HU:
        return known, ()
    return {channels[0]: "CT"}, (f"the values go down to {lowest:g}, so they are taken as Hounsfield units of CT",)


def _case(id: str, matched: pairs.Pairs, label: Path | None = None) -> Case:
    subject, session = shared.subject_and_session(id, {})
    images = {name: ImageFile(matched.images[id][name]) for name in matched.channels}
    return Case(id, images, label, subject, session=session)


def _unread(folder: Path, read: Sequence[Path]) -> list[str]:
    others = [child for child in sorted(folder.iterdir()) if child.is_dir() and child not in read]
    return [f"the folder {child.name} was not read" for child in others if shared.scans_in(child)]
