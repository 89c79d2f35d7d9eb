"""What preparing takes is told before, and is not less than it really takes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import fingerprint
from neuraxis.dataset.labels import Labels
from neuraxis.errors import ResourceError
from neuraxis.preparation.estimate import Need, estimate_needs, refuse_too_little_room
from neuraxis.preparation.prepare import prepare_case
from neuraxis.preparation.store import Store
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

PLAIN = Labels(names={"background": 0, "a": 1, "b": 2})
SOFT = PLAIN.model_copy(update={"soft": True})
REGIONS = Labels(names={"background": 0, "a": 1, "b": 2}, regions={"whole": (1, 2), "core": (2,)})


def make(folder, channels, labels, shape=(120, 110, 100), border=0):
    """A dataset of one case of noise, 0 for `border` voxels from each side."""
    draws = np.random.default_rng(0)
    inner = tuple(slice(border, size - border) for size in shape)
    image, label = np.zeros((1, *shape), np.int16), np.zeros((1, *shape), np.uint8)
    image[(0, *inner)] = draws.normal(500, 100, image[(0, *inner)].shape)
    label[(0, *inner)] = draws.integers(0, 3, label[(0, *inner)].shape)
    grid = Grid(shape, np.eye(4))
    nifti.write(folder / "image.nii.gz", Volume(image, grid))
    nifti.write(folder / "label.nii.gz", Volume(label, grid))
    files = {name: ImageFile(folder / "image.nii.gz") for name in channels}
    case = Case("a", files, folder / "label.nii.gz")
    return Dataset("toy", folder, "nnunet", tuple(channels), dict.fromkeys(channels, "MRI"), labels, (case,))


def recipe(dataset, rule="zscore", **changes):
    rules = dict.fromkeys(dataset.channels, rule)
    scales = dict.fromkeys(dataset.channels, tuple(range(11)))
    return PreparationRecipe(**{"spacing_mm": (1, 1, 1), "normalisation": rules, "landmarks": scales} | changes)


@pytest.mark.parametrize(
    ("channels", "labels", "changes"),
    [
        ("a", PLAIN, {}),
        ("a", PLAIN, {"spacing_mm": (0.7, 0.8, 0.9), "rule": "percentile", "label_order": "linear"}),
        ("abcd", PLAIN, {"rule": "nyul"}),
        ("abc", REGIONS, {"spacing_mm": (1, 1, 0.6), "rule": "zscore_nonzero", "thick_ratio": 1.5}),
        ("ab", REGIONS, {"spacing_mm": (2, 2, 2)}),
        ("ab", SOFT, {"spacing_mm": (0.7, 0.8, 0.9)}),
    ],
)
def test_a_case_takes_neither_more_memory_nor_more_disk_than_estimated(tmp_path, channels, labels, changes):
    dataset = make(tmp_path, channels, labels)
    decisions = recipe(dataset, **changes)
    case = dataset.cases[0]
    need = estimate_needs([case], dataset, decisions)[0]
    store = Store(tmp_path / "store")
    store.open_library()

    tracemalloc.start()
    store.put("a", prepare_case(case, dataset, decisions))
    peak_gb = tracemalloc.get_traced_memory()[1] / 2**30
    tracemalloc.stop()
    on_disk = sum(path.stat().st_size for path in (tmp_path / "store" / "a").iterdir())

    assert 0.5 * (need.memory_gb - 0.1) < peak_gb < need.memory_gb - 0.05
    assert 0.6 * need.disk_bytes < on_disk < need.disk_bytes


def test_large_cases_are_told_from_their_headers(tmp_path):
    """A CT of 500 x 500 x 500 takes some 3 GiB, so that 16 at once do not fit into 32 GiB."""
    dataset = make(tmp_path, "a", PLAIN, (40, 30, 20))
    (tmp_path / "image.nii.gz").unlink()
    header_only(tmp_path / "image.nii.gz", (500, 500, 500))

    need = estimate_needs(dataset.cases, dataset, recipe(dataset))[0]

    assert 2.5 < need.memory_gb < 3.5
    assert need.disk_bytes == pytest.approx(500**3 * 5, rel=0.05)


def header_only(path, shape):
    small = Volume(np.zeros((1, 1, 1, 1), np.int16), Grid((1, 1, 1), np.eye(4)))
    nifti.write(path.with_suffix(""), small)
    raw = bytearray(path.with_suffix("").read_bytes())
    for place, size in enumerate(shape):
        raw[42 + 2 * place : 44 + 2 * place] = size.to_bytes(2, "little")
    path.with_suffix("").unlink()
    path.write_bytes(raw)


def test_with_a_fingerprint_only_the_box_that_is_kept_counts(tmp_path):
    dataset = make(tmp_path, "a", PLAIN, (60, 60, 60), border=15)
    cropped = recipe(dataset, crop="nonzero")
    from_header = estimate_needs(dataset.cases, dataset, cropped)[0]
    from_data = estimate_needs(dataset.cases, dataset, cropped, fingerprint(dataset))[0]

    assert not from_header.is_sure
    assert from_data.is_sure
    assert from_data.disk_bytes == pytest.approx(30**3 * 5 * 1.02 + 150_000)
    assert from_header.disk_bytes == pytest.approx(60**3 * 5 * 1.02 + 150_000)


def test_too_little_room_is_refused_with_what_is_needed_and_found(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**9}))

    assert refuse_too_little_room([Need(1, 10**8)], tmp_path) == "1 case take up to 0.1 GB, 1 GB are free"
    with pytest.raises(ResourceError, match=r"3 cases take up to 12 GB, 1 GB are free\. Make room, or name another"):
        refuse_too_little_room([Need(1, 4 * 10**9)] * 3, tmp_path / "not" / "there" / "yet")


def test_a_size_that_is_only_an_upper_bound_refuses_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**9}))

    assert "take up to 4 GB" in refuse_too_little_room([Need(1, 4 * 10**9, is_sure=False)], tmp_path)
