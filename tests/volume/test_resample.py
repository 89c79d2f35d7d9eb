from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from neuraxis.volume import resample
from neuraxis.volume.resample import resample_image, resample_labels, shape_at_spacing

SHAPES = [(20, 17, 9), (9, 24, 30), (40, 5, 13), (13, 13, 26), (1, 8, 1)]


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def zoomed(array: np.ndarray, shape: tuple[int, ...], order: int) -> np.ndarray:
    factors = np.array(shape) / np.array(array.shape)
    return ndimage.zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_scipy(shape: tuple[int, int, int], order: int) -> None:
    array = image(2, 13, 12, 11)
    result = resample_image(array, shape, order)
    assert result.shape == (2, *shape)
    assert result.dtype == np.float32
    for channel, found in zip(array, result, strict=True):
        expected = zoomed(channel, shape, order)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.ptp(channel))


def test_it_equals_scipy_where_the_matrix_is_cut_into_many_bands() -> None:
    array = image(1, 61, 50, 140)
    result = resample_image(array, (90, 43, 200))
    np.testing.assert_allclose(result[0], zoomed(array[0], (90, 43, 200), 3), atol=1e-5 * np.ptp(array))


def test_the_same_shape_changes_nothing() -> None:
    array = image(2, 6, 7, 8)
    np.testing.assert_array_equal(resample_image(array, (6, 7, 8)), array)


@pytest.mark.parametrize("order", [1, 3])
def test_a_constant_stays_constant(order: int) -> None:
    result = resample_image(np.full((1, 5, 30, 1), 7, np.int16), (11, 9, 4), order)
    np.testing.assert_allclose(result, 7, rtol=1e-6)


def test_an_axis_of_one_voxel_is_repeated() -> None:
    result = resample_image(np.arange(4, dtype=np.uint8).reshape(1, 4, 1, 1), (4, 3, 2))
    assert (result == np.arange(4).reshape(1, 4, 1, 1)).all()


def test_the_order_in_memory_does_not_matter() -> None:
    array = image(1, 10, 11, 12)
    straight = resample_image(array, (7, 15, 9))
    for other in (np.asfortranarray(array), np.flip(np.flip(array, 2).copy(), 2), array.astype(">f8")):
        np.testing.assert_array_equal(resample_image(other, (7, 15, 9)), straight)


def test_other_orders_are_refused() -> None:
    with pytest.raises(ValueError, match="order 1 or 3, not 2"):
        resample_image(image(1, 4, 4, 4), (2, 2, 2), order=2)


def test_no_weight_is_so_small_that_processors_become_slow() -> None:
    matrix = np.abs(resample._matrix(240, 225, 3))
    assert matrix[matrix > 0].min() >= 1e-9
    np.testing.assert_allclose(resample._matrix(240, 225, 3).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(240, 225), (30, 200), (200, 30), (7, 5)])
def test_bands_put_together_are_the_whole_matrix(old: int, new: int) -> None:
    matrix = resample._matrix(old, new, 3)
    rebuilt = np.zeros_like(matrix)
    for rows, columns, weights in resample._bands(matrix, 155):
        rebuilt[rows, columns] = weights
    np.testing.assert_array_equal(rebuilt, matrix)


@pytest.mark.parametrize("shape", SHAPES)
def test_labels_take_the_nearest_voxel(shape: tuple[int, int, int]) -> None:
    labels = np.random.default_rng(1).integers(0, 200, (13, 12, 11), np.uint8)
    result = resample_labels(labels, shape)
    assert result.dtype == np.uint8
    assert result.shape == shape
    for voxel in product(*(range(size) for size in shape)):
        place = [(n + 0.5) * old / new - 0.5 for n, old, new in zip(voxel, labels.shape, shape, strict=True)]
        nearest = [np.flatnonzero(np.isclose(np.abs(np.arange(old) - p), np.abs(np.arange(old) - p).min()))
                   for old, p in zip(labels.shape, place, strict=True)]  # fmt: skip
        assert result[voxel] in labels[np.ix_(*nearest)]


def test_labels_of_twice_the_size_come_back_exactly() -> None:
    labels = np.random.default_rng(2).integers(0, 5, (2, 5, 6, 7))
    np.testing.assert_array_equal(resample_labels(resample_labels(labels, (10, 12, 14)), (5, 6, 7)), labels)


def test_the_number_of_voxels_follows_the_spacing() -> None:
    assert shape_at_spacing((240, 240, 155), (1, 1, 1), (1, 1, 1)) == (240, 240, 155)
    assert shape_at_spacing((100, 100, 20), (0.5, 0.5, 3.0), (1, 1, 1)) == (50, 50, 60)
    assert shape_at_spacing((10, 10, 1), (1, 1, 1), (1, 1, 5)) == (10, 10, 1)
