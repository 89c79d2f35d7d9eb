"""Prepared cases on disk."""

import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.volume.grid import Grid


def prepared(seed=0, shape=(70, 20, 9)):
    draws = np.random.default_rng(seed)
    way = WayBack(Grid(shape, np.eye(4)), (0, 0, 0), shape, shape)
    image = draws.normal(size=(2, *shape)).astype(np.float32)
    return Prepared(image, way, (draws.random((1, *shape)) > 0.9).astype(np.uint8))


def test_a_case_comes_back_as_it_was_and_so_does_any_box_of_it(tmp_path):
    case = prepared()
    Store(tmp_path).put("a", case)

    image, target = Store(tmp_path).read("a")
    part, _ = Store(tmp_path).read("a", (slice(60, 70), slice(3, 8), slice(0, 9)))

    np.testing.assert_array_equal(image, case.image)
    np.testing.assert_array_equal(target, case.target)
    np.testing.assert_array_equal(part, case.image[:, 60:70, 3:8])


def test_a_case_is_held_only_under_the_key_it_was_put_with(tmp_path):
    Store(tmp_path).put("a", prepared(), key="one")

    assert Store(tmp_path).holds("a", "one")
    assert not Store(tmp_path).holds("a", "two")
    assert not Store(tmp_path).holds("b", "one")


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("neuraxis.preparation.store.write_json", lambda *_: (_ for _ in ()).throw(OSError("full")))

    with pytest.raises(OSError, match="full"):
        Store(tmp_path).put("a", prepared())

    assert list(tmp_path.iterdir()) == []
    assert Store(tmp_path).ids() == ()


def test_foreground_voxels_are_labelled_and_the_same_each_time(tmp_path):
    case = prepared()
    for name in ("one", "two"):
        Store(tmp_path / name).put("a", case)

    rows = Store(tmp_path / "one").foreground("a")

    np.testing.assert_array_equal(rows, Store(tmp_path / "two").foreground("a"))
    assert (case.target[0][tuple(rows[:, 1:].T)] == rows[:, 0]).all()
    assert len(rows) == case.target.sum()


def test_a_new_put_replaces_the_case(tmp_path):
    store = Store(tmp_path)
    store.put("a", prepared(0))
    store.read("a")
    store.put("a", prepared(1))

    np.testing.assert_array_equal(store.read("a")[0], prepared(1).image)


def test_an_unknown_case_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a prepared case"):
        Store(tmp_path).shape("nobody")
