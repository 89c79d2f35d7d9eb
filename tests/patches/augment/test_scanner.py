"""What a scanner does to an image: closed-form answers."""

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.patch import Patch
from neuraxis.patches.augment.scanner import (
    Bias,
    LowResolution,
    Rician,
    apply_bias,
    apply_low_resolution,
    apply_rician,
    draw_bias,
    draw_low_resolution,
    legendre,
)
from neuraxis.recipe.augmentation import AugmentationRecipe

DRAWS = np.random.default_rng(0)


def above_zero(*shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.1
    image[:, 0, 0, 0] = 0
    return image


def test_a_bias_field_multiplies_all_channels_alike():
    image = above_zero(2, 8, 7, 6)
    field = draw_bias(np.random.default_rng(1), AugmentationRecipe(bias=0.5), Patch((8, 7, 6)))

    changed = apply_bias(image, field)

    ratio = changed[:, 1:] / image[:, 1:]
    torch.testing.assert_close(ratio[0], ratio[1])
    assert float(ratio.max()) > 1.2
    assert float(ratio.min()) < 0.8


def test_a_bias_field_of_one_polynomial_is_its_exponential():
    coefficients = np.zeros((4, 4, 4))
    coefficients[2, 1, 0] = 0.4
    image = above_zero(1, 8, 6, 4)

    ratio = apply_bias(image, Bias(coefficients))[0, 1:] / image[0, 1:]

    x, y = (2 * np.arange(8) + 1) / 8 - 1, (2 * np.arange(6) + 1) / 6 - 1
    expected = np.exp(0.4 * np.outer(1.5 * x**2 - 0.5, y))[1:, :, None]
    np.testing.assert_allclose(ratio.numpy(), np.broadcast_to(expected, ratio.shape), rtol=1e-4)


def test_the_lowest_value_of_a_channel_stands_for_no_signal():
    image = above_zero(1, 6, 6, 6) - 3
    field = draw_bias(np.random.default_rng(1), AugmentationRecipe(bias=0.5), Patch((6, 6, 6)))

    changed = apply_bias(image, field)

    assert float(changed[0, 0, 0, 0]) == pytest.approx(-3)
    torch.testing.assert_close(changed, apply_bias(image + 3, field) - 3, atol=1e-5, rtol=0)


def test_a_bias_field_does_not_vary_along_a_flat_axis():
    drawn = draw_bias(np.random.default_rng(0), AugmentationRecipe(), Patch((8, 8, 4), flat_axis=2)).coefficients

    assert np.all(drawn[:, :, 1:] == 0)
    assert np.any(drawn[:, :, 0] != 0)
    assert drawn[0, 0, 0] == 0


def test_legendre_polynomials_are_those_of_the_books():
    x = (2 * np.arange(5) + 1) / 5 - 1

    np.testing.assert_allclose(legendre(5)[:, 3], (5 * x**3 - 3 * x) / 2)


def test_coarse_voxels_keep_the_mean_and_a_constant():
    image = torch.randn(2, 12, 9, 8, generator=torch.Generator().manual_seed(0))

    coarse = apply_low_resolution(image, LowResolution((6, 3, 8)))

    assert coarse.shape == image.shape
    torch.testing.assert_close(coarse.mean(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)), atol=1e-5, rtol=0)
    assert float(coarse.std()) < 0.6 * float(image.std())
    torch.testing.assert_close(
        apply_low_resolution(torch.ones(1, 12, 9, 8), LowResolution((5, 2, 3))), torch.ones(1, 12, 9, 8)
    )


def test_coarse_voxels_along_one_axis_are_means_interpolated_along_it():
    image = torch.tensor([0.0, 2, 4, 8]).view(1, 1, 1, 4).expand(1, 3, 3, 4).contiguous()

    coarse = apply_low_resolution(image, LowResolution((3, 3, 2)))

    torch.testing.assert_close(coarse[0, 0, 0], torch.tensor([1.0, 2.25, 4.75, 6.0]))


def test_one_axis_becomes_coarser_where_the_recipe_says_one():
    recipe = AugmentationRecipe(low_resolution=(2, 2), low_resolution_axes="one")
    counts = {draw_low_resolution(DRAWS, recipe, Patch((8, 8, 8))).counts for _ in range(50)}

    assert counts == {(4, 8, 8), (8, 4, 8), (8, 8, 4)}
    both = AugmentationRecipe(low_resolution=(2, 2))
    assert draw_low_resolution(DRAWS, both, Patch((8, 8, 1), flat_axis=2)).counts == (4, 4, 1)


def test_rician_noise_lifts_an_empty_background_to_sigma_times_the_root_of_half_pi():
    noisy = apply_rician(torch.zeros(1, 50, 50, 50), Rician(0.3, (1, 2)))

    assert float(noisy.mean()) == pytest.approx(0.3 * np.sqrt(np.pi / 2), rel=0.01)
    assert float(noisy.std()) == pytest.approx(0.3 * np.sqrt(2 - np.pi / 2), rel=0.01)


def test_rician_noise_is_almost_normal_where_the_signal_is_strong():
    image = torch.full((1, 50, 50, 50), 10.0)
    image[0, 0, 0, 0] = 0

    noisy = apply_rician(image, Rician(0.3, (1, 2)))[0, 1:]

    assert float(noisy.std()) == pytest.approx(0.3, rel=0.01)
    assert float(noisy.mean()) == pytest.approx(10 + 0.3**2 / 20, abs=0.003)
