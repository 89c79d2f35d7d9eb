"""Cut windows, glued back, give the weighted mean at every voxel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuraxis.patches.grid import window_starts
from neuraxis.patches.merge import Merger, gaussian_weight, monai_weight, nnunet_weight


def glued(weight: np.ndarray, windows: dict[tuple[int, int, int], float]) -> np.ndarray:
    return merged(
        Merger.of_numpy(1, (4, 4, 1), weight.astype(np.float32)),
        {start: np.full((1, 3, 3, 1), value, np.float32) for start, value in windows.items()},
    )[0, :, :, 0]


def merged(merger: Merger, windows: dict[tuple[int, int, int], Any]) -> np.ndarray:
    slabs, plane = [], 0
    for start, values in windows.items():
        if start[0] > plane:
            slabs.append(np.asarray(merger.finish(start[0] - plane)).copy())
            plane = start[0]
        merger.add(start, values)
    return np.concatenate([*slabs, np.asarray(merger.finish())], axis=1)


FOUR = {(0, 0, 0): 1.0, (0, 1, 0): 2.0, (1, 0, 0): 3.0, (1, 1, 0): 4.0}


def test_four_equal_windows_of_a_4_by_4_image_are_averaged():
    assert window_starts((4, 4, 1), (3, 3, 1), 0.5) == tuple(FOUR)
    np.testing.assert_allclose(
        glued(np.ones((3, 3, 1)), FOUR),
        [
            [1.0, 1.5, 1.5, 2.0],
            [2.0, 2.5, 2.5, 3.0],
            [2.0, 2.5, 2.5, 3.0],
            [3.0, 3.5, 3.5, 4.0],
        ],
        rtol=1e-6,
    )


def test_windows_of_a_4_by_4_image_count_more_in_their_middle():
    weight = np.array([1.0, 2.0, 1.0])[:, None, None] * np.array([1.0, 2.0, 1.0])[None, :, None]
    third = 1 / 3
    np.testing.assert_allclose(
        glued(weight, FOUR),
        [
            [1.0, 1 + third, 2 - third, 2.0],
            [1 + 2 * third, 2.0, 2 + third, 3 - third],
            [3 - 2 * third, 3 - third, 3.0, 3 + third],
            [3.0, 3 + third, 4 - third, 4.0],
        ],
        rtol=1e-6,
    )


@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.integers(1, 14)] * 3), st.sampled_from([0.0, 0.5, 0.75]), st.integers(0, 99))
def test_windows_cut_from_a_volume_give_that_volume_again(shape, overlap, seed):
    window = tuple(min(size, side) for size, side in zip(shape, (6, 5, 4), strict=True))
    values = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    merger, cut = Merger.of_numpy(2, shape, gaussian_weight(window)), {}
    for start in window_starts(shape, window, overlap):
        box = tuple(slice(first, first + side) for first, side in zip(start, window, strict=True))
        cut[start] = values[(slice(None), *box)]
    np.testing.assert_allclose(merged(merger, cut), values, rtol=1e-5, atol=1e-6)


def test_the_gaussian_is_1_in_the_middle_and_an_eighth_of_the_side_wide():
    weight = gaussian_weight((17, 9, 1))
    assert weight.shape == (17, 9, 1)
    assert weight.dtype == np.float32
    assert weight[8, 4, 0] == 1.0
    one_sigma = 17 / 8
    assert weight[10, 4, 0] == pytest.approx(np.exp(-0.5 * (2 / one_sigma) ** 2), rel=1e-6)


def test_the_gaussian_of_an_even_side_is_symmetric_with_peak_1():
    weight = gaussian_weight((4, 4, 4))
    np.testing.assert_array_equal(weight, weight[::-1, ::-1, ::-1])
    assert weight.max() == 1.0


def test_nnunets_weight_is_a_filtered_point_in_half_precision():
    side = (40, 56, 9)
    point = np.zeros(side)
    point[20, 28, 4] = 1
    bell = ndimage.gaussian_filter(point, [size / 8 for size in side], mode="constant")
    expected = (10 * bell / bell.max()).astype(np.float16)
    expected[expected == 0] = expected[expected > 0].min()

    weight = nnunet_weight(side)

    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, expected.astype(np.float32))


def test_sums_in_half_precision_are_rounded_at_every_step():
    values = np.random.default_rng(0).normal(0, 10, (3, 2, 40, 24, 4)).astype(np.float32)
    weight = nnunet_weight((40, 24, 4))
    merger = Merger.of_numpy(2, (40, 24, 4), weight, in_half=True)
    total, summed = np.zeros((2, 40, 24, 4), np.float16), np.zeros((40, 24, 4), np.float16)
    for window in values:
        merger.add((0, 0, 0), window)
        total = (total.astype(np.float32) + window * weight).astype(np.float16)
        summed = (summed.astype(np.float32) + weight).astype(np.float16)

    merged = merger.finish()

    assert (np.abs(total) < 2**-14).any()  # below float16's normal range, too
    np.testing.assert_array_equal(merged, (total.astype(np.float32) / summed.astype(np.float32)).astype(np.float16))


@settings(deadline=None, max_examples=50)
@given(st.integers(4, 14), st.sampled_from([0.0, 0.5, 0.75]), st.booleans())
def test_planes_given_back_early_are_those_of_a_sum_over_the_whole_volume(length, overlap, half):
    window, kind = (min(length, 5), 3, 3), np.float16 if half else np.float32
    starts = window_starts((length, 4, 5), window, overlap)
    weight = (nnunet_weight if half else gaussian_weight)(window)
    values = np.random.default_rng(length).normal(size=(len(starts), 2, *window)).astype(np.float32)
    total, summed = np.zeros((2, length, 4, 5), kind), np.zeros((length, 4, 5), kind)
    for start, value in zip(starts, values, strict=True):
        box = tuple(slice(first, first + side) for first, side in zip(start, window, strict=True))
        total[(slice(None), *box)] += value * weight
        summed[box] += weight

    found = merged(Merger.of_numpy(2, (length, 4, 5), weight, half), dict(zip(starts, values, strict=True)))

    np.testing.assert_array_equal(found, (total.astype(np.float32) / summed).astype(kind))


def test_a_window_out_of_turn_is_an_error():
    merger = Merger.of_numpy(1, (4, 1, 1), np.ones((2, 1, 1), np.float32))
    merger.add((0, 0, 0), np.ones((1, 2, 1, 1)))
    with pytest.raises(ValueError, match="begins on plane 2, but 0 is the first"):
        merger.add((2, 0, 0), np.ones((1, 2, 1, 1)))


def test_no_weight_is_below_the_floor():
    assert gaussian_weight((64, 64, 64), floor=1e-3).min() == pytest.approx(1e-3)
    assert gaussian_weight((128, 128, 128)).min() > 0


def test_a_voxel_that_no_window_covers_is_an_error():
    merger = Merger.of_numpy(1, (2, 2, 1), np.ones((2, 1, 1), np.float32))
    merger.add((0, 0, 0), np.ones((1, 2, 1, 1)))
    with pytest.raises(ValueError, match="no window"):
        merger.finish()


def test_arrays_of_torch_are_merged_as_those_of_numpy():
    torch = pytest.importorskip("torch")
    weight = gaussian_weight((3, 3, 1))
    arrays = (torch.zeros(1, 3, 4, 1), torch.zeros(3, 4, 1), torch.from_numpy(weight))
    ours, theirs = Merger.of_numpy(1, (4, 4, 1), weight), Merger(*arrays)
    windows = {start: np.full((1, 3, 3, 1), value, np.float32) for start, value in FOUR.items()}
    tensors = {start: torch.from_numpy(window) for start, window in windows.items()}
    np.testing.assert_allclose(merged(theirs, tensors), merged(ours, windows), rtol=1e-6)


@pytest.mark.parametrize("window", [(16, 9, 1), (32, 32, 32)])
@pytest.mark.parametrize("mode", ["gaussian", "constant"])
def test_monais_weight_is_monais(window, mode) -> None:
    from monai.data.utils import compute_importance_map

    theirs = compute_importance_map(window, mode, 0.125)

    np.testing.assert_allclose(monai_weight(window, mode), theirs.numpy(), rtol=1e-6)
