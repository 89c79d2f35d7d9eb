"""What happens when one of two processes that train together dies, or goes astray."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neuraxis.errors import ResourceError
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.training.curves import read_curves
from neuraxis.training.devices.company import Company
from neuraxis.training.devices.options import Devices
from neuraxis.training.task import SegmentationTask
from neuraxis.training.train import train


@pytest.fixture(scope="module")
def store(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    settings = (*toy_settings, "training.steps=12", "training.precision=fp32", "training.validations=6")
    prepare_datasets([toy_dataset], "auto", settings, folder)
    return folder


def job(store, folder, **changes):
    return replace(job_of_store(store, folder, 0, "cpu"), **changes)


def test_weights_that_drift_apart_end_the_training(store, tmp_path, monkeypatch):
    """Rank 0 changes its own weights behind the other's back."""
    step = SegmentationTask.optimizer_step

    def spoiled(task, *arguments, **options):
        step(task, *arguments, **options)
        with torch.no_grad():
            next(task.network.parameters()).mul_(1.01)

    monkeypatch.setattr(SegmentationTask, "optimizer_step", spoiled)
    monkeypatch.setattr("neuraxis.training.devices.pace.EVERY", 3)
    with pytest.raises(ResourceError, match="no longer has rank 0's weights"), Company(Devices(2), "cpu") as company:
        train(job(store, tmp_path, ranks=company))


def children():
    """Return the processes that this one started and that follow it."""
    found = []
    for thread in Path("/proc/self/task").iterdir():
        for pid in (thread / "children").read_text().split():
            if b"training.devices" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def test_a_rank_that_dies_ends_the_training_with_its_cause_and_the_step_is_kept(store, tmp_path):
    straight = train(job(store, tmp_path / "straight"))
    killed = []

    def kill(moment):
        if moment.step == 5:
            killed.extend(children())
            os.kill(killed[-1], signal.SIGKILL)
            killed.append(time.monotonic())

    said = r"Rank 1 of 2 \(process \d+\) was killed by signal 9 \(SIGKILL\).*same command again resumes"
    with pytest.raises(ResourceError, match=said) as caught, Company(Devices(2), "cpu") as company:
        train(job(store, tmp_path / "broken", ranks=company), steer=kill)

    assert time.monotonic() - killed[-1] < 30
    assert "\n" not in str(caught.value)
    assert children() == []
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / "broken" / "checkpoint.pt")["step"] == 5
    resumed = train(job(store, tmp_path / "broken"))
    assert (resumed.first_step, resumed.step, straight.step) == (5, 12, 12)
    losses = [[row["loss"] for row in read_curves(tmp_path / name / "curves.csv")] for name in ("broken", "straight")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)
