"""A toy dataset that is written in a blink, and the command as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def neuraxis(tmp_path: Path) -> Command:
    """Run the command in a process of its own, in an empty folder, with a home of its own."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "neuraxis", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        )

    return call


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """Six cases of two channels and two labels, in nnU-Net's layout: a bright cube is the lesion, a line the cord."""
    folder = tmp_path / "toy"
    generator = np.random.default_rng(0)
    for number in range(6):
        label = np.zeros((1, 16, 16, 16), np.uint8)
        label[0, 4 : 8 + number % 3, 4:9, 4:9] = 1
        label[0, 12, 12, :] = 2
        for channel in range(2):
            image = generator.normal(100 + 50 * (label == 1), 5).astype(np.float32)
            write(folder / "imagesTr" / f"sub-{number}_000{channel}.nii.gz", image)
        write(folder / "labelsTr" / f"sub-{number}.nii.gz", label)
    description = {
        "channel_names": {"0": "FLAIR", "1": "T1"},
        "labels": {"background": 0, "lesion": 1, "cord": 2},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 2.0, 1.0]))))
