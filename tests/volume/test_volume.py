from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def stored_grid(order: tuple[int, ...], signs: tuple[int, ...]) -> Grid:
    """Axis a of the file runs along world axis order[a], in the direction signs[a]."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * (axis + 1)
    affine[:3, 3] = (10, -20, 30)
    return Grid((2, 3, 4), affine)


def test_there_are_48_orientations() -> None:
    assert len(ORIENTATIONS) == 48


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_voxel_keeps_its_place_in_the_world_and_returns_to_its_place_in_the_file(
    order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    grid = stored_grid(order, signs)
    stored = Stored.of(grid)
    array = np.arange(24).reshape(2, 3, 4)
    canonical, canonical_grid = stored.to_canonical(array), stored.canonical_grid
    assert canonical_grid.axis_codes == "RAS"
    assert canonical.shape == canonical_grid.shape
    for voxel in np.ndindex(*canonical.shape):
        world = canonical_grid.affine @ [*voxel, 1]
        place = np.rint(np.linalg.solve(grid.affine, world))[:3].astype(int)
        assert canonical[voxel] == array[tuple(place)]
    np.testing.assert_array_equal(stored.from_canonical(canonical), array)


def test_leading_axes_stay_in_front() -> None:
    stored = Stored.of(stored_grid((2, 0, 1), (-1, 1, -1)))
    array = np.arange(5 * 24).reshape(5, 2, 3, 4)
    canonical = stored.to_canonical(array)
    assert canonical.shape == (5, *stored.canonical_grid.shape)
    np.testing.assert_array_equal(stored.from_canonical(canonical), array)


def test_reordering_copies_nothing() -> None:
    stored = Stored.of(stored_grid((2, 0, 1), (-1, 1, -1)))
    array = np.zeros((2, 3, 4))
    assert np.shares_memory(stored.to_canonical(array), array)


def test_a_volume_refuses_an_array_that_does_not_fit_its_grid() -> None:
    grid = Grid((2, 3, 4), np.eye(4))
    with pytest.raises(ValueError, match=r"\(C, X, Y, Z\) on \(2, 3, 4\), not an array of \(2, 3, 4\)"):
        Volume(np.zeros((2, 3, 4)), grid)
    with pytest.raises(ValueError, match="not an array"):
        Volume(np.zeros((1, 4, 3, 2)), grid)


def test_other_values_keep_grid_and_origin() -> None:
    grid = Grid((2, 3, 4), np.eye(4))
    volume = Volume(np.zeros((2, 2, 3, 4)), grid, Stored.of(grid), "scan.nii")
    other = volume.with_array(np.ones((1, 2, 3, 4)))
    assert (other.channels, volume.channels) == (1, 2)
    assert other.stored is volume.stored
    assert other.name == "scan.nii"
