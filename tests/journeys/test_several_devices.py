"""Commands that train on several processes, and what ends them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuraxis.pipelines.steps import prepare_datasets

WAIT_S = 120


def start(arguments, **environment):
    line = [sys.executable, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=environment, text=True
    )


def fit(dataset, settings, run, *more):
    chosen = [word for setting in settings for word in ("--set", setting)]
    return ["-m", "neuraxis", "fit", str(dataset), "--into", str(run), "--device", "cpu", "--quiet", *chosen, *more]


def await_step(run, step, process):
    """Wait until the training in a run has done so many steps."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            if json.loads((run / "progress.json").read_text())["step"] >= step:
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"no step {step}: {process.communicate()[0]}")


def ranks_of(pid):
    """Return the processes that a command started to train with it."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"training.devices" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_dead_rank_ends_a_fit_with_its_cause_and_a_signal_ends_it_politely(toy_dataset, toy_settings, tmp_path):
    run = tmp_path / "run"
    line = fit(toy_dataset, (*toy_settings, "training.steps=100000"), run, "--devices", "2")
    process = start(line)
    await_step(run, 3, process)
    (rank,) = ranks_of(process.pid)
    os.kill(rank, signal.SIGKILL)
    output, _ = process.communicate(timeout=30)

    assert process.returncode == 5, output
    assert [text for text in output.splitlines() if "Rank 1 of 2" in text] == output.splitlines()[-1:]
    assert "was killed by signal 9 (SIGKILL)" in output
    assert "Traceback" not in output
    assert json.loads((run / "process.json").read_text())["ended"] == "failed"
    assert (run / "checkpoint.pt").is_file()

    process = start(line)
    await_step(run, json.loads((run / "progress.json").read_text())["step"] + 3, process)
    (rank,) = ranks_of(process.pid)
    process.send_signal(signal.SIGUSR1)
    output, _ = process.communicate(timeout=60)

    assert process.returncode == 143, output
    assert output.endswith("terminated; run the same command again to resume\n")
    assert "going on after step" in (run / "log.txt").read_text()
    assert is_gone(rank)


def test_a_killed_command_leaves_no_rank_behind(toy_dataset, toy_settings, tmp_path):
    process = start(fit(toy_dataset, (*toy_settings, "training.steps=100000"), tmp_path / "run", "--devices", "2"))
    await_step(tmp_path / "run", 1, process)
    (rank,) = ranks_of(process.pid)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    until = time.monotonic() + 30
    while not is_gone(rank) and time.monotonic() < until:
        time.sleep(0.1)

    assert is_gone(rank)


@pytest.mark.long
def test_torchrun_trains_with_all_its_ranks_and_all_leave(toy_dataset, toy_settings, tmp_path):
    prepare_datasets([toy_dataset], "auto", (*toy_settings, "training.steps=12"), tmp_path / "store")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "neuraxis", "train"]
    line = [*torchrun, str(tmp_path / "store"), "--into", str(tmp_path / "run"), "--device", "cpu"]
    for _ in range(2):  # the second time nothing is left to train
        output, _ = (process := start(line)).communicate(timeout=WAIT_S)
        assert process.returncode == 0, output
        assert output.count("model  ") == 1

    kinds = [event["kind"] for event in json.loads((tmp_path / "run" / "run.json").read_text())["events"]]
    assert kinds.count("timed_together") == 1
    refused = start([*torchrun[:-1], "fit", str(toy_dataset), "--into", str(tmp_path / "other"), "--devices", "3"])
    output, _ = refused.communicate(timeout=WAIT_S)
    assert refused.returncode == 1
    assert "torchrun started 2 processes. Leave --devices out." in output
