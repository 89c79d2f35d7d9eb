"""Noise, blur, brightness, contrast and gamma: what changes, what must not."""

import pytest
import torch

from neuraxis.patches.augment.intensity import IntensityDraw, apply_intensity


@pytest.fixture
def image():
    return torch.randn(2, 12, 10, 8, generator=torch.Generator().manual_seed(0))


def test_blur_keeps_a_constant_and_flattens_a_point():
    point = torch.zeros(1, 9, 9, 9)
    point[0, 4, 4, 4] = 1

    blurred = apply_intensity(point, IntensityDraw(blur=0.8))

    assert float(blurred.sum()) == pytest.approx(1, abs=1e-5)
    assert float(blurred.max()) < 0.2
    constant = torch.ones(1, 5, 5, 1)
    torch.testing.assert_close(apply_intensity(constant, IntensityDraw(blur=1.0)), constant)


@pytest.mark.parametrize("draw", [IntensityDraw(gamma=1.4), IntensityDraw(gamma=0.7, inverted=True)])
def test_gamma_keeps_mean_and_spread(image, draw):
    changed = apply_intensity(image, draw)

    torch.testing.assert_close(changed.mean(dim=(1, 2, 3)), image.mean(dim=(1, 2, 3)), atol=1e-5, rtol=0)
    torch.testing.assert_close(changed.std(dim=(1, 2, 3)), image.std(dim=(1, 2, 3)))
    assert not torch.allclose(changed, image)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_raises_intensities_between_0_and_1_or_their_distance_from_1(inverted):
    image = torch.linspace(0, 1, 100).view(1, 100, 1, 1)

    changed = apply_intensity(image, IntensityDraw(gamma=2.0, inverted=inverted))

    raised = -((1 - image) ** 2) if inverted else image**2
    expected = (raised - raised.mean()) / raised.std() * image.std() + image.mean()
    torch.testing.assert_close(changed, expected, atol=1e-5, rtol=0)


def test_contrast_multiplies_distances_from_the_mean_and_stays_within_the_old_range(image):
    weaker = apply_intensity(image, IntensityDraw(contrast=0.5))
    stronger = apply_intensity(image, IntensityDraw(contrast=1.25))

    middle = image.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(weaker, middle + 0.5 * (image - middle))
    assert float(stronger.max()) <= float(image.max())
    assert float(stronger.min()) >= float(image.min())
    assert float(stronger.std()) > float(image.std())


def test_brightness_multiplies():
    changed = apply_intensity(torch.ones(1, 2, 2, 2), IntensityDraw(brightness=1.2))

    assert torch.equal(changed, torch.full((1, 2, 2, 2), 1.2))


def test_noise_has_the_asked_for_spread():
    noisy = apply_intensity(torch.zeros(1, 40, 40, 40), IntensityDraw(noise=0.2, noise_seed=5))

    assert float(noisy.std()) == pytest.approx(0.2, rel=0.02)


def test_a_neutral_draw_returns_the_image_itself(image):
    assert apply_intensity(image, IntensityDraw()) is image
    assert IntensityDraw().names == ()
    assert IntensityDraw(noise=0.1, gamma=1.2).names == ("noise", "gamma")
