"""Augmentation: what changes, what must not."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.augment.intensity import IntensityDraw, apply_intensity
from neuraxis.patches.augment.spatial import SpatialDraw, apply_spatial, margin
from neuraxis.recipe.augmentation import AugmentationRecipe

NOTHING = {f"{name}_probability": 0.0 for name in ("affine", "noise", "blur", "brightness", "contrast", "gamma")}
ALWAYS = dict.fromkeys(NOTHING, 1.0)


@pytest.fixture
def batch():
    source = torch.Generator().manual_seed(0)
    images = torch.randn(2, 1, 12, 10, 8, generator=source)
    targets = (torch.rand(2, 1, 12, 10, 8, generator=source) > 0.7).to(torch.uint8) * 3
    return images, targets


def augment(batch, step=0, core=(8, 8, 8), **changes):
    recipe = AugmentationRecipe(**(ALWAYS | {"mirror_axes": (0, 1, 2)} | changes))
    return Augmentation(recipe, core, (1, 1, 1), seed=0)(*batch, step)


def test_the_same_step_gives_the_same_result_and_another_step_another(batch):
    first, again, other = augment(batch, 4), augment(batch, 4), augment(batch, 5)

    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_labels_stay_the_numbers_they_were(batch):
    _, targets = augment(batch)

    assert targets.dtype == torch.uint8
    assert set(targets.unique().tolist()) <= {0, 3}


def test_with_every_probability_0_the_core_comes_back_untouched(batch):
    images, targets = augment(batch, **NOTHING, mirror_axes=())

    assert torch.equal(images, batch[0][:, :, 2:10, 1:9, :])
    assert torch.equal(targets, batch[1][:, :, 2:10, 1:9, :])


def test_the_inputs_are_not_changed(batch):
    before = batch[0].clone()
    augment(batch)

    assert torch.equal(batch[0], before)


def test_the_identity_matrix_resamples_onto_itself(batch):
    drawn = [SpatialDraw(np.eye(3), ())] * 2

    images, targets = apply_spatial(*batch, drawn, (8, 8, 8), (1, 1, 1))

    torch.testing.assert_close(images, batch[0][:, :, 2:10, 1:9, :], atol=1e-5, rtol=0)
    assert torch.equal(targets, batch[1][:, :, 2:10, 1:9, :])


def test_a_quarter_turn_about_z_turns_x_into_y():
    image = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 1, 4, 4, 1).contiguous()
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])

    turned, _ = apply_spatial(image, image.to(torch.uint8), [SpatialDraw(turn, ())], (4, 4, 1), (1, 1, 1))

    torch.testing.assert_close(turned[0, 0, :, :, 0], torch.arange(3.0, -1, -1).expand(4, 4), atol=1e-5, rtol=0)


def test_a_rotation_is_one_in_millimetres():
    """A quarter turn with voxels twice as long in y reads every second voxel of x."""
    image = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(1, 1, 8, 4, 1).contiguous()
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])

    turned, _ = apply_spatial(image, image.to(torch.uint8), [SpatialDraw(turn, ())], (8, 4, 1), (1, 2, 1))

    torch.testing.assert_close(turned[0, 0, 4, :, 0], torch.tensor([6.5, 4.5, 2.5, 0.5]), atol=1e-4, rtol=0)


def test_mirroring_turns_image_and_target_together(batch):
    images, targets = apply_spatial(*batch, [SpatialDraw(None, (0,)), SpatialDraw(None, ())], (12, 10, 8), (1, 1, 1))

    assert torch.equal(images[0], batch[0][0].flip(1))
    assert torch.equal(targets[0], batch[1][0].flip(1))
    assert torch.equal(images[1], batch[0][1])


def test_blur_keeps_a_constant_and_flattens_a_point():
    point = torch.zeros(1, 1, 9, 9, 9)
    point[0, 0, 4, 4, 4] = 1

    blurred = apply_intensity(point, [IntensityDraw(blur=0.8)])

    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    assert float(blurred.max()) < 0.2
    torch.testing.assert_close(
        apply_intensity(torch.ones(1, 1, 5, 5, 1), [IntensityDraw(blur=1.0)]), torch.ones(1, 1, 5, 5, 1)
    )


def test_gamma_keeps_mean_and_spread(batch):
    changed = apply_intensity(batch[0], [IntensityDraw(gamma=1.4), IntensityDraw(gamma=0.7, inverted=True)])

    for before, after in zip(batch[0], changed, strict=True):
        assert float(after.mean()) == pytest.approx(float(before.mean()), abs=1e-5)
        assert float(after.std()) == pytest.approx(float(before.std()), rel=1e-4)
        assert not torch.allclose(before, after)


def test_contrast_stays_within_the_old_range(batch):
    changed = apply_intensity(batch[0], [IntensityDraw(contrast=1.25)] * 2)

    assert float(changed.max()) <= float(batch[0].max())
    assert float(changed.min()) >= float(batch[0].min())


def test_brightness_multiplies():
    assert torch.equal(
        apply_intensity(torch.ones(1, 1, 2, 2, 2), [IntensityDraw(brightness=1.2)]), torch.full((1, 1, 2, 2, 2), 1.2)
    )


def test_noise_has_the_asked_for_spread():
    noisy = apply_intensity(torch.zeros(1, 1, 40, 40, 40), [IntensityDraw(noise=0.2, noise_seed=5)])

    assert float(noisy.std()) == pytest.approx(0.2, rel=0.02)


def test_the_margin_is_a_fifth_and_nothing_along_a_flat_axis():
    assert margin((40, 56, 1), AugmentationRecipe()) == (48, 68, 1)
    assert margin((40, 56, 1), AugmentationRecipe(affine_probability=0)) == (40, 56, 1)
