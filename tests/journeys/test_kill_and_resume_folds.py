"""A fit of several folds that is killed at random moments ends like one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from hashlib import sha256

import pytest

KILLS, FOLDS = 4, 2


def command(dataset, settings, run):
    line = [sys.executable, "-m", "neuraxis", "fit", str(dataset), "--into", str(run), "--quiet", "--device", "cpu"]
    free = [setting for setting in settings if not setting.startswith("splits")]
    for setting in (*free, "training.steps=30", "training.checkpoint_minutes=0.002"):
        line += ["--set", setting]
    return [*line, "--folds", str(FOLDS)]


def start(line):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=environment, text=True
    )


def finish(line):
    process = start(line)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def hashes(run):
    with zipfile.ZipFile(run / "model.nxb") as archive:
        return [sha256(archive.read(f"fold-{number}.safetensors")).hexdigest() for number in range(FOLDS)]


@pytest.mark.long
def test_killed_folds_resume_to_the_same_weights_and_scores(toy_dataset, toy_settings, tmp_path):
    straight, run = tmp_path / "straight" / "run", tmp_path / "killed" / "run"
    began = time.monotonic()
    finish(command(toy_dataset, toy_settings, straight))
    usual_s = time.monotonic() - began
    line = command(toy_dataset, toy_settings, run)
    for _ in range(KILLS):
        process = start(line)
        try:
            output, _ = process.communicate(timeout=random.uniform(2, 0.8 * usual_s))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate(timeout=60)
        assert process.returncode in (0, -signal.SIGKILL), output
    finish(line)

    assert hashes(run) == hashes(straight)
    assert (run / "scores.csv").read_text().replace(str(run), "") == (straight / "scores.csv").read_text().replace(
        str(straight), ""
    )
    assert not list(run.rglob(".part-*"))
    assert json.loads((run / "run.json").read_text())["events"][-1]["kind"] == "finished"
