"""Filters against scipy and torch, and what each must keep."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from neuraxis.patches.augment import filters


@pytest.fixture
def image():
    return torch.randn(2, 9, 8, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.3])
def test_smoothing_is_scipys_gaussian_cut_off_at_three_sigma(image, sigma):
    expected = ndimage.gaussian_filter(image.numpy(), (0, *[sigma] * 3), mode="nearest", radius=int(np.ceil(3 * sigma)))

    np.testing.assert_allclose(filters.smooth(image, sigma).numpy(), expected, atol=1e-5)


def test_smoothing_some_lines_at_a_time_gives_the_same(image, monkeypatch):
    whole = filters.smooth(image, 1.0)
    monkeypatch.setattr(filters, "CACHED", 100)

    assert torch.equal(filters.smooth(image, 1.0), whole)


def test_a_flat_axis_is_not_smoothed(image):
    flat = image[..., :1]

    np.testing.assert_allclose(
        filters.smooth(flat, 1.0)[..., 0],
        ndimage.gaussian_filter(flat[..., 0], (0, 1, 1), mode="nearest", radius=3),
        atol=1e-5,
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_matrix_acts_on_the_lines_of_its_axis(image, axis):
    matrix = torch.randn(4, image.shape[1 + axis], generator=torch.Generator().manual_seed(1))

    expected = np.moveaxis(np.tensordot(matrix.numpy(), image.numpy(), axes=(1, 1 + axis)), 0, 1 + axis)

    np.testing.assert_allclose(filters.along(image, axis, matrix).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(("size", "count"), [(10, 5), (10, 3), (7, 7), (5, 1)])
def test_averaging_counts_every_voxel_once(size, count):
    matrix = filters.averaging(size, count)

    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose(matrix.sum(axis=0), count / size)


def test_interpolating_keeps_a_constant_and_a_straight_line_between_the_ends():
    matrix = filters.interpolating(5, 20)

    np.testing.assert_allclose(matrix.sum(axis=1), 1)
    np.testing.assert_allclose((matrix @ np.arange(5))[2:-2], (np.arange(20)[2:-2] + 0.5) / 4 - 0.5)


def test_the_deviation_is_torchs(image, monkeypatch):
    monkeypatch.setattr(filters, "CACHED", 64)

    torch.testing.assert_close(filters.deviation(image), image.std(dim=(1, 2, 3), keepdim=True))
    torch.testing.assert_close(filters.deviation(image + 1e4), (image + 1e4).std(dim=(1, 2, 3), keepdim=True))
    assert float(filters.deviation(torch.full((1, 9, 8, 7), 1234.5))) == 0


def test_noise_depends_on_its_seed_alone(image):
    assert torch.equal(filters.normal_like(image, 5), filters.normal_like(image * 2, 5))
    assert not torch.equal(filters.normal_like(image, 5), filters.normal_like(image, 6))
