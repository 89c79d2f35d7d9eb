"""The layout of the Medical Segmentation Decathlon (http://medicaldecathlon.com).

    Task04_Hippocampus/
        dataset.json       modality {"0": "MRI"}, labels {"0": "background", ...}, training [{image, label}], test [...]
        imagesTr/hippocampus_001.nii.gz    4D where there are several channels
        labelsTr/hippocampus_001.nii.gz

The list in dataset.json rules; its paths must stay in the folder. Files beside it that are not listed are noted.
`site` and `subject` are read as in the nnU-Net layout.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.opening import Opening
from neuraxis.errors import DataError
from neuraxis.volume.formats.any_format import stem

Pair = tuple[Path, Path]


def _recognises(folder: Path) -> bool:
    description = shared.description_keys(folder)
    return {"modality", "labels", "training"} <= description.keys() and "channel_names" not in description


def _read(folder: Path, opening: Opening) -> Dataset:
    description = shared.read_description(folder)
    where = str(folder / shared.DESCRIPTION)
    channels = shared.channel_names(description.get("modality"), f"{where}: modality")
    names = shared.names_and_numbers(description.get("labels"), f"{where}: labels")
    numbers = {name: shared.whole_number(number, f"{where}: labels.{name}") for name, number in names.items()}
    pairs = _pairs(folder, description.get("training"))
    complete = [pair for pair in pairs if pair[0].is_file() and pair[1].is_file()]
    tests = [path for path in _tests(folder, description.get("test")) if path.is_file()]
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="msd",
            channels=channels,
            modality=shared.modalities(channels),
            labels=shared.build_labels(f"{where}: labels", names=numbers),
            cases=tuple(sorted((_case(channels, description, *pair) for pair in complete), key=lambda case: case.id)),
            unlabelled=tuple(_case(channels, description, path) for path in sorted(tests)),
            notes=tuple(_notes(folder, description, pairs)),
        )
    )


LAYOUT = shared.Layout("dataset.json with modality, labels and a list named training", _recognises, _read)


def _case(channels: tuple[str, ...], description: Mapping[str, Any], image: Path, label: Path | None = None) -> Case:
    id = stem(image)
    several = len(channels) > 1
    images = {name: ImageFile(image, place if several else None) for place, name in enumerate(channels)}
    subject, session = shared.subject_and_session(id, description)
    return Case(id, images, label, subject, shared.site_of(id, description), session)


def _pairs(folder: Path, training: Any) -> list[Pair]:
    pairs = []
    for entry in training if isinstance(training, list) else [None]:
        if not isinstance(entry, Mapping) or not {"image", "label"} <= entry.keys():
            raise DataError(
                f'{folder / shared.DESCRIPTION}: training: needed is a list of {{"image": path, "label": path}}; found '
                f"{entry!r:.60}."
            )
        pairs.append((_inside(folder, entry["image"]), _inside(folder, entry["label"])))
    return pairs


def _tests(folder: Path, listed: Any) -> list[Path]:
    entries = listed if isinstance(listed, list) else []
    return [_inside(folder, entry.get("image") if isinstance(entry, Mapping) else entry) for entry in entries]


def _inside(folder: Path, path: Any) -> Path:
    """Return the listed path, which must stay in the folder (links in it may lead out, as git-annex's do)."""
    if not isinstance(path, str) or "\0" in path:
        raise DataError(f"{folder / shared.DESCRIPTION}: needed is the path of a scan, found {path!r:.60}.")
    relative = os.path.normpath(path)
    if os.path.isabs(relative) or relative.split(os.sep)[0] == "..":
        raise DataError(f"{folder / shared.DESCRIPTION}: '{path}' leads out of the folder. Name a path inside it.")
    return folder / relative


def _notes(folder: Path, description: Mapping[str, Any], pairs: list[Pair]) -> list[str]:
    notes = []
    for image, label in pairs:
        notes += [f"{stem(path)}: {path} {shared.MISSING_FILE}" for path in (image, label) if not path.is_file()]
        if stem(image) != stem(label):
            notes.append(f"{stem(image)}: {image} {shared.ODD_PAIR}, {label.name}")
    listed = {path for pair in pairs for path in pair}
    images = {stem(path): path for path in shared.scans_in(folder / "imagesTr") if path not in listed}
    labels = {stem(path): path for path in shared.scans_in(folder / "labelsTr") if path not in listed}
    for id in sorted(images.keys() | labels.keys()):
        if id in images and id in labels:
            notes.append(f"{id}: {images[id]} {shared.NOT_LISTED}")
        elif id in images:
            notes.append(f"{id}: image {images[id]} {shared.NO_LABEL}")
        else:
            notes.append(f"{id}: label map {labels[id]} {shared.NO_IMAGE}")
    told = description.get("numTraining")
    if isinstance(told, int) and told != len(pairs):
        notes.append(f"{shared.DESCRIPTION}: numTraining is {told} and {shared.WRONG_COUNT}, {len(pairs)}")
    return notes
