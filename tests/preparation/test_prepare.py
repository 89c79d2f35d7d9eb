"""A whole dataset into a store: resumable, bounded in memory, announced on disk."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.fingerprint import fingerprint
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, ResourceError
from neuraxis.preparation import prepare
from neuraxis.preparation.prepare import prepare_case, prepare_dataset, prepare_volume
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.store import Store
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


@pytest.fixture(scope="module")
def dataset(toy_dataset):
    return open_dataset(toy_dataset)


def recipe(**changes):
    return PreparationRecipe(**{"spacing_mm": (1, 1, 1), "normalisation": {"T2": "zscore"}} | changes)


class Notes:
    """A progress that keeps what was told."""

    def __init__(self):
        self.told = []

    def stage(self, name, total):
        self.told.append((name, total))
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def advance(self, amount=1, note=""):
        self.told.append((amount, note))


def test_every_case_is_prepared_once_and_told_of(dataset, tmp_path):
    notes = Notes()

    store = prepare_dataset(dataset, recipe(), tmp_path, notes)

    assert store.ids() == tuple(case.id for case in dataset.cases)
    assert notes.told[:2] == [("prepare", 8), (0, "")]
    assert sorted(note for _, note in notes.told[2:]) == list(store.ids())


def test_processes_and_threads_write_the_same(dataset, tmp_path, monkeypatch):
    prepare_dataset(dataset, recipe(), tmp_path / "one", workers=2)
    monkeypatch.setattr("neuraxis.workers.may_fork", lambda: False)
    prepare_dataset(dataset, recipe(), tmp_path / "two", workers=2)

    for id in Store(tmp_path / "one").ids():
        for name in ("image.b2nd", "target.b2nd", "foreground.npy", "case.json"):
            assert (tmp_path / "one" / id / name).read_bytes() == (tmp_path / "two" / id / name).read_bytes()


def test_a_second_call_prepares_only_what_is_missing_half_written_or_of_another_recipe(dataset, tmp_path):
    prepare_dataset(dataset, recipe(), tmp_path)
    first, second, third, *others = [case.id for case in dataset.cases]
    (tmp_path / first / "case.json").unlink()
    (tmp_path / second).rename(tmp_path / f".part-{second}")
    with (tmp_path / third / "image.b2nd").open("r+b") as stream:
        stream.truncate(1000)
    kept = {id: (tmp_path / id / "case.json").stat().st_mtime_ns for id in others}
    notes = Notes()

    store = prepare_dataset(dataset, recipe(), tmp_path, notes)

    assert (5, "") in notes.told
    assert sorted(note for _, note in notes.told[2:]) == [first, second, third]
    assert kept == {id: (tmp_path / id / "case.json").stat().st_mtime_ns for id in others}
    assert len(store.ids()) == 8
    assert store.read(third)[0].shape[0] == 1
    assert not list(tmp_path.glob(".part-*"))

    again = Notes()
    prepare_dataset(dataset, recipe(spacing_mm=(1, 1, 2)), tmp_path, again)
    assert (0, "") in again.told


def test_the_size_on_disk_is_announced_before_anything_is_done(dataset, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "neuraxis"):
        prepare_dataset(dataset, recipe(), tmp_path)

    assert "8 cases take up to" in caplog.messages[0]
    assert caplog.messages[0].endswith("GB are free")


def test_a_disk_with_too_little_room_is_refused_before_anything_is_written(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))

    with pytest.raises(ResourceError, match=r"new: 8 cases take up to .* GB, 1e-06 GB are free. Make room, or name"):
        prepare_dataset(dataset, recipe(), tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_as_many_cases_are_under_way_as_fit_into_memory(dataset, tmp_path, monkeypatch, caplog):
    now, most, lock = 0, 0, threading.Lock()

    def slow(case, *_):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.05)
        with lock:
            now -= 1
        return prepare_case(case, *_)

    monkeypatch.setattr(prepare, "prepare_case", slow)
    monkeypatch.setattr("neuraxis.workers.may_fork", lambda: False)
    monkeypatch.setattr("neuraxis.preparation.estimate.available_memory_gb", lambda: 0.42)

    with caplog.at_level(logging.INFO, "neuraxis"):
        prepare_dataset(dataset, recipe(), tmp_path, workers=8)

    assert most == 3  # each needs a little more than 0.1 GiB, and four fifths of 0.42 GiB are used
    assert "as many at once as fit into 0.3 GiB" in caplog.text


def test_a_case_that_memory_does_not_suffice_for_is_warned_of(dataset, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("neuraxis.preparation.estimate.available_memory_gb", lambda: 0.05)

    with caplog.at_level(logging.WARNING, "neuraxis"):
        store = prepare_dataset(dataset, recipe(), tmp_path)

    assert "toy_00: needs about 0.1 GiB of memory, 0.0 GiB are free to use." in caplog.text
    assert len(store.ids()) == 8


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
def test_workers_import_nothing_again(toy_dataset, tmp_path):
    script = f"""
    import os, sys
    from pathlib import Path
    from neuraxis.dataset.layouts.recognise import open_dataset
    from neuraxis.preparation import prepare
    from neuraxis.recipe.preparation import PreparationRecipe

    parent, known, put = os.getpid(), set(), prepare.Store.put
    def watched(store, *rest):
        put(store, *rest)
        if os.getpid() == parent or set(sys.modules) - known:
            raise ValueError(sorted(set(sys.modules) - known))
    def start(*rest):
        known.update(sys.modules)
        return side_by_side(*rest)
    side_by_side, prepare.side_by_side, prepare.Store.put = prepare.side_by_side, start, watched
    recipe = PreparationRecipe(spacing_mm=(1, 1, 1), normalisation={{"T2": "zscore"}})
    prepare.prepare_dataset(open_dataset(Path({str(toy_dataset)!r})), recipe, Path({str(tmp_path)!r}), workers=2)
    print("done")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)

    assert done.stdout == "done\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
def test_torchs_threads_do_not_stop_the_workers(toy_dataset, tmp_path):
    """As in `fit` on a GPU, which imports torch first."""
    script = f"""
    import torch
    from pathlib import Path
    from neuraxis.dataset.layouts.recognise import open_dataset
    from neuraxis.preparation import prepare
    from neuraxis.recipe.preparation import PreparationRecipe
    from neuraxis.workers import may_fork

    torch.set_num_threads(2)
    (torch.ones(700, 700) @ torch.ones(700, 700)).exp()
    assert may_fork()
    recipe = PreparationRecipe(spacing_mm=(0.6, 0.6, 0.6), normalisation={{"T2": "percentile"}})
    dataset = open_dataset(Path({str(toy_dataset)!r}))
    print(len(prepare.prepare_dataset(dataset, recipe, Path({str(tmp_path)!r}), workers=2).ids()))
    """
    script = textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout == "8\n", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux alone")
def test_a_killed_worker_names_its_case_within_seconds_and_the_others_are_kept(toy_dataset, tmp_path):
    script = f"""
    import os, signal
    from pathlib import Path
    from neuraxis.dataset.layouts.recognise import open_dataset
    from neuraxis.errors import ResourceError
    from neuraxis.preparation import prepare
    from neuraxis.recipe.preparation import PreparationRecipe

    whole = prepare.prepare_case
    def work(case, *rest):
        if case.id == "toy_03":
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(case, *rest)
    prepare.prepare_case = work
    recipe = PreparationRecipe(spacing_mm=(1, 1, 1), normalisation={{"T2": "zscore"}})
    try:
        prepare.prepare_dataset(open_dataset(Path({str(toy_dataset)!r})), recipe, Path({str(tmp_path)!r}), workers=2)
    except ResourceError as error:
        print(error)
    """
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)

    assert done.stdout.startswith("toy_03: its worker process was killed by signal 9 (SIGKILL)"), done.stderr
    assert time.monotonic() - began < 10
    assert Store(tmp_path).ids() == tuple(f"toy_{number:02}" for number in (0, 1, 2, 4, 5, 6, 7))


def test_a_refused_case_ends_the_work_with_its_own_message(dataset, tmp_path):
    broken = tmp_path / "toy_05.nii.gz"
    broken.write_bytes(b"no scan")
    cases = [
        replace(case, images={"T2": replace(case.images["T2"], path=broken)}) if case.id == "toy_05" else case
        for case in dataset.cases
    ]

    with pytest.raises(DataError, match=r"toy_05\.nii\.gz"):
        prepare_dataset(replace(dataset, cases=tuple(cases)), recipe(), tmp_path / "store")


def test_a_voxel_that_is_not_finite_is_refused(dataset, tmp_path):
    case = dataset.cases[0]
    volume = case.read_images()
    volume.array[0, 3, 3, 3] = np.inf
    nifti.write(tmp_path / "odd.nii.gz", volume)
    odd = replace(case, images={"T2": replace(case.images["T2"], path=tmp_path / "odd.nii.gz")})

    with pytest.raises(DataError, match=r"toy_00: 'T2' holds NaN or infinity\. Needed are finite numbers"):
        prepare_case(odd, dataset, recipe())


def test_the_fingerprint_saves_reading_the_headers(dataset, tmp_path, monkeypatch):
    seen = fingerprint(dataset)
    monkeypatch.setattr(
        "neuraxis.preparation.estimate.any_format.read_grid", lambda path: pytest.fail(f"{path} was read")
    )

    assert len(prepare_dataset(dataset, recipe(), tmp_path, None, seen).ids()) == 8


def test_channels_are_prepared_each_by_its_own_rule():
    array = np.stack([np.full((4, 4, 4), 7.0), np.arange(64.0).reshape(4, 4, 4)]).astype(np.float32)
    rules = PreparationRecipe(spacing_mm=(1, 1, 1), normalisation={"a": "none", "b": "zscore"})

    prepared = prepare_volume(Volume(array, Grid((4, 4, 4), np.eye(4))), ("a", "b"), rules)

    assert isinstance(prepared, Prepared)
    assert (prepared.image[0] == 7).all()
    assert prepared.image[1].std() == pytest.approx(1, abs=1e-6)
