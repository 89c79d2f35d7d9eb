"""A fit that is killed at random moments ends like one that never was."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from neuraxis.training.curves import read_curves

STOPS, MOST = 3, 12


def command(dataset, settings, run, steps=("training.steps=60",)):
    line = [sys.executable, "-m", "neuraxis", "fit", str(dataset), "--into", str(run), "--quiet", "--device", "cpu"]
    for setting in (*settings, *steps, "training.checkpoint_minutes=0.002"):
        line += ["--set", setting]
    return line


def start(line):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=environment, text=True
    )


def weights_hash(run):
    with zipfile.ZipFile(run / "model.nxb") as archive:
        return sha256(archive.read("fold-0.safetensors")).hexdigest()


def run_through(line):
    """Run a command to its end, and return the seconds that it took."""
    began = time.monotonic()
    process = start(line)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return time.monotonic() - began


@dataclasses.dataclass
class Straight:
    """A run that nothing stopped, and how long it lived in seconds."""

    run: Path
    life: float


@pytest.fixture(scope="module")
def straight(toy_dataset, toy_settings, tmp_path_factory):
    run = tmp_path_factory.mktemp("straight") / "run"
    return Straight(run, run_through(command(toy_dataset, toy_settings, run)))


def stopped_at_random(line, life, number, most, ready=lambda: True):
    """Start a command again and again and send its process group a signal at any moment of a life, once it is ready.

    Yields what each call said and its code, until one of them ends before its moment comes, or `most` were stopped.
    """
    moments = random.Random()
    for _ in range(most):
        process = start(line)
        while not ready() and process.poll() is None:
            time.sleep(0.05)
        try:
            output, _ = process.communicate(timeout=moments.uniform(0, life))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, number)
            output, _ = process.communicate(timeout=120)
        yield output, process.returncode
        if process.returncode == 0:
            return


def scores(run):
    return (run / "scores.csv").read_text().replace(str(run), "")


def curves(run):
    """Return the curves without their clock."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_curves(run / "curves.csv")]


def events(run, kind):
    found = json.loads((run / "run.json").read_text())["events"]
    return [{key: value for key, value in event.items() if key != "time"} for event in found if event["kind"] == kind]


def finish_and_compare(line, run, straight):
    run_through(line)

    assert weights_hash(straight.run) == weights_hash(run)
    assert scores(straight.run) == scores(run)
    assert curves(straight.run) == curves(run)
    assert events(straight.run, "stopped_early") == events(run, "stopped_early")
    assert not list(run.rglob(".part-*"))
    assert json.loads((run / "run.json").read_text())["events"][-1]["kind"] == "finished"


def test_a_killed_fit_resumes_to_the_same_weights_scores_and_segmentations(
    toy_dataset, toy_settings, straight, tmp_path
):
    line = command(toy_dataset, toy_settings, tmp_path / "run")
    for output, code in stopped_at_random(line, straight.life, signal.SIGKILL, STOPS):
        assert code in (0, -signal.SIGKILL), output

    finish_and_compare(line, tmp_path / "run", straight)


def test_a_fit_interrupted_by_ctrl_c_says_so_and_resumes_to_the_same_weights(
    toy_dataset, toy_settings, straight, tmp_path
):
    line = command(toy_dataset, (*toy_settings, "training.loader_workers=1"), tmp_path / "run")
    lock = tmp_path / "run" / ".lock"
    for output, code in stopped_at_random(line, straight.life, signal.SIGINT, STOPS, lock.exists):
        assert code in (0, 130, -signal.SIGINT), output  # Python ends so amid some imports; shells show 130 for both
        done = "Next: neuraxis segment" in output  # it may come while Python ends, after the last line
        assert done or output.endswith("interrupted; run the same command again to resume\n")
        assert "Traceback" not in output

    finish_and_compare(line, tmp_path / "run", straight)


PATIENCE = ("schedule=plateau", "plateau_patience=1", "stop_patience=3", "least_gain=0.1", "validations=12")
EVERYTHING = (*(f"training.{key}" for key in PATIENCE), "training.accumulate=2", "previews.every=1", "previews.count=2")


@pytest.mark.long
@pytest.mark.parametrize(
    ("precision", "workers", "more"),
    [("fp32", 0, ()), ("fp32", 2, ()), ("bf16", 0, ()), ("bf16", 2, ()), ("fp32", 0, ("--devices", "2"))],
)
def test_a_fit_with_everything_switched_on_may_be_killed_at_any_moment_of_its_life(
    toy_dataset, toy_settings, straight, tmp_path, precision, workers, more
):
    """Plateau schedule, early stopping, running mean, batches added up, previews, and weights to begin with."""
    free = [setting for setting in toy_settings if not setting.startswith(("previews", "training.validations"))]
    settings = (*free, *EVERYTHING, f"training.precision={precision}", f"training.loader_workers={workers}")
    begin = ("--from", str(straight.run / "model.nxb"), *more)
    never, often = (
        [*command(toy_dataset, settings, tmp_path / name, ("training.steps=48",)), *begin]
        for name in ("never", "often")
    )
    uninterrupted = Straight(tmp_path / "never", run_through(never))
    for output, code in stopped_at_random(often, uninterrupted.life, signal.SIGKILL, MOST):
        assert code in (0, -signal.SIGKILL), output

    finish_and_compare(often, tmp_path / "often", uninterrupted)


@pytest.mark.long
def test_a_killed_fit_with_a_budget_and_its_repeat_have_the_same_weights(toy_dataset, toy_settings, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    free = [setting for setting in toy_settings if not setting.startswith("training.steps")]
    line = [*command(toy_dataset, free, first, steps=()), "--budget", "60s"]
    for seconds in (20, 15):
        process = start(line)
        with pytest.raises(subprocess.TimeoutExpired):
            process.communicate(timeout=seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    repeat = [sys.executable, "-m", "neuraxis", "fit", str(toy_dataset), "--repeat", str(first), "--into", str(again)]
    for each in (line, [*repeat, "--device", "cpu", "--quiet"]):
        process = start(each)
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output

    kinds = [event["kind"] for event in json.loads((first / "run.json").read_text())["events"]]
    assert kinds.count("started") == 3
    assert kinds.count("steps_fixed") == 1
    assert weights_hash(first) == weights_hash(again)


def test_a_terminated_fit_saves_its_step_and_says_so(toy_dataset, toy_settings, tmp_path):
    line = command(toy_dataset, toy_settings, tmp_path / "run")
    line[line.index("training.steps=60")] = "training.steps=100000"
    line[line.index("training.checkpoint_minutes=0.002")] = "training.checkpoint_minutes=60"
    process = start(line)
    deadline = time.monotonic() + 120
    while "training 100000 steps" not in _log(tmp_path / "run") and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(5)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)

    assert process.returncode == 143, output
    assert "run the same command again to resume" in output
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def _log(run):
    return (run / "log.txt").read_text() if (run / "log.txt").is_file() else ""
