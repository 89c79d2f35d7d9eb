"""Toy datasets on disk, small enough to check by eye."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

SHAPE = (6, 7, 8)


def scan(seed: int, *more: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 1000, (*SHAPE, *more)).astype(np.int16)


def label_map(*numbers: int) -> np.ndarray:
    """The i-th number fills the plane X = i + 1, from Y = 1 on."""
    array = np.zeros(SHAPE, np.uint8)
    for place, number in enumerate(numbers):
        array[place + 1, 1:] = number
    return array


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


@pytest.fixture
def write_scan() -> Callable[..., Path]:
    """write_scan(path, array (X, Y, Z), affine) -> path."""
    return write


@pytest.fixture
def nnunet(tmp_path: Path) -> Callable[..., Path]:
    """nnunet(name, ids, labels, channels, **keys) -> a folder in nnU-Net's layout."""

    def make(
        name: str = "Dataset001_Toy",
        ids: tuple[str, ...] = ("a", "b", "c"),
        labels: Mapping[str, Any] | None = None,
        channels: tuple[str, ...] = ("FLAIR", "T1"),
        **keys: Any,
    ) -> Path:
        folder = tmp_path / name
        for number, id in enumerate(ids):
            for place in range(len(channels)):
                write(folder / "imagesTr" / f"{id}_{place:04d}.nii.gz", scan(10 * number + place))
            write(folder / "labelsTr" / f"{id}.nii.gz", np.roll(label_map(1, 2), number, axis=1))
        description = {
            "channel_names": {str(place): channel for place, channel in enumerate(channels)},
            "labels": labels or {"background": 0, "one": 1, "two": 2},
            "numTraining": len(ids),
            "file_ending": ".nii.gz",
            **keys,
        }
        (folder / "dataset.json").write_text(json.dumps(description))
        return folder

    return make


@pytest.fixture
def msd(tmp_path: Path) -> Callable[..., Path]:
    """msd(name, ids, modality, **keys) -> a folder in the Decathlon's layout; 4D where it has several channels."""

    def make(
        name: str = "Task01_Toy",
        ids: tuple[str, ...] = ("a", "b", "c"),
        modality: tuple[str, ...] = ("MRI",),
        **keys: Any,
    ) -> Path:
        folder = tmp_path / name
        for number, id in enumerate(ids):
            more = (len(modality),) if len(modality) > 1 else ()
            write(folder / "imagesTr" / f"{id}.nii.gz", scan(10 * number, *more))
            write(folder / "labelsTr" / f"{id}.nii.gz", np.roll(label_map(1, 2), number, axis=1))
        pairs = [{"image": f"./imagesTr/{id}.nii.gz", "label": f"./labelsTr/{id}.nii.gz"} for id in ids]
        description = {
            "modality": {str(place): channel for place, channel in enumerate(modality)},
            "labels": {"0": "background", "1": "one", "2": "two"},
            "numTraining": len(ids),
            "training": pairs,
            "test": [],
            **keys,
        }
        (folder / "dataset.json").write_text(json.dumps(description))
        return folder

    return make


@pytest.fixture
def change_json() -> Callable[..., None]:
    """change_json(folder, **keys): put keys into its dataset.json; None takes a key away."""

    def change(folder: Path, **keys: Any) -> None:
        path = folder / "dataset.json"
        content = {**json.loads(path.read_text()), **keys}
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))

    return change
