"""A dataset in nnU-Net's raw format, version 2 (https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md).

nnU-Net wants numbers without gaps and the ignored one last, so label maps are renumbered where theirs are not. Patients
and sites go into keys of our own, which nnU-Net leaves aside and neuraxis reads; the data's own splits go into
`splits_final.json`, which nnU-Net wants with its preprocessed data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.files import write_json
from neuraxis.pipelines.forms.datasets.files import ENDING, consecutive, refuse_incomplete, write_channels, write_label
from neuraxis.progress import Progress


def write(dataset: Dataset, folder: Path, progress: Progress) -> None:
    """Fill an empty folder with a dataset in nnU-Net's raw format.

    Raises:
        DataError: a case is refused, or lacks a channel.
        ResourceError: it cannot be written.
    """
    refuse_incomplete(dataset)
    numbers = consecutive(dataset.labels)
    for name in ("imagesTr", "labelsTr", *(["imagesTs"] if dataset.unlabelled else [])):
        (folder / name).mkdir()
    with progress.stage("write", len(dataset.cases) + len(dataset.unlabelled)) as stage:
        for case in dataset.cases:
            write_channels(case, _images(folder / "imagesTr", case, dataset))
            write_label(case, folder / "labelsTr" / f"{case.id}{ENDING}", numbers)
            stage.advance(note=case.id)
        for case in dataset.unlabelled:
            write_channels(case, _images(folder / "imagesTs", case, dataset))
            stage.advance(note=case.id)
    if dataset.own_folds:
        splits = [{"train": list(fold.training), "val": list(fold.validation)} for fold in dataset.own_folds]
        write_json(folder / "splits_final.json", splits)
    write_json(folder / "dataset.json", _description(dataset, numbers))


def _images(folder: Path, case: Case, dataset: Dataset) -> list[Path]:
    return [folder / f"{case.id}_{dataset.channels.index(channel):04d}{ENDING}" for channel in case.images]


def _description(dataset: Dataset, numbers: dict[int, int]) -> dict[str, Any]:
    labels = dataset.labels
    meant: dict[str, Any] = {name: numbers[number] for name, number in labels.names.items() if number == 0}
    if labels.regions:
        meant |= {name: [numbers[number] for number in joined] for name, joined in labels.regions.items()}
    else:
        meant |= {name: numbers[labels.names[name]] for name in labels.outputs if labels.names[name] != 0}
    content = {
        "name": dataset.name,
        "channel_names": {str(place): _channel(name, dataset) for place, name in enumerate(dataset.channels)},
        "labels": {**meant, **({"ignore": numbers[labels.ignore]} if labels.ignore else {})},
        "numTraining": len(dataset.cases),
        "file_ending": ENDING,
        "subject": {case.id: case.subject for case in dataset.cases if case.subject},
        "site": {case.id: case.site for case in dataset.cases if case.site},
    }
    if labels.regions:
        content["regions_class_order"] = [numbers[number] for number in labels.paint]
    return content


def _channel(name: str, dataset: Dataset) -> str:
    """Return a channel's name; nnU-Net normalises as CT what is called so."""
    return "CT" if dataset.modality.get(name) == "CT" and len(dataset.channels) == 1 else name
