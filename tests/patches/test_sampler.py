"""Which patch a step sees."""

import numpy as np
import pytest

from neuraxis.patches.sampler import PatchPlace, PatchSampler, SamplerOptions
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.volume.grid import Grid


def put(store, id, image, target):
    shape = image.shape[1:]
    store.put(id, Prepared(image, WayBack(Grid(shape, np.eye(4)), (0, 0, 0), shape, shape), target))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    for number in range(3):
        image = np.arange(6 * 5 * 4, dtype=np.float32).reshape(1, 6, 5, 4) + 1000 * number
        target = np.zeros((1, 6, 5, 4), np.uint8)
        target[0, 5, 4, 3] = 1
        put(store, f"case{number}", image, target)
    return store


def sampler(store, **changes):
    settings = {"shape": (4, 4, 4), "core": (4, 4, 4), "batch": 2, "foreground": 0.0, "seed": 0} | changes
    return PatchSampler(store, store.ids(), SamplerOptions(**settings))


def test_a_step_gives_the_same_batch_whenever_and_wherever_it_is_asked_for(store):
    first, again = sampler(store), sampler(store)
    again.batch(5)

    for one, other in zip(first.batch(3), again.batch(3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_round_shows_every_case_once(store):
    drawn = [sampler(store).place(step, sample).case for step in range(3) for sample in range(2)]

    assert sorted(drawn[:3]) == sorted(drawn[3:]) == ["case0", "case1", "case2"]


def test_another_seed_gives_other_places(store):
    places = [[sampler(store, seed=seed).place(step, 0) for step in range(8)] for seed in (0, 1)]

    assert places[0] != places[1]


def test_a_foreground_patch_holds_a_labelled_voxel(store):
    _, targets = sampler(store, foreground=1.0, shape=(2, 2, 2), core=(2, 2, 2)).batch(0)

    assert targets.reshape(2, -1).max(axis=1).tolist() == [1, 1]


def test_a_patch_is_what_lies_at_its_place(store):
    image, _ = sampler(store).cut(PatchPlace("case1", (1, 1, 0)))

    np.testing.assert_array_equal(image, store.read("case1")[0][:, 1:5, 1:5, 0:4])


def test_outside_the_case_the_image_is_zero_and_the_target_background(store):
    image, target = sampler(store).cut(PatchPlace("case1", (-2, 4, -1)))

    whole = np.zeros((1, 4, 4, 4), np.float32)
    whole[:, 2:4, 0:1, 1:4] = store.read("case1")[0][:, 0:2, 4:5, 0:3]
    np.testing.assert_array_equal(image, whole)
    assert target.sum() == 0


def test_the_core_stays_inside_a_case_that_is_large_enough(store):
    for step in range(20):
        start = sampler(store, shape=(6, 6, 6)).place(step, 0).start
        inner = [begin + 1 for begin in start]
        assert all(0 <= begin <= size - 4 for begin, size in zip(inner, (6, 5, 4), strict=True))


def test_a_case_smaller_than_the_patch_lies_within_it(tmp_path):
    store = Store(tmp_path / "small")
    put(store, "tiny", np.ones((1, 2, 2, 2), np.float32), np.ones((1, 2, 2, 2), np.uint8))

    for foreground in (0.0, 1.0):
        images, targets = sampler(store, foreground=foreground).batch(0)
        assert images.sum(axis=(1, 2, 3, 4)).tolist() == [8, 8]
        assert targets.sum() == 16
