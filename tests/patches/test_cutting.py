"""Batches that other processes cut."""

import errno
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import DataError, ResourceError
from neuraxis.patches.cutting import Cutters
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.patches.stream import BatchStream
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.volume.grid import Grid

OPTIONS = SamplerOptions(shape=(6, 5, 4), core=(4, 4, 4), batch=2, foreground=0.5, seed=3)


@pytest.fixture(params=["u1", "f2"])
def sampler(tmp_path, request):
    store = Store(tmp_path / "store")
    for number in range(3):
        image = np.arange(2 * 6 * 5 * 4, dtype=np.float32).reshape(2, 6, 5, 4) + 1000 * number
        target = np.zeros((1, 6, 5, 4), request.param)
        target[0, 5, 4, 3] = 1
        way_back = WayBack(Grid((6, 5, 4), np.eye(4)), (0, 0, 0), (6, 5, 4), (6, 5, 4))
        store.put(f"case{number}", Prepared(image, way_back, target))
    return PatchSampler(store, store.ids(), OPTIONS)


def as_they_are(images, targets, step):
    return images, targets, step


def children():
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_whoever_cuts_the_batches_are_the_same_bit_for_bit_and_in_order(sampler, workers):
    stream = BatchStream(sampler, 4, workers, as_they_are)
    found = [*islice(stream, 7)]
    stream.close()

    assert [step for _, _, step in found] == [*range(4, 11)]
    for images, targets, step in found:
        for one, other in zip((images, targets), sampler.batch(step), strict=True):
            np.testing.assert_array_equal(one, other)
            assert one.dtype == other.dtype


def test_a_process_that_cuts_imports_no_torch_and_ends_with_the_stream(sampler):
    before = children()
    cutters = Cutters(sampler, 0, 1)
    cutters.batch()
    (process,) = children() - before
    loaded = Path(f"/proc/{process}/maps").read_text()
    cutters.close()

    assert "blosc2" in loaded
    assert "libtorch" not in loaded
    assert children() == before


def test_the_death_of_a_process_is_told_at_once_with_its_cause(sampler):
    before = children()
    stream = BatchStream(sampler, 0, 2, as_they_are)
    batches = iter(stream)
    next(batches)
    os.kill(min(children() - before), signal.SIGKILL)
    began = time.monotonic()

    with pytest.raises(
        ResourceError, match=r"signal 9 \(SIGKILL\), most likely because memory ran out.*resumes"
    ) as told:
        [*islice(batches, 10)]

    assert time.monotonic() - began < 10
    assert "\n" not in str(told.value)
    stream.close()
    assert children() == before


def test_a_case_that_cannot_be_read_is_told_as_it_would_be_without_processes(sampler):
    for path in sampler.store.folder.glob("*/case.json"):
        path.write_text("{")
    cutters = Cutters(sampler, 0, 1)

    with pytest.raises(DataError, match="is not valid JSON"):
        cutters.batch()
    cutters.close()


def test_a_lack_of_memory_is_told_before_anything_starts(sampler, monkeypatch):
    def lacking(*arguments):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    before = children()
    monkeypatch.setattr(os, "posix_fallocate", lacking)

    with pytest.raises(ResourceError, match=r"No memory for .* GiB of patches cut ahead"):
        Cutters(sampler, 0, 2)
    assert children() == before


def test_processes_end_when_their_owner_is_killed(sampler):
    script = f"""
import os, pathlib
from neuraxis.patches.cutting import Cutters
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.preparation.store import Store
store = Store(pathlib.Path({str(sampler.store.folder)!r}))
cutters = Cutters(PatchSampler(store, store.ids(), {OPTIONS!r}), 0, 2)
cutters.batch()
print(pathlib.Path(f"/proc/self/task/{{os.getpid()}}/children").read_text(), flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    pids = done.stdout.split()
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(runs(pid) for pid in pids)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
