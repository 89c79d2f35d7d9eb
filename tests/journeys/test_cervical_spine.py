"""Project 4, from DICOM studies to vertebrae named in order: coarser than the recipe, so that it takes minutes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel
import numpy as np
import pytest

MAKE = "dataset make cervical-ct --into data --size small"


def stop_after_the_first_checkpoint(line: list[str]) -> None:
    """Run a command until it has something to go on from, then end it as a batch system does at its time limit."""
    process = subprocess.Popen([sys.executable, "-m", "neuraxis", *line], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while not Path("run/checkpoint.pt").is_file() and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) != 0


@pytest.mark.long
def test_studies_become_a_model_that_names_vertebrae_in_order(neuraxis, mean_of) -> None:
    neuraxis(f"{MAKE} --cases 6 --sites 2")
    masks = sorted(Path("data/segmentations").iterdir())
    Path("held").mkdir()
    for mask in masks[:1]:
        shutil.move(mask, "held")
    settings = ("training.steps=160", "training.checkpoint_minutes=0.01", "previews.every=0")
    line = "fit data --recipe cervical-spine --variant small --into run"
    stop_after_the_first_checkpoint([*line.split(), *(word for setting in settings for word in ("--set", setting))])
    assert not Path("run/model.nxb").is_file()
    neuraxis(line, *settings)
    assert Path("run/report.html").is_file()

    unlabelled = Path("data/train_images") / masks[0].stem
    neuraxis(f"segment {unlabelled} --model run/model.nxb --into found")
    told = json.loads(next(Path("found").glob("*.json")).read_text())
    names = [one["name"] for one in told["postprocessing"]["order"]["vertebrae"] if one["name"] != "unknown"]
    assert names == [f"C{number}" for number in range(int(names[0][1]), int(names[0][1]) + len(names))]
    assert len(names) >= 3
    assert mean_of(Path("run/scores.csv")) > 0.3


@pytest.mark.long
def test_one_study_is_learned_by_heart(neuraxis, mean_of) -> None:
    neuraxis(f"{MAKE} --cases 2 --sites 1")
    neuraxis(
        "fit data --recipe cervical-spine --variant small --into run",
        "preparation.spacing_mm=[3.0,3.0,3.75]",
        "patches.shape=[64,64,64]",
        "patches.batch=1",
        "network.options.features=[16,32,64]",
        "network.options.kernels=[[3,3,3],[3,3,3],[3,3,3]]",
        "network.options.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "previews.every=0",
        "augmentation.preset=none",
        "augmentation.mirror_axes=[]",
        "splits.folds=2",
        "training.steps=180",
    )
    (learned,) = json.loads(Path("run/splits.json").read_text())[0]["train"]
    neuraxis(f"segment data/train_images/{learned} --model run/model.nxb --into found")
    mask = nibabel.load(f"data/segmentations/{learned}.nii")
    Path("cervical").mkdir()
    cervical = np.where(mask.get_fdata() > 7, 0, mask.get_fdata()).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(cervical, mask.affine), f"cervical/{learned}.nii")
    neuraxis("evaluate found cervical --into scores")
    assert mean_of(Path("scores/scores.csv")) >= 0.9
