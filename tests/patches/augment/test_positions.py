"""Where voxels are read from: each change of positions against its formula."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.positions import (
    Barrel,
    Elastic,
    Frame,
    affine_positions,
    bend,
    control_points,
    deform,
    rotation,
    spline_weights,
)

CPU = torch.device("cpu")


def frame(shape=(12, 10, 8), core=None, spacing=(1.0, 1.0, 1.0)):
    return Frame(shape, core or shape, spacing, CPU)


def voxels(grid, about):
    """Return positions as voxels of the image that is read, (X, Y, Z, 3)."""
    return (grid.flip(-1).double().numpy() + 1) * about.halves - 0.5


def where(shape):
    return np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1).astype(float)


def test_without_a_change_every_voxel_is_read_where_it_lies():
    found = voxels(affine_positions(np.eye(3), frame()), frame())

    np.testing.assert_allclose(found, where((12, 10, 8)), atol=1e-5)


def test_a_smaller_patch_lies_in_the_images_middle():
    found = voxels(affine_positions(np.eye(3), frame((13, 10, 8), (9, 6, 8))), frame((13, 10, 8)))

    np.testing.assert_allclose(found, where((9, 6, 8)) + np.array((2, 2, 0)), atol=1e-5)


def test_a_matrix_acts_in_millimetres_about_the_middle():
    about = frame((9, 9, 9), spacing=(1.0, 2.0, 4.0))
    matrix = np.array([[0.9, 0.1, 0.0], [-0.2, 1.1, 0.3], [0.0, 0.1, 0.8]])

    found = voxels(affine_positions(matrix, about), about)

    spacing = np.array(about.spacing_mm)
    expected = ((where((9, 9, 9)) - 4) * spacing) @ matrix.T / spacing + 4
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_control_points_that_all_move_alike_shift_the_image_by_as_many_millimetres():
    about = frame((12, 10, 8), spacing=(1.0, 2.0, 4.0))
    counts = [control_points(size, 6.0 / step) for size, step in zip(about.shape, about.spacing_mm, strict=True)]
    grid = affine_positions(np.eye(3), about)

    deform(grid, Elastic(np.broadcast_to([2.0, 2.0, 2.0], (*counts, 3)), 6.0, (0, 1, 2)), np.eye(3), about)

    np.testing.assert_allclose(
        voxels(grid, about) - where(about.shape), np.broadcast_to([2, 1, 0.5], (12, 10, 8, 3)), atol=1e-4
    )


def test_an_elastic_deformation_is_the_b_spline_through_its_control_points_before_the_matrix_turns_it():
    about, draws = frame((9, 8, 7), spacing=(1.0, 1.5, 2.0)), np.random.default_rng(0)
    counts = [control_points(size, 4.0 / step) for size, step in zip(about.shape, about.spacing_mm, strict=True)]
    moves, matrix = draws.uniform(-1.5, 1.5, (*counts, 3)), rotation(np.radians([10, -20, 30])) * 0.9
    grid = affine_positions(matrix, about)

    deform(grid, Elastic(moves, 4.0, (0, 1, 2)), matrix, about)

    x, y, z = (spline_weights(size, 4.0 / step) for size, step in zip(about.shape, about.spacing_mm, strict=True))
    moved_mm = np.einsum("xi,yj,zk,ijkc->xyzc", x, y, z, moves)
    middle = (np.array(about.shape) - 1) / 2
    in_mm = (where(about.shape) - middle) * about.spacing_mm + moved_mm
    expected = in_mm @ matrix.T / about.spacing_mm + middle
    np.testing.assert_allclose(voxels(grid, about), expected, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_elastic_deformation_that_the_recipe_allows_does_not_fold(seed):
    about, draws = frame((24, 24, 24)), np.random.default_rng(seed)
    counts = [control_points(24, 5.0)] * 3
    moves = 0.4 * 5.0 * draws.choice([-1.0, 1.0], (*counts, 3))
    grid = affine_positions(np.eye(3), about)

    deform(grid, Elastic(moves, 5.0, (0, 1, 2)), np.eye(3), about)

    jacobian = np.stack(np.gradient(voxels(grid, about), axis=(0, 1, 2)), axis=-1)
    assert np.linalg.det(jacobian).min() > 0


def test_along_an_axis_that_is_left_out_the_field_is_the_same_everywhere():
    about = frame((8, 8, 4))
    moves = np.random.default_rng(0).uniform(-1, 1, (control_points(8, 4.0), control_points(8, 4.0), 1, 3))
    grid = affine_positions(np.eye(3), about)

    deform(grid, Elastic(moves, 4.0, (0, 1)), np.eye(3), about)

    change = voxels(grid, about) - where(about.shape)
    np.testing.assert_allclose(change, np.broadcast_to(change[:, :, :1], change.shape), atol=1e-4)


def test_a_barrel_reads_nearer_to_its_middle_by_a_power_of_the_sine_and_nothing_moves_outside():
    about = frame((21, 21, 21), spacing=(1.0, 1.0, 2.0))
    grid = affine_positions(np.eye(3), about)

    bend(grid, Barrel(0.5, (2.0, 0.0, 0.0), 8.0, (0, 1, 2)), about)

    found = voxels(grid, about)
    np.testing.assert_allclose(found[12, 10, 10], (12, 10, 10), atol=1e-4)
    np.testing.assert_allclose(found[16, 10, 10], (12 + 4 * np.sin(np.pi / 4) ** 0.5, 10, 10), atol=1e-4)
    np.testing.assert_allclose(found[12, 10, 12], (12, 10, 10 + 2 * np.sin(np.pi / 4) ** 0.5), atol=1e-4)
    outside = (((where(about.shape) - (12, 10, 10)) * (1, 1, 2)) ** 2).sum(axis=-1) >= 64
    np.testing.assert_allclose(found[outside], where(about.shape)[outside], atol=1e-4)


def test_a_negative_strength_is_a_pincushion():
    grid = affine_positions(np.eye(3), frame((21, 21, 1)))

    bend(grid, Barrel(-0.5, (0.0, 0.0, 0.0), 8.0, (0, 1)), frame((21, 21, 1)))

    found = voxels(grid, frame((21, 21, 1)))
    np.testing.assert_allclose(found[14, 10, 0], (10 + 4 * np.sin(np.pi / 4) ** -0.5, 10, 0), atol=1e-4)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(("size", "pitch"), [(1, 4.0), (7, 3.0), (40, 13.9), (40, 0.7)])
def test_spline_weights_form_a_mean_and_keep_straight_lines(size, pitch):
    weights = spline_weights(size, pitch)

    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights @ (np.arange(weights.shape[1]) - 1) * pitch, np.arange(size), atol=1e-9)
    assert weights.shape[1] == control_points(size, pitch)
