"""Folds that are trained at once, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuraxis.errors import UsageError
from neuraxis.hardware import usable_cores
from neuraxis.pipelines.fit import FitOptions
from neuraxis.pipelines.folds.fitting import fit_folds
from neuraxis.pipelines.folds.side_by_side import Order, cores_of, device_of, options_of, refuse_jobs
from neuraxis.pipelines.runs.process import lives, read_process
from neuraxis.pipelines.runs.state import read_run
from neuraxis.progress import Silent
from neuraxis.training.devices.options import Devices

needs_two_cores = pytest.mark.skipif(usable_cores() < 2, reason="two processes need two cores")


@pytest.fixture
def settings(toy_settings):
    return tuple(setting for setting in toy_settings if not setting.startswith(("splits", "training.steps")))


def test_the_cores_are_dealt_to_the_slots():
    every = sorted(os.sched_getaffinity(0))
    dealt = [core for slot in range(3) for core in cores_of(slot, 3)]
    assert sorted(dealt) == every


def test_options_come_through_as_they_were():
    options = FitOptions(
        Path("run/fold-1"), "demo", ("seed=3",), 12.5, 1, "cpu", profile=True, previews=("a", "b"), prepared=Path("p")
    )
    content = json.loads(json.dumps(Order(Path("run"), 1, (), options).to_dict(0, 1)))
    assert options_of(content["options"]) == options


def test_numbers_of_processes_that_cannot_be_are_refused(toy_dataset, tmp_path):
    options = FitOptions(tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match="needed is a number of 1 or more"):
        fit_folds([toy_dataset], options, 2, jobs=0)
    with pytest.raises(UsageError, match=rf"may use {usable_cores()} cores?\. Use --jobs {usable_cores()}"):
        fit_folds([toy_dataset], options, 2, jobs=usable_cores() + 1)
    if usable_cores() > 1:
        with pytest.raises(UsageError, match="take one device each"):
            refuse_jobs(2, FitOptions(tmp_path, devices=Devices(2)))
    assert not (tmp_path / "run").exists()


@needs_two_cores
def test_folds_side_by_side_give_every_case_its_score(toy_dataset, settings, tmp_path):
    chosen = FitOptions(tmp_path / "run", settings=(*settings, "training.steps=2"), device="cpu")

    result = fit_folds([toy_dataset], chosen, 3, jobs=2)

    assert len(result.scores.cases()) == 8
    cores = [len(cores_of(slot, 2)) for slot in range(2)]
    for number in range(3):
        content = json.loads((tmp_path / "run" / f"fold-{number}" / "run.json").read_text())
        assert content["machine"]["threads"] in cores
        assert content["events"][-1]["kind"] == "finished"
        assert not (tmp_path / "run" / f"fold-{number}" / "prepared").exists()


class MisplacedRun(Silent):
    """Puts another run where fold 1 goes, once the plan of all folds is written."""

    def __init__(self, run):
        self.run = run

    def stage(self, name, total=0):
        if name == "folds":
            self.run.mkdir()
            (self.run / "run.json").write_text(json.dumps({"request": {"fold": 7}, "events": []}))
        return super().stage(name, total)


@needs_two_cores
def test_what_a_fold_meets_is_told_with_its_number(toy_dataset, settings, tmp_path):
    chosen = FitOptions(tmp_path / "run", settings=(*settings, "training.steps=2"), device="cpu")

    with pytest.raises(UsageError, match=r"^fold 1: .*fold-1: holds a run with"):
        fit_folds([toy_dataset], chosen, 2, MisplacedRun(tmp_path / "run" / "fold-1"), jobs=2)
    assert read_run(tmp_path / "run").why.startswith("fold 1: ")


@pytest.mark.long
@needs_two_cores
def test_processes_that_are_killed_or_asked_to_end_are_noticed_and_the_same_command_goes_on(
    toy_dataset, settings, tmp_path
):
    run = tmp_path / "run"
    line = [sys.executable, "-m", "neuraxis", "fit", str(toy_dataset), "--into", str(run), "--device", "cpu", "--quiet"]
    for setting in (*settings, "training.steps=600", "training.checkpoint_minutes=0.002"):
        line += ["--set", setting]
    line += ["--folds", "2", "--jobs", "2"]

    def begin():
        """Start the command and wait until both folds are being trained."""
        for left in run.glob("fold-*/progress.json"):
            left.unlink()
        process = subprocess.Popen(
            line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
        )
        until = time.monotonic() + 120
        while not all((run / f"fold-{number}" / "progress.json").is_file() for number in (0, 1)):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.1)
        return process, [read_process(run / f"fold-{number}") for number in (0, 1)]

    process, workers = begin()
    os.kill(workers[0]["pid"], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 5, said
    assert f"fold 0 (process {workers[0]['pid']}) was killed by signal 9 (SIGKILL)" in said
    assert (run / "fold-1" / "checkpoint.pt").is_file()
    assert not any(map(lives, workers))

    process, workers = begin()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert [read_run(run / f"fold-{number}").state for number in (0, 1)] == ["stopped", "stopped"]
    assert read_run(run).state == "stopped"

    process, workers = begin()
    process.kill()
    process.communicate(timeout=60)
    until = time.monotonic() + 20
    while any(map(lives, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(lives, workers))

    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert (run / "model.nxb").is_file()


@pytest.mark.parametrize(
    ("gpus", "device", "expected"),
    [(2, "auto", ["cuda:0", "cuda:1", "cuda:0"]), (0, "auto", 3 * ["auto"]), (2, "cpu", 3 * ["cpu"])],
)
def test_each_slot_takes_the_next_gpu(monkeypatch, gpus, device, expected):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert [device_of(device, slot) for slot in range(3)] == expected
