"""Asking a run to end."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from neuraxis.errors import UsageError
from neuraxis.pipelines.runs import stop
from neuraxis.pipelines.runs.stop import stop_run
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.training.schedule import Course
from neuraxis.training.train import train


@pytest.fixture
def sent(monkeypatch):
    """The signals that would be sent."""
    signals = []
    monkeypatch.setattr(stop.os, "kill", lambda pid, number: signals.append((pid, number)))
    return signals


def test_a_command_on_this_machine_gets_a_signal(make_run, sent):
    result = stop_run(make_run("a", (), "this", hears_sigterm=True), wait_s=0)

    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert (result.asked_by, result.ended) == ("signal", False)
    assert not (result.path / "stop").exists()


@pytest.mark.parametrize(("who", "hears"), [("this", False), ("far", True)])
def test_any_other_finds_a_file(make_run, sent, who, hears):
    folder = make_run("a", (), who, hears_sigterm=hears)
    (folder / "fold-1").mkdir()
    result = stop_run(folder, wait_s=0)

    assert sent == []
    assert result.asked_by == "file"
    assert (folder / "stop").is_file()
    assert (folder / "fold-1" / "stop").is_file()


def test_another_process_of_the_same_number_is_never_touched(make_run, sent):
    with pytest.raises(UsageError, match=r"is not running \(killed\)"):
        stop_run(make_run("a", (), "dead", hears_sigterm=True))

    assert sent == []


def test_its_end_is_waited_for(make_run, sent):
    folder = make_run("a", (), "this", hears_sigterm=True)

    def end(seconds):
        (folder / "process.json").write_text('{"pid": 1, "ended": "stopped"}')

    result = stop_run(folder, wait_s=60, sleep=end)
    assert result.ended
    assert result.run.state == "stopped"


def test_a_training_in_a_process_of_its_own_is_stopped_politely_and_resumes_bit_for_bit(
    toy_dataset, toy_settings, tmp_path
):
    settings = (*toy_settings, "training.steps=400", "training.validations=4", "previews.every=1", "previews.count=1")
    prepare_datasets([toy_dataset], "auto", settings, tmp_path / "store")
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "neuraxis", "train", tmp_path / "store", "--into", folder, "--device", "cpu"]
    torch.set_num_threads(1)  # another number gives other weights
    alike = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=alike) as process:
        while read_state(folder).get("step", 0) < 3 and process.poll() is None:
            time.sleep(0.05)
        result = stop_run(folder, wait_s=60)
        said = process.stderr.read()

    assert (result.asked_by, result.ended, result.run.state) == ("signal", True, "stopped")
    assert process.returncode == 143
    assert said.endswith("neuraxis: terminated; run the same command again to resume\n")
    stopped_after = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    assert 3 <= stopped_after < 400

    course = Course(400).corrected(stopped_after, stopped_after + 2)
    short = dataclasses.replace(job_of_store(tmp_path / "store", folder, 0, "cpu"), course=course)
    straight = train(dataclasses.replace(short, folder=tmp_path / "straight"))
    resumed = train(short)
    assert resumed.first_step == stopped_after
    for one, other in zip(resumed.state_dict().values(), straight.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def read_state(folder):
    try:
        return json.loads((folder / "progress.json").read_text())
    except FileNotFoundError:
        return {}
