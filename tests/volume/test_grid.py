from __future__ import annotations

import numpy as np
import pytest

from neuraxis.volume.grid import Grid, nearest_axes


def turned(degrees: float, axis: int) -> np.ndarray:
    angle = np.radians(degrees)
    matrix = np.eye(3)
    first, second = [other for other in range(3) if other != axis]
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def grid_of(shape: tuple[int, int, int], matrix: np.ndarray, offset: tuple[float, float, float] = (0, 0, 0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, offset
    return Grid(shape, affine)


def test_spacing_and_voxel_volume_of_an_oblique_grid_are_those_of_its_columns() -> None:
    grid = grid_of((4, 5, 6), turned(20, 0) @ np.diag([0.5, 1.0, 3.0]))
    assert grid.spacing_mm == (0.5, 1.0, 3.0)
    assert grid.voxel_ml == 0.0015


@pytest.mark.parametrize(
    ("matrix", "codes"),
    [
        (np.diag([1, 1, 1]), "RAS"),
        (np.diag([-1, -1, 1]), "LPS"),
        ([[0, 0, -1], [1, 0, 0], [0, -1, 0]], "AIL"),
        (turned(30, 2), "RAS"),
        (turned(60, 2), "ALS"),
    ],
)
def test_axis_codes_name_the_direction_each_axis_mostly_runs_to(matrix: np.ndarray, codes: str) -> None:
    assert grid_of((2, 2, 2), np.asarray(matrix, float)).axis_codes == codes


def test_at_45_degrees_every_world_axis_is_still_named_once() -> None:
    found = nearest_axes(grid_of((2, 2, 2), turned(45, 0) @ turned(45, 1) @ turned(45, 2)).affine)
    assert sorted(world for world, _ in found) == [0, 1, 2]


def test_a_resampled_grid_covers_the_same_box() -> None:
    grid = grid_of((10, 20, 30), turned(25, 1) @ np.diag([1.0, 2.0, 3.0]), (5, -7, 9))
    finer = grid.resampled((20, 25, 10))

    def outer_corners(grid: Grid) -> np.ndarray:
        low, high = np.full(3, -0.5), np.array(grid.shape) - 0.5
        return np.array([grid.affine @ [*corner, 1] for corner in (low, high, [low[0], high[1], low[2]])])

    np.testing.assert_allclose(outer_corners(finer), outer_corners(grid), atol=1e-9)
    assert finer.spacing_mm == (0.5, 1.6, 9.0)


def test_a_cropped_grid_begins_at_the_voxel_where_the_box_begins() -> None:
    grid = grid_of((10, 20, 30), turned(25, 1) @ np.diag([1.0, 2.0, 3.0]), (5, -7, 9))
    cropped = grid.cropped((2, 3, 4), (5, 5, 5))
    np.testing.assert_allclose(cropped.affine[:, 3], grid.affine @ [2, 3, 4, 1])
    assert cropped.shape == (5, 5, 5)


def test_grids_match_within_a_thousandth_voxel_and_no_further() -> None:
    grid = grid_of((10, 10, 10), np.diag([1.0, 1.0, 3.0]))
    assert grid.matches(grid_of((10, 10, 10), np.diag([1.0, 1.0, 3.0]), (0.0009, 0, 0)))
    assert not grid.matches(grid_of((10, 10, 10), np.diag([1.0, 1.0, 3.0]), (0.0011, 0, 0)))
    assert not grid.matches(grid_of((10, 10, 9), np.diag([1.0, 1.0, 3.0])))
    assert not grid.matches(grid_of((10, 10, 10), np.diag([1.0, 1.0, 1.0])))


def test_the_distance_of_two_grids_is_that_of_their_furthest_corners() -> None:
    grid = grid_of((11, 3, 3), np.eye(3))
    stretched = grid_of((11, 3, 3), np.diag([1.1, 1.0, 1.0]))
    assert grid.corner_distance_mm(stretched) == pytest.approx(1.0)


def test_a_grid_cannot_be_changed_from_outside() -> None:
    affine = np.eye(4)
    grid = Grid((1, 1, 1), affine)
    affine[0, 0] = 9
    assert grid.affine[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 0] = 9


def test_an_affine_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"4 x 4 matrix, not \(3, 3\)"):
        Grid((1, 1, 1), np.eye(3))


def test_a_description_says_size_spacing_and_orientation() -> None:
    described = grid_of((240, 240, 155), np.diag([-1, -1, 1.5])).describe()
    assert described == "240 x 240 x 155 voxels of 1, 1, 1.5 mm, LPS"
