"""Where the voxels of another spacing lie: MONAI's own sums say the same."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.volume.grid import Grid
from neuraxis.volume.lattice import SAME, back, lay


def grid(shape, spacing, degrees=0.0, seed=0) -> Grid:
    """Return a grid as a header in single precision has it."""
    from scipy.spatial.transform import Rotation

    turn = np.deg2rad(degrees) * np.random.default_rng(seed).normal(size=3)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = (-31.7, 12.9, 88.1)
    return Grid(shape, affine.astype(np.float32).astype(np.float64))


def test_the_first_voxel_keeps_its_centre_and_voxels_follow_until_about_the_last() -> None:
    shape, ticks = lay(grid((5, 4, 8), (1, 1, 3)), (2.0, 1.5, 2.0))

    assert shape == (3, 3, 12)  # 4 / 2, 3 / 1.5, 21 / 2, each with the first; of 11.5 the even number
    assert [start for start, _ in ticks] == [0, 0, 0]
    assert [step for _, step in ticks] == pytest.approx([2, 1.5, 2 / 3])


def test_spacings_that_hardly_differ_are_left() -> None:
    assert lay(grid((5, 4, 3), (1, 1, 3)), (1.0005, 0.9995, 0.0)) == ((5, 4, 3), (SAME, SAME, SAME))
    assert lay(grid((5, 4, 3), (4, 4, 4)), (4.003, 4.0, 4.0)) == ((5, 4, 3), (SAME, SAME, SAME))  # no voxel is gained


def test_there_and_back_is_where_it_was() -> None:
    ticks = ((0.5, 2.0), SAME, (-0.25, 0.4))

    for (start, step), (first, distance) in zip(back(back(ticks)), ticks, strict=True):
        assert (start, step) == pytest.approx((first, distance))
    assert back(ticks)[0] == (-0.25, 0.5)  # old voxel 0 lies a quarter of a new one before the first


@pytest.mark.parametrize("seed", range(60))
def test_monai_lays_them_there_too(seed: int) -> None:
    from monai.data.utils import compute_shape_offset, zoom_affine

    drawn = np.random.default_rng(seed)
    spacing = drawn.choice([0.5, 0.7, 0.75, 0.9, 1, 1.2, 1.5, 2, 3, 5], 3)
    shape = tuple(int(size) for size in drawn.integers(1, 150, 3))
    target = drawn.choice([0.5, 0.8, 1.0, 1.5, 2.0, 3.0], 3)
    given = grid(shape, spacing, degrees=20 * (seed % 3), seed=seed)

    found, ticks = lay(given, (float(target[0]), float(target[1]), float(target[2])))

    near = np.abs(np.array(given.exact_spacing_mm) - target) <= 1e-3  # as its Spacing does before
    theirs = zoom_affine(given.affine, np.where(near, given.exact_spacing_mm, target), diagonal=False)
    expected, theirs[:3, 3] = compute_shape_offset(shape, given.affine, theirs)
    place = np.linalg.solve(given.affine, theirs)
    assert found == tuple(expected)
    np.testing.assert_allclose([step for _, step in ticks], np.diag(place)[:3], atol=1e-6)
    np.testing.assert_allclose([start for start, _ in ticks], place[:3, 3], atol=1e-4)
