"""Toy datasets of two channels and two labels, which the stored bundle of the tests can segment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

MODEL = Path(__file__).parents[2] / "bundle" / "fixtures" / "schema-1.nxb"
Make = Callable[..., Path]


def write(path: Path, array: np.ndarray, spacing: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array[None], Grid(array.shape, np.diag([1.0, spacing, 2.0, 1.0]))))


def label_map(number: int) -> np.ndarray:
    """A lesion whose length grows with the number, and a cord."""
    label = np.zeros((16, 16, 12), np.uint8)
    label[4 : 8 + number % 3, 4:9, 4:9] = 1
    label[12, 12, :] = 2
    return label


@pytest.fixture
def model() -> Path:
    """The stored bundle: channels FLAIR and T1, labels lesion and cord, random weights."""
    return MODEL


@pytest.fixture
def make_dataset(tmp_path: Path) -> Make:
    """Write a dataset in nnU-Net's layout; a brighter scanner and further keys of dataset.json can be asked for."""

    def make(name: str = "toy", cases: int = 6, gain: float = 1.0, first: int = 0, **keys: object) -> Path:
        folder = tmp_path / name
        for number in range(first, first + cases):
            generator = np.random.default_rng(number)
            label = label_map(number)
            for channel in range(2):
                image = gain * generator.normal(100 + 50 * (label == 1) + 10 * channel, 5)
                write(folder / "imagesTr" / f"sub-{number}_000{channel}.nii.gz", image.astype(np.float32))
            write(folder / "labelsTr" / f"sub-{number}.nii.gz", label)
        description = {"channel_names": {"0": "FLAIR", "1": "T1"}, "labels": {"background": 0, "lesion": 1, "cord": 2}}
        told = {**description, "numTraining": cases, "file_ending": ".nii.gz", **keys}
        (folder / "dataset.json").write_text(json.dumps(told))
        return folder

    return make


@pytest.fixture
def predict(tmp_path: Path) -> Make:
    """Write label maps that miss the first slices of every lesion."""

    def predicted(name: str, missed: int = 1, cases: range = range(6)) -> Path:
        folder = tmp_path / name
        for number in cases:
            label = label_map(number)
            label[4 : 4 + missed][label[4 : 4 + missed] == 1] = 0
            write(folder / f"sub-{number}.nii.gz", label)
        return folder

    return predicted


@pytest.fixture
def make_run(tmp_path: Path, predict: Make) -> Make:
    """Write what a finished run leaves: run.json and the predictions of the cases that it held out."""

    def made(name: str, dataset: Path, cases: range, missed: int = 1) -> Path:
        predict(f"{name}/predictions", missed, cases)
        events = [{"kind": "trained", "steps": 10, "seconds": 90.0}]
        content = {"request": {"datasets": [str(dataset)]}, "events": events}
        (tmp_path / name / "run.json").write_text(json.dumps(content))
        return tmp_path / name

    return made
