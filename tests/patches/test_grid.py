"""Windows cover every voxel, evenly, and none reaches beyond the volume."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraxis.patches.grid import missing, pad_to_window, stepped_starts, window_starts

sides = st.integers(1, 16)


@settings(deadline=None, max_examples=50)
@given(st.tuples(sides, sides, sides), st.tuples(*[st.integers(1, 9)] * 3), st.sampled_from([0.0, 0.25, 0.5, 0.75]))
def test_every_voxel_is_covered_and_no_window_leaves_the_volume(shape, window, overlap):
    shape = tuple(max(size, side) for size, side in zip(shape, window, strict=True))
    covered = np.zeros(shape, int)
    for start in window_starts(shape, window, overlap):
        assert all(first + side <= size for first, side, size in zip(start, window, shape, strict=True))
        covered[tuple(slice(first, first + side) for first, side in zip(start, window, strict=True))] += 1
    assert covered.min() >= 1


def test_the_last_window_ends_flush_with_the_volume():
    assert window_starts((10, 4, 4), (4, 4, 4), 0.5) == ((0, 0, 0), (2, 0, 0), (4, 0, 0), (6, 0, 0))
    assert window_starts((11, 4, 4), (4, 4, 4), 0.5)[-1] == (7, 0, 0)


def test_windows_are_evenly_spread_and_overlap_at_least_as_asked():
    starts = [x for x, _, _ in window_starts((100, 1, 1), (32, 1, 1), 0.5)]
    assert starts == [0, 14, 27, 41, 54, 68]


def test_windows_come_in_a_fixed_order_with_the_last_axis_fastest():
    assert window_starts((4, 4, 1), (2, 2, 1), 0.0) == ((0, 0, 0), (0, 2, 0), (2, 0, 0), (2, 2, 0))


def test_a_flat_window_visits_each_slice_once():
    assert window_starts((4, 4, 3), (4, 4, 1), 0.5) == ((0, 0, 0), (0, 0, 1), (0, 0, 2))


def test_a_volume_smaller_than_the_window_has_one_start():
    assert window_starts((3, 3, 3), (8, 8, 8), 0.5) == ((0, 0, 0),)


def test_an_overlap_of_a_whole_window_is_misuse():
    with pytest.raises(ValueError, match="overlap"):
        window_starts((4, 4, 4), (2, 2, 2), 1.0)


def test_padding_is_even_and_the_odd_voxel_comes_after():
    assert missing((3, 8, 10), (6, 8, 8)) == ((1, 2), (0, 0), (0, 0))
    image = np.arange(1, 4, dtype=np.float32).reshape(1, 3, 1, 1)
    padded, begin = pad_to_window(image, (6, 1, 1))
    assert padded.ravel().tolist() == [0, 1, 2, 3, 0, 0]
    assert begin == (1, 0, 0)


def test_an_image_as_large_as_the_window_is_not_copied():
    image = np.zeros((2, 4, 5, 6), np.float32)
    assert pad_to_window(image, (4, 4, 4)) == (image, (0, 0, 0))


@pytest.mark.parametrize("seed", range(20))
def test_stepped_windows_lie_where_monais_do(seed: int) -> None:
    from monai.data.utils import dense_patch_slices

    drawn = np.random.default_rng(seed)
    shape, window = (tuple(int(n) for n in drawn.integers(low, high, 3)) for low, high in ((9, 60), (1, 9)))
    overlap = float(drawn.choice([0, 0.1, 0.25, 0.5, 0.625, 0.9]))
    steps = [max(1, int(side * (1 - overlap))) for side in window]

    theirs = dense_patch_slices(shape, window, steps)

    assert stepped_starts(shape, window, overlap) == tuple(tuple(one.start for one in box) for box in theirs)


def test_one_stepped_window_does_where_the_volume_is_small() -> None:
    assert stepped_starts((3, 8, 9), (8, 8, 8), 0.5) == ((0, 0, 0), (0, 0, 1))


def test_padding_may_repeat_the_edge() -> None:
    padded, begin = pad_to_window(np.arange(3.0).reshape(1, 3, 1, 1), (6, 1, 1), "edge")

    assert begin == (1, 0, 0)
    assert padded.ravel().tolist() == [0, 0, 1, 2, 2, 2]
