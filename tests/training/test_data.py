"""Training with processes that cut patches where a machine is strict: start methods, /dev/shm, the memory killer."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neuraxis.pipelines.steps import prepare_datasets
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.volume.grid import Grid

CHANNELS, SIZE = 32, 64
SMALL_SHM = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"', "sh")
# No `if __name__ == "__main__"`: with "spawn" a process that imported this again would start itself again and again.
SCRIPT = """
import json, multiprocessing, os, sys
from dataclasses import replace
from pathlib import Path
from neuraxis.pipelines.steps import job_of_store
from neuraxis.training.train import train

def used():
    room = os.statvfs("/dev/shm")
    return (room.f_blocks - room.f_bfree) * room.f_frsize

def look():
    most.append(used())
    return False

multiprocessing.set_start_method("spawn")
store, room, most, weights = Path(sys.argv[1]), os.statvfs("/dev/shm"), [used()], []
for workers in (0, 2):
    job = replace(job_of_store(store, store.parent / f"run-{workers}", 0, "cpu"), channels=32)
    training = job.recipe.training.model_copy(update={"loader_workers": workers})
    task = train(replace(job, recipe=job.recipe.model_copy(update={"training": training})), stop=look)
    weights.append([value.double().sum().item() for value in task.shipped_network().parameters()])
facts = {"size": room.f_blocks * room.f_frsize, "taken": max(most) - most[0], "steps": task.step, "weights": weights}
print(json.dumps(facts))
"""


@pytest.fixture(scope="module")
def large(toy_dataset, toy_settings, tmp_path_factory):
    """A store of 32 channels whose batches take 67 MB: a large case in the place of each toy."""
    folder = tmp_path_factory.mktemp("large") / "store"
    tiny = ("network.options.features=[1,1]", "network.options.strides=[[1,1,1],[4,4,4]]", "patches.batch=2",
            "network.options.kernels=[[1,1,1],[1,1,1]]", "network.options.convolutions=1", "training.validations=1",
            "patches.shape=[64,64,64]", "augmentation.preset=none", "training.steps=2")  # fmt: skip
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *tiny), folder)
    store, shape = Store(folder), (SIZE,) * 3
    image = np.random.default_rng(0).normal(size=(CHANNELS, *shape)).astype(np.float32)
    target = np.zeros((1, *shape), np.uint8)
    target[:, 20:40, 20:40, 20:40] = 1
    for id in store.ids():
        store.put(id, Prepared(image, WayBack(Grid(shape, np.eye(4)), (0, 0, 0), shape, shape), target))
    return folder


def test_batches_larger_than_the_shared_memory_arrive_under_spawn(large, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    is_allowed = subprocess.run([*SMALL_SHM, "true"], capture_output=True).returncode == 0
    line = [*(SMALL_SHM * is_allowed), sys.executable, str(tmp_path / "script.py"), str(large)]

    done = subprocess.run(line, capture_output=True, text=True, timeout=200)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["size"] == 64 * 2**20 or not is_allowed
    assert found["taken"] < 2**20  # the batches took no room in /dev/shm
    assert found["steps"] == 2
    assert found["weights"][0] == found["weights"][1]


def test_the_death_of_a_process_that_cuts_ends_the_training_with_one_line(toy_dataset, toy_settings, tmp_path):
    store = tmp_path / "store"
    endless = ("training.steps=1000000", "training.loader_workers=2")
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *endless), store)
    line = [sys.executable, "-m", "neuraxis", "train", str(store), "--into", str(tmp_path / "run"), "--quiet"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    cutters = []
    deadline = time.monotonic() + 120
    while len(cutters) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        cutters = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    time.sleep(2)
    os.kill(int(cutters[1]), signal.SIGKILL)
    began = time.monotonic()
    output, said = process.communicate(timeout=60)

    assert time.monotonic() - began < 10
    assert process.returncode == 5, said
    assert output == ""
    assert len(said.splitlines()) == 1
    assert "was ended by signal 9 (SIGKILL), most likely because memory ran out" in said
