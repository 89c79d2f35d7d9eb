from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuraxis.volume.resample import resample_image, resample_labels, resample_rows, shape_at_spacing, thick_axis

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


sides = st.integers(1, 34)


@settings(deadline=None, max_examples=150)
@given(
    old=st.tuples(sides, sides, sides),
    new=st.tuples(sides, sides, sides),
    order=st.sampled_from([1, 3]),
    seed=st.integers(0, 9),
    scale=st.sampled_from([1e-3, 1.0, 1e5]),
)
def test_it_equals_scipy_for_any_shapes(old, new, order, seed, scale) -> None:
    """Up and down, even and odd, axes of one voxel; values of any size, far from 0 too."""
    array = (np.random.default_rng(seed).gamma(1.0, scale, (1, *old)) + scale).astype(np.float32)
    result = resample_image(array, new, order)
    expected = zoomed(array[0], new, order)
    assert np.abs(result[0] - expected).max() <= 1e-4 * max(np.ptp(array), scale)


@settings(deadline=None, max_examples=60)
@given(
    old=st.tuples(sides, sides, sides),
    new=st.tuples(sides, sides, sides),
    orders=st.tuples(*[st.sampled_from([0, 1, 3])] * 3),
)
def test_each_axis_may_have_an_order_of_its_own(old, new, orders) -> None:
    array = np.random.default_rng(0).normal(size=(1, *old)).astype(np.float32)
    result = resample_image(array, new, orders)[0]
    expected = array[0].astype(np.float64)
    for axis, order in enumerate(orders):
        size = [new[axis] if other == axis else length for other, length in enumerate(expected.shape)]
        nearest = resample_image(expected[None], tuple(size), 0)[0]
        expected = zoomed(expected, tuple(size), order) if order else nearest
    np.testing.assert_allclose(result, expected, atol=2e-5 * max(np.ptp(array), 1))


def test_thick_slices_are_repeated_where_across_is_nearest() -> None:
    array = image(1, 4, 4, 3)
    result = resample_image(array, (8, 8, 6), (3, 3, 0))
    np.testing.assert_array_equal(result[..., 0::2], result[..., 1::2])
    np.testing.assert_allclose(result[0, :, :, 2], zoomed(array[0, :, :, 1], (8, 8), 3), atol=1e-5)


def test_cubic_values_may_be_kept_within_those_of_the_scan() -> None:
    array = np.zeros((1, 12, 12, 12), np.float32)
    array[0, 4:8, 4:8, 4:8] = 100
    free, kept = (resample_image(array, (18, 17, 19), clip_overshoot=clip) for clip in (False, True))
    assert free.min() < 0
    assert free.max() > 100
    np.testing.assert_array_equal(kept, np.clip(free, 0, 100))


def test_across_thick_slices_each_slice_has_limits_of_its_own() -> None:
    array = image(1, 12, 11, 4) * np.array([1, 10, 100, 1000], np.float32)
    free, kept = (resample_image(array, (18, 16, 8), (3, 3, 0), clip_overshoot=clip) for clip in (False, True))
    for place in range(8):
        within = array[0, :, :, place // 2]
        np.testing.assert_array_equal(kept[0, :, :, place], np.clip(free[0, :, :, place], within.min(), within.max()))
    assert (free != kept).any()


def test_a_picture_is_interpolated_as_a_volume_of_one_slice() -> None:
    array = image(3, 30, 21, 1)
    result = resample_image(array, (17, 40, 1))
    for channel, found in zip(array, result, strict=True):
        np.testing.assert_allclose(found[..., 0], zoomed(channel[..., 0], (17, 40), 3), atol=1e-5 * np.ptp(channel))


def test_the_same_shape_changes_nothing() -> None:
    array = image(2, 6, 7, 8)
    for part in (array, array[:1]):
        same = resample_image(part, (6, 7, 8))
        np.testing.assert_array_equal(same, part)
        assert not np.shares_memory(same, part)


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
    with pytest.raises(ValueError, match="order 0, 1 or 3, not 2"):
        resample_image(image(1, 4, 4, 4), (2, 2, 2), order=2)
    with pytest.raises(ValueError, match="order 0 or 1"):
        resample_labels(np.zeros((4, 4, 4), np.uint8), (2, 2, 2), order=3)
    with pytest.raises(ValueError, match="cubic needs them all"):
        list(resample_rows(image(1, 4, 4, 4), 4, (2, 2, 2), 3, np.copy))


def planes_of(array: np.ndarray) -> Iterator[np.ndarray]:
    """Yield (C, 1, Y, Z) along X, each in memory that the next one overwrites."""
    plane = np.empty((len(array), 1, *array.shape[2:]), array.dtype)
    for row in range(array.shape[1]):
        plane[:] = array[:, row : row + 1]
        yield plane


@pytest.mark.parametrize("order", [1, 0, (1, 1, 0), (0, 1, 1)])
@pytest.mark.parametrize("shape", SHAPES)
def test_plane_by_plane_is_the_same_as_all_at_once(shape, order) -> None:
    array = image(4, 13, 12, 11)
    planes = [plane.copy() for plane in resample_rows(planes_of(array), 13, shape, order, np.exp)]
    np.testing.assert_allclose(np.concatenate(planes, axis=1), resample_image(np.exp(array), shape, order), rtol=1e-5)


def test_plane_by_plane_no_plane_is_changed_twice() -> None:
    seen = []

    def note(plane: np.ndarray) -> np.ndarray:
        seen.append(plane[0, 0, 0, 0])
        return plane

    array = np.arange(7, dtype=np.float32).reshape(1, 7, 1, 1) * np.ones((1, 7, 2, 2), np.float32)
    list(resample_rows(planes_of(array), 7, (20, 3, 3), 1, note))
    assert seen == [0, 1, 2, 3, 4, 5, 6]


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


@pytest.mark.parametrize("order", [0, 1])
def test_labels_of_twice_the_size_come_back_exactly(order) -> None:
    labels = np.random.default_rng(2).integers(0, 200, (5, 6, 7))
    np.testing.assert_array_equal(resample_labels(resample_labels(labels, (10, 12, 14), order), (5, 6, 7)), labels)


def test_a_linear_label_goes_where_its_mask_weighs_most() -> None:
    line = np.array([0, 0, 5, 5, 9, 0], np.uint8).reshape(6, 1, 1)
    assert resample_labels(line, (12, 1, 1), 1).ravel().tolist() == [0, 0, 0, 0, 5, 5, 5, 5, 9, 9, 0, 0]
    # in thirds: the middle voxel of each three, then the one of more weight
    assert resample_labels(line, (4, 1, 1), 1).ravel().tolist() == [0, 5, 5, 0]


def test_of_two_labels_of_the_same_weight_the_higher_number_wins() -> None:
    line = np.array([0, 4, 4, 2, 0, 0], np.uint8).reshape(6, 1, 1)
    assert resample_labels(line, (3, 1, 1), 1).ravel().tolist() == [4, 4, 0]


def test_a_label_may_win_without_half_of_the_weight() -> None:
    square = np.array([[1, 2], [0, 2]], np.uint8).reshape(2, 2, 1)
    assert resample_labels(square, (1, 1, 1), 1).item() == 2
    corners = np.array([[[1, 1], [3, 2]], [[4, 5], [6, 0]]], np.uint8)
    assert resample_labels(corners, (1, 1, 1), 1).item() == 1


@settings(deadline=None, max_examples=80)
@given(
    old=st.tuples(*[st.integers(1, 14)] * 3),
    new=st.tuples(*[st.integers(1, 40)] * 3),
    numbers=st.sampled_from([(0, 1), (0, 3, 7, 200), (2, 5), (4,)]),
    seed=st.integers(0, 99),
)
def test_the_vote_is_that_of_masks_interpolated_one_by_one(old, new, numbers, seed) -> None:
    labels = np.random.default_rng(seed).choice(np.array(numbers, np.uint8), old)
    masks = np.stack([labels == number for number in numbers])
    weights = resample_image(masks, new, 1)
    winner = np.searchsorted(numbers, resample_labels(labels, new, 1))[None]
    of_winner = np.take_along_axis(weights, winner, 0)[0]
    assert (of_winner >= weights.max(axis=0) - 2e-5).all()
    higher = np.arange(len(numbers)).reshape(-1, 1, 1, 1) > winner
    assert (np.where(higher, weights, -1).max(axis=0) < of_winner - 5e-6).all()


def test_labels_across_thick_slices_take_the_nearest_slice() -> None:
    labels = np.random.default_rng(3).integers(0, 3, (6, 7, 4), np.uint8)
    result = resample_labels(labels, (9, 9, 8), (1, 1, 0))
    np.testing.assert_array_equal(result[..., 0::2], result[..., 1::2])
    np.testing.assert_array_equal(result[..., 0::2], resample_labels(labels, (9, 9, 4), 1))


def test_the_number_of_voxels_follows_the_spacing() -> None:
    assert shape_at_spacing((240, 240, 155), (1, 1, 1), (1, 1, 1)) == (240, 240, 155)
    assert shape_at_spacing((100, 100, 20), (0.5, 0.5, 3.0), (1, 1, 1)) == (50, 50, 60)
    assert shape_at_spacing((10, 10, 1), (1, 1, 1), (1, 1, 5)) == (10, 10, 1)


@pytest.mark.parametrize(
    ("old", "new", "axis"),
    [
        ((0.5, 0.5, 4.0), (0.5, 0.5, 3.0), 2),
        ((1.0, 1.0, 1.0), (1.0, 4.0, 1.0), 1),
        ((1.0, 1.0, 3.0), (1.0, 1.0, 1.0), None),
        ((0.2, 1.25, 1.25), (1.0, 1.0, 1.0), None),
        ((0.2, 1.25, 1.25), (1.0, 1.0, 5.0), None),
        ((6.0, 1.0, 1.0), (1.0, 1.0, 5.0), 0),
    ],
)
def test_thick_slices_are_found_by_the_rule_of_nnunet(old, new, axis) -> None:
    assert thick_axis(old, new, 3.0) == axis
    assert thick_axis(old, new, 0.0) is None
