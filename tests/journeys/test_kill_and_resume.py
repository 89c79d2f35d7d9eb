"""A fit that is killed at random moments ends like one that never was."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from hashlib import sha256

KILLS = 3


def command(dataset, settings, run):
    line = [sys.executable, "-m", "neuraxis", "fit", str(dataset), "--into", str(run), "--quiet", "--device", "cpu"]
    for setting in (*settings, "training.steps=60", "training.checkpoint_minutes=0.002"):
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


def test_a_killed_fit_resumes_to_the_same_weights_scores_and_segmentations(toy_dataset, toy_settings, tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    process = start(command(toy_dataset, toy_settings, straight))
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output

    moments, kills = random.Random(), 0
    while kills < KILLS:
        process = start(command(toy_dataset, toy_settings, broken))
        try:
            output, _ = process.communicate(timeout=moments.uniform(1, 12))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0, output
        break
    process = start(command(toy_dataset, toy_settings, broken))
    output, _ = process.communicate(timeout=300)

    assert process.returncode == 0, output
    assert weights_hash(straight) == weights_hash(broken)
    assert (straight / "scores.csv").read_text().replace(str(straight), "") == (
        broken / "scores.csv"
    ).read_text().replace(str(broken), "")
    assert not list(broken.rglob(".part-*"))
    assert json.loads((broken / "run.json").read_text())["events"][-1]["kind"] == "finished"


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
