"""A dataset in the layout of the Medical Segmentation Decathlon: one file a case, 4D where there are several channels.

Patients and sites go into keys of our own, as in nnU-Net's layout. The Decathlon knows no regions and no ignored
voxels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError
from neuraxis.files import write_json
from neuraxis.pipelines.forms.datasets.files import ENDING, refuse_incomplete, write_joined, write_label
from neuraxis.progress import Progress


def write(dataset: Dataset, folder: Path, progress: Progress) -> None:
    """Fill an empty folder with a dataset in the Decathlon's layout.

    Raises:
        DataError: a case is refused or lacks a channel, or the labels have regions or an ignored number.
        ResourceError: it cannot be written.
    """
    refuse_incomplete(dataset)
    if dataset.labels.regions or dataset.labels.ignore is not None:
        what = "regions" if dataset.labels.regions else "ignored voxels"
        raise DataError(f"{dataset.name}: has {what}, which the Decathlon's layout cannot say. Choose --as nnunet.")
    numbers = {number: number for number in dataset.labels.names.values()}
    for name in ("imagesTr", "labelsTr", *(["imagesTs"] if dataset.unlabelled else [])):
        (folder / name).mkdir()
    with progress.stage("write", len(dataset.cases) + len(dataset.unlabelled)) as stage:
        for case in dataset.cases:
            write_joined(case, folder / "imagesTr" / f"{case.id}{ENDING}")
            write_label(case, folder / "labelsTr" / f"{case.id}{ENDING}", numbers)
            stage.advance(note=case.id)
        for case in dataset.unlabelled:
            write_joined(case, folder / "imagesTs" / f"{case.id}{ENDING}")
            stage.advance(note=case.id)
    write_json(folder / "dataset.json", _description(dataset))


def _description(dataset: Dataset) -> dict[str, Any]:
    names = {number: name for name, number in dataset.labels.names.items()}
    return {
        "name": dataset.name,
        "tensorImageSize": "4D" if len(dataset.channels) > 1 else "3D",
        "modality": {str(place): name for place, name in enumerate(dataset.channels)},
        "labels": {str(number): names[number] for number in sorted(names)},
        "numTraining": len(dataset.cases),
        "numTest": len(dataset.unlabelled),
        "training": [
            {"image": f"./imagesTr/{case.id}{ENDING}", "label": f"./labelsTr/{case.id}{ENDING}"}
            for case in dataset.cases
        ],
        "test": [f"./imagesTs/{case.id}{ENDING}" for case in dataset.unlabelled],
        "subject": {case.id: case.subject for case in dataset.cases if case.subject},
        "site": {case.id: case.site for case in dataset.cases if case.site},
    }
