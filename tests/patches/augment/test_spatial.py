"""What moves a sample: known answers, labels, and what is drawn."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.patch import Patch, Streams
from neuraxis.patches.augment.positions import Elastic, rotation
from neuraxis.patches.augment.spatial import SpatialDraw, apply_spatial, draw_deformation, draw_spatial, margin
from neuraxis.patches.draws import Purpose
from neuraxis.recipe.augmentation import AugmentationRecipe

NONE = SpatialDraw(None, ())


@pytest.fixture
def cube():
    """A random cube and a label with each of its voxels' own small number."""
    source = torch.Generator().manual_seed(0)
    image = torch.randn(1, 2, 8, 8, 8, generator=source)
    return image, torch.randint(0, 4, (1, 1, 8, 8, 8), generator=source, dtype=torch.uint8)


def moved(sample, draw, spacing=(1, 1, 1)):
    return apply_spatial(*sample, [draw], tuple(sample[0].shape[2:]), spacing)


@pytest.mark.parametrize(("axis", "plane"), [(0, (3, 4)), (1, (2, 4)), (2, (2, 3))])
def test_a_quarter_turn_of_a_cube_is_exact(cube, axis, plane):
    angles = np.zeros(3)
    angles[axis] = np.pi / 2

    image, label = moved(cube, SpatialDraw(rotation(angles), ()))

    torch.testing.assert_close(image, cube[0].rot90(-1, plane), atol=1e-5, rtol=0)
    assert torch.equal(label, cube[1].rot90(-1, plane))


def test_mirroring_twice_changes_nothing(cube):
    once = moved(cube, SpatialDraw(None, (0, 2)))
    twice = moved(once, SpatialDraw(None, (0, 2)))

    assert not torch.equal(once[0], cube[0])
    assert torch.equal(twice[0], cube[0])
    assert torch.equal(twice[1], cube[1])


def test_a_shear_of_tangent_one_moves_each_line_by_one_voxel_more(cube):
    shear = np.eye(3)
    shear[0, 1] = 1

    image, _ = moved(cube, SpatialDraw(None, (), shear=shear))

    torch.testing.assert_close(image[0, :, 2, 3], (cube[0][0, :, 1, 3] + cube[0][0, :, 2, 3]) / 2, atol=1e-5, rtol=0)
    torch.testing.assert_close(image[0, :, 2, 5], (cube[0][0, :, 3, 5] + cube[0][0, :, 4, 5]) / 2, atol=1e-5, rtol=0)


def test_zooming_out_to_a_half_shows_the_whole_in_the_middle_half_and_nothing_around_it():
    image = torch.ones(1, 1, 8, 8, 8)

    small, label = moved((image, image.to(torch.uint8)), SpatialDraw(None, (), zoom=np.eye(3) * 2))

    assert torch.equal(label[0, 0, 2:6, 2:6, 2:6], torch.ones(4, 4, 4, dtype=torch.uint8))
    assert int(label.sum()) == 64
    torch.testing.assert_close(small[0, 0, 2:6, 2:6, 2:6], torch.ones(4, 4, 4))
    assert float(small[0, 0, 0].max()) == 0


def test_all_matrices_act_together_affine_last(cube):
    turn, shear = rotation(np.array([0, 0, np.pi / 2])), np.eye(3)
    shear[0, 1] = 1

    together, _ = moved(cube, SpatialDraw(turn, (), shear=shear, zoom=np.eye(3) * 1.5))
    as_one, _ = moved(cube, SpatialDraw(turn @ shear @ np.eye(3) * 1.5, ()))

    assert torch.equal(together, as_one)


def test_an_elastic_shift_by_whole_voxels_moves_image_and_label_alike(cube):
    field = Elastic(np.broadcast_to([2.0, 0.0, 0.0], (4, 4, 4, 3)), 8.0, (0, 1, 2))

    image, label = moved(cube, SpatialDraw(None, (), elastic=field))

    torch.testing.assert_close(image[:, :, :6], cube[0][:, :, 2:], atol=1e-4, rtol=0)
    assert torch.equal(label[:, :, :6], cube[1][:, :, 2:])


def test_the_names_of_a_draw_tell_what_happens():
    assert NONE.names == ()
    assert SpatialDraw(np.eye(3), (0,), zoom=np.eye(3)).names == ("affine", "zoom", "mirror")
    assert not SpatialDraw(None, (0,)).resamples


def test_in_2d_nothing_is_drawn_along_the_flat_axis():
    always = dict.fromkeys(("shear_probability", "zoom_probability", "elastic_probability", "barrel_probability"), 1.0)
    recipe = AugmentationRecipe(affine_probability=1, rotation_deg=(90, 90, 90), mirror_axes=(0, 1), **always)
    patch = Patch((32, 24, 1), (1.0, 1.0, 5.0), 2)

    for step in range(5):
        streams = Streams(0, step, 0)
        drawn = draw_deformation(draw_spatial(streams(Purpose.AUGMENT), recipe, 2), streams, recipe, patch)
        np.testing.assert_allclose(drawn.matrix[2], (0, 0, 1), atol=1e-12)
        np.testing.assert_allclose(drawn.matrix[:2, 2], 0, atol=1e-12)
        assert np.all(drawn.elastic.moves_mm[..., 2] == 0)
        assert drawn.elastic.moves_mm.shape[2] == 1
        assert drawn.barrel.axes == (0, 1)
        assert drawn.barrel.middle_mm[2] == 0


def test_control_points_lie_as_far_apart_in_millimetres_along_every_axis():
    recipe = AugmentationRecipe(elastic_probability=1, elastic_spacing_mm=20, elastic_mm=5)
    patch = Patch((64, 64, 16), (1.0, 1.0, 4.0))

    field = draw_deformation(NONE, Streams(0, 0, 0), recipe, patch).elastic

    assert field.moves_mm.shape == (7, 7, 7, 3)
    assert np.abs(field.moves_mm).max() <= 5


def test_switching_one_kind_on_changes_no_other():
    patch = Patch((32, 32, 32))
    alone = draw_deformation(NONE, Streams(0, 3, 1), AugmentationRecipe(elastic_probability=1), patch)
    both = AugmentationRecipe(elastic_probability=1, shear_probability=1, zoom_probability=1)

    together = draw_deformation(NONE, Streams(0, 3, 1), both, patch)

    assert np.array_equal(alone.elastic.moves_mm, together.elastic.moves_mm)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"affine_probability": 0}, (40, 56, 1)),
        ({}, (48, 68, 1)),
        ({"affine_probability": 0, "elastic_probability": 0.1}, (48, 68, 1)),
        ({"zoom_probability": 0.2, "zoom": (0.8, 1.0)}, (50, 70, 1)),
        ({"zoom_probability": 0.2, "zoom": (0.1, 1.0)}, (60, 84, 1)),
    ],
)
def test_the_margin_is_a_fifth_or_what_a_zoom_needs_and_nothing_along_a_flat_axis(changes, expected):
    assert margin((40, 56, 1), AugmentationRecipe(**changes)) == expected


def test_soft_labels_are_interpolated_and_what_does_not_count_stays_so():
    image, target = torch.zeros(1, 1, 8, 8, 1), torch.zeros(1, 1, 8, 8, 1, dtype=torch.float16)
    target[..., 4:, :, :] = 0.75
    target[..., :2, :] = -1
    half = np.eye(3)
    half[0, 1] = 0.5  # moves every other line by half a voxel

    _, label = moved((image, target), SpatialDraw(None, (), half))

    found = set(label[label >= 0].unique().tolist())
    assert label.dtype == torch.float16
    assert any(0 < value < 0.75 for value in found)
    assert max(found) == 0.75
    assert set(label[label < 0].tolist()) == {-1.0}
