"""The matrices of one axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuraxis.volume import interpolation
from neuraxis.volume.interpolation import apply_to_axis, axis_matrix, nearest_voxels


def test_halving_an_axis_linearly_takes_the_mean_of_two_voxels() -> None:
    assert axis_matrix(4, 2, 1).tolist() == [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]


def test_doubling_an_axis_linearly_repeats_the_edge() -> None:
    assert axis_matrix(2, 4, 1).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]


def test_the_nearest_voxel_is_the_upper_of_two_as_near() -> None:
    assert nearest_voxels(4, 2).tolist() == [1, 3]
    assert axis_matrix(3, 2, 0).tolist() == [[1, 0, 0], [0, 0, 1]]


@given(old=st.integers(1, 60), new=st.integers(1, 60))
def test_the_nearest_voxel_is_scipys(old, new) -> None:
    places = (old / new) * (np.arange(new) + 0.5) - 0.5
    assert (
        nearest_voxels(old, new) == ndimage.map_coordinates(np.arange(old), [places], order=0, mode="nearest")
    ).all()


def test_a_cubic_spline_goes_through_the_voxels() -> None:
    np.testing.assert_allclose(axis_matrix(9, 27, 3)[1::3], np.eye(9), atol=1e-6)


def test_a_cubic_spline_gives_back_a_cubic_polynomial_far_from_the_edges() -> None:
    places = (np.arange(120) + 0.5) / 2 - 0.5
    polynomial = np.polynomial.Polynomial([1, -2, 3, -0.5])
    scale = np.abs(polynomial(np.arange(60))).max()
    found = axis_matrix(60, 120, 3) @ (polynomial(np.arange(60)) / scale)
    np.testing.assert_allclose(found[40:80], polynomial(places)[40:80] / scale, atol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 3])
@given(old=st.integers(1, 60), new=st.integers(1, 90))
@settings(deadline=None, max_examples=40)
def test_the_weights_of_every_voxel_add_up_to_1(order, old, new) -> None:
    np.testing.assert_allclose(axis_matrix(old, new, order).sum(axis=1), 1, atol=1e-6)


def test_no_weight_is_so_small_that_processors_become_slow() -> None:
    matrix = np.abs(axis_matrix(240, 225, 3))
    assert matrix[matrix > 0].min() >= 1e-9


@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize(("old", "new"), [(240, 225), (30, 200), (200, 30), (7, 5), (1, 3)])
def test_bands_put_together_are_the_whole_matrix(old, new, axis, monkeypatch) -> None:
    monkeypatch.setattr(interpolation, "_ONE_THREAD", 2000)
    matrix = axis_matrix(old, new, 3)
    array = np.moveaxis(np.random.default_rng(0).random((2, 3, 5, old), np.float32), 3, axis)
    expected = np.moveaxis(np.moveaxis(array, axis, 3) @ matrix.T, 3, axis)
    np.testing.assert_allclose(apply_to_axis(matrix, array, axis), expected, rtol=1e-5, atol=1e-6)


def test_no_product_is_large_enough_for_a_second_thread(monkeypatch) -> None:
    products = []

    def note(left, right, out):
        products.append(left.shape[-2] * left.shape[-1] * right.shape[-1])
        out[...] = 0

    monkeypatch.setattr(interpolation.np, "matmul", note)
    for axis in (1, 2, 3):
        array = np.empty([1, *(2000 if other == axis else 300 for other in (1, 2, 3))], np.float32)
        apply_to_axis(axis_matrix(2000, 100, 1), array[:, :, :, :], axis)
    assert len(products) > 3
    assert max(products) <= 260_000


def test_other_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="order 0, 1 or 3, not 2"):
        axis_matrix(4, 2, 2)
