"""Prepared cases on disk."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import DataError, ResourceError
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


def test_a_failed_write_leaves_nothing_and_says_what_to_do(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("neuraxis.preparation.store.np.save", full)

    with pytest.raises(ResourceError, match=r"^a: could not be written .*No space left.*GB are free there. Make room"):
        Store(tmp_path).put("a", prepared())

    assert list(tmp_path.iterdir()) == []
    assert Store(tmp_path).ids() == ()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of a file's size is Linux'")
def test_a_disk_that_fills_up_while_writing_leaves_nothing(tmp_path):
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_store import prepared
from neuraxis.preparation.store import Store
from neuraxis.errors import ResourceError
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
try:
    Store({str(tmp_path)!r}).put("a", prepared())
except ResourceError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("a: could not be written")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_half_written_is_no_case_and_is_replaced(tmp_path):
    half = tmp_path / ".part-a"
    half.mkdir()
    (half / "image.b2nd").write_bytes(b"half")
    (half / "stray").write_bytes(b"")
    store = Store(tmp_path)

    assert store.ids() == ()
    store.put("a", prepared(), key="k")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert not (tmp_path / "a" / "stray").exists()
    np.testing.assert_array_equal(store.read("a")[0], prepared().image)


@pytest.mark.parametrize("name", ["image.b2nd", "target.b2nd", "foreground.npy", "case.json"])
@pytest.mark.parametrize("kept", [0, 9])
def test_a_case_whose_files_were_cut_short_by_a_power_failure_is_not_held(tmp_path, name, kept):
    store = Store(tmp_path)
    store.put("a", prepared(), key="k")
    assert store.holds("a", "k")

    with (tmp_path / "a" / name).open("r+b") as stream:
        stream.truncate(kept)

    assert not Store(tmp_path).holds("a", "k")


def test_a_case_that_lost_a_file_is_not_held(tmp_path):
    Store(tmp_path).put("a", prepared(), key="k")
    (tmp_path / "a" / "foreground.npy").unlink()

    assert not Store(tmp_path).holds("a", "k")


def test_a_case_written_before_sizes_were_noted_is_still_held(tmp_path):
    Store(tmp_path).put("a", prepared(), key="k")
    manifest = tmp_path / "a" / "case.json"
    content = json.loads(manifest.read_text())
    del content["sizes"]
    manifest.write_text(json.dumps(content))

    assert Store(tmp_path).holds("a", "k")


def test_cases_of_other_ids_and_half_written_ones_are_removed_on_request(tmp_path):
    store = Store(tmp_path)
    for id in ("a", "b"):
        store.put(id, prepared())
    (tmp_path / ".part-c").mkdir()

    store.keep_only(["a"])

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a"]


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


def test_soft_targets_come_back_as_shares_and_are_centred_on_where_most_is(tmp_path):
    case = prepared()
    target = np.zeros((2, *case.image.shape[1:]), np.float16)
    target[0, 3, 4, 5], target[0, 6, 4, 5] = 0.25, 0.75
    target[1, 9, 9, 2], target[1, 1, 1, 1] = 0.25, 0.125
    store = Store(tmp_path)

    store.put("a", Prepared(case.image, case.way_back, target))

    assert store.read("a")[1].dtype == np.float16
    np.testing.assert_array_equal(store.read("a")[1], target)
    assert store.foreground("a").tolist() == [[0, 6, 4, 5], [1, 9, 9, 2]]
