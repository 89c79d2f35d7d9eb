"""What goes wrong while k-space is read: each against its answer in k-space or in the image."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.kspace import (
    Ghosting,
    Motion,
    Pose,
    Spike,
    apply_ghosting,
    apply_motion,
    apply_spike,
    draw_motion,
    draw_spike,
)
from neuraxis.patches.augment.patch import Patch
from neuraxis.recipe.augmentation import AugmentationRecipe


@pytest.fixture
def image():
    return torch.randn(2, 12, 16, 8, generator=torch.Generator().manual_seed(0))


def test_ghosts_lie_the_axis_length_over_the_period_away_on_both_sides():
    point = torch.zeros(1, 3, 16, 3)
    point[0, 1, 5, 1] = 1

    line = apply_ghosting(point, Ghosting(1, 4, 0.5))[0, 1, :, 1]

    expected = torch.zeros(16)
    expected[5], expected[9], expected[1] = 1 / 1.5, 0.25 / 1.5, 0.25 / 1.5
    torch.testing.assert_close(line, expected, atol=1e-6, rtol=0)


def test_a_period_of_two_lines_is_the_n_half_ghost():
    point = torch.zeros(1, 3, 16, 3)
    point[0, 1, 5, 1] = 1

    line = apply_ghosting(point, Ghosting(1, 2, 0.25))[0, 1, :, 1]

    assert float(line[5]) == pytest.approx(0.8)
    assert float(line[13]) == pytest.approx(0.2)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ghosting_and_motion_keep_the_mean(image, axis):
    motion = Motion(axis, (0, 1), (Pose(0.1, (1.0, 2.0), 0.0, 0.4), Pose(-0.1, (1.0, 0.0), 0.7, 1.0)), (1.0, 1.0, 1.0))

    for changed in (apply_ghosting(image, Ghosting(axis, 3, 0.4)), apply_motion(image, motion)):
        assert changed.shape == image.shape
        torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)), atol=1e-5, rtol=0)
        assert not torch.allclose(changed, image, atol=1e-2)


@pytest.mark.parametrize(("plane", "axis"), [((0, 1), 0), ((0, 2), 1), ((1, 2), 2)])
def test_a_patient_who_lies_elsewhere_for_all_lines_but_the_middle_one_is_seen_there(plane, axis):
    image = torch.zeros(1, 16, 16, 16)
    image[0, 5:9, 6:10, 7:9] = torch.rand(4, 4, 2, generator=torch.Generator().manual_seed(0))
    poses = (Pose(0.0, (2.0, 6.0), 0.0, 0.5), Pose(0.0, (2.0, 6.0), 0.5 + 1e-6, 1.1))

    moved = apply_motion(image, Motion(axis, plane, poses, (1.0, 1.0, 2.0)))

    steps = [-2 if plane[0] < 2 else -1, -6 if plane[1] < 2 else -3]
    there = image.roll(steps, [1 + one for one in plane])
    middle_line = image.mean(dim=1 + axis, keepdim=True) - there.mean(dim=1 + axis, keepdim=True)
    torch.testing.assert_close(moved, there + middle_line, atol=1e-5, rtol=0)


def test_a_movement_early_in_the_scan_spares_the_middle_of_k_space(image):
    moved = apply_motion(image, Motion(1, (0, 1), (Pose(0.2, (2.0, 2.0), 0.0, 0.2),), (1.0, 1.0, 1.0)))

    change = torch.fft.rfft(moved - image, dim=2).abs().amax(dim=(0, 1, 3))
    assert float(change[:5].max()) < 1e-4
    assert float(change[5:].min()) > 0.1


def test_a_turn_in_the_image_plane_is_the_turn_that_labels_would_take():
    image = torch.zeros(1, 9, 9, 1)
    image[0, 6, 4, 0] = 1
    poses = (Pose(np.pi / 2, (0.0, 0.0), 0.0, 0.5), Pose(np.pi / 2, (0.0, 0.0), 0.5 + 1e-6, 1.1))

    moved = apply_motion(image, Motion(0, (0, 1), poses, (1.0, 1.0, 1.0)))

    assert float(moved[0, 4, 2, 0]) == pytest.approx(1 - 1 / 9, abs=1e-5)  # the line of zero frequency stays
    assert float(moved[0, 4, 6, 0]) == pytest.approx(0, abs=1e-5)


def test_labels_keep_their_place_since_no_pose_but_the_own_is_taken_at_the_middle_of_k_space():
    recipe = AugmentationRecipe(motion_moves=4)

    for seed in range(30):
        motion = draw_motion(np.random.default_rng(seed), recipe, Patch((16, 16, 16)))
        assert 1 <= len(motion.poses) <= 4
        assert not any(pose.begin <= 0.5 < pose.end for pose in motion.poses)


def test_in_2d_movements_stay_in_the_plane():
    for seed in range(10):
        motion = draw_motion(np.random.default_rng(seed), AugmentationRecipe(), Patch((16, 16, 1), flat_axis=2))
        assert motion.plane == (0, 1)
        assert motion.axis in (0, 1)


def test_spikes_are_single_points_of_k_space_and_their_mirror_images(image):
    changed = apply_spike(image, Spike(((2, -3, 1), (0, 5, 0)), (0.3, 1.0), 0.5))

    spectrum = torch.fft.fftn((changed - image).double(), dim=(1, 2, 3)).abs() / (12 * 16 * 8)
    for channel, deviation in zip(spectrum, image.std(dim=(1, 2, 3)), strict=True):
        found = {tuple(place) for place in torch.nonzero(channel > 1e-4).tolist()}
        assert found == {(2, 13, 1), (10, 3, 7), (0, 5, 0), (0, 11, 0)}
        assert float(channel[2, 13, 1]) == pytest.approx(0.25 * float(deviation), rel=1e-4)


def test_spikes_are_drawn_between_a_tenth_and_four_tenths_of_the_sampling_frequency():
    for seed in range(20):
        spike = draw_spike(np.random.default_rng(seed), AugmentationRecipe(spikes=3), Patch((100, 100, 1), flat_axis=2))
        for x, y, z in spike.frequencies:
            assert 9 <= np.hypot(x, y) <= 41
            assert z == 0
