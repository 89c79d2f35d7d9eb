import numpy as np

from neuraxis.registration.resample import resample_onto
from neuraxis.registration.search import rotation, shifted
from neuraxis.registration.transform import Transform
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

GRID = Grid((6, 5, 4), np.diag([1.0, 2.0, 3.0, 1.0]))


def test_onto_its_own_grid_nothing_changes():
    volume = Volume(np.random.default_rng(0).normal(size=(2, 6, 5, 4)).astype(np.float32), GRID)
    np.testing.assert_array_equal(resample_onto(volume, GRID).array, volume.array)


def test_a_part_of_the_grid_is_copied_and_the_rest_is_zero():
    volume = Volume(np.arange(120, dtype=np.float32).reshape(1, 6, 5, 4) + 1, GRID)
    part = GRID.cropped((4, 1, -1), (4, 3, 4))
    found = resample_onto(volume, part).array[0]
    np.testing.assert_array_equal(found[:2, :, 1:], volume.array[0, 4:6, 1:4, :3])
    assert not found[2:].any()
    assert not found[:, :, 0].any()


def test_a_shift_of_one_voxel_moves_the_values_by_one_voxel():
    volume = Volume(np.zeros((1, 6, 5, 4), np.float32), GRID)
    volume.array[0, 2, 2, 2] = 1
    moved = resample_onto(volume, GRID, Transform(shifted(np.array([1.0, -2.0, 3.0]))))
    assert moved.array[0, 3, 1, 3] == 1
    assert moved.array.sum() == 1


def test_a_plane_stays_a_plane_when_it_is_turned():
    grid = Grid((20, 20, 20), np.eye(4))
    x, y, z = np.meshgrid(*[np.arange(20.0)] * 3, indexing="ij")
    volume = Volume((x + 2 * y - z)[None].astype(np.float32), grid)
    turn = Transform(shifted(np.full(3, 9.5)) @ _four(rotation(np.radians([8, -5, 12]))) @ shifted(np.full(3, -9.5)))
    for order in (1, 3):
        found = resample_onto(volume, grid, turn, order).array[0, 6:14, 6:14, 6:14]
        points = np.stack([x, y, z], axis=-1)[6:14, 6:14, 6:14].reshape(-1, 3)
        there = turn.inverse.apply(points)
        np.testing.assert_allclose(found.ravel(), there @ [1, 2, -1], atol=1e-3 if order == 1 else 0.05)


def test_labels_keep_their_numbers_and_their_dtype():
    grid = Grid((12, 12, 12), np.eye(4))
    labels = Volume(np.random.default_rng(0).choice([0, 3, 7], (1, 12, 12, 12)).astype(np.int16), grid)
    found = resample_onto(labels, grid, Transform(shifted(np.array([0.4, 0.3, 0.2]))), labels=True)
    assert found.array.dtype == np.int16
    assert set(np.unique(found.array)) <= {0, 3, 7}


def test_a_channel_that_is_not_there_reads_zero_beyond_the_scan():
    volume = Volume(np.ones((1, 6, 5, 4), np.float32), GRID)
    far = resample_onto(volume, GRID, Transform(shifted(np.array([100.0, 0, 0]))))
    assert not far.array.any()


def _four(matrix):
    whole = np.eye(4)
    whole[:3, :3] = matrix
    return whole
