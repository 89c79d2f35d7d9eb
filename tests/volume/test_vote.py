"""Label maps are resampled by the vote of scipy's interpolated masks, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from neuraxis.volume.vote import vote_labels

LINEAR = (1, 1, 1)


def by_scipy(array: np.ndarray, shape: tuple[int, ...], axes: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """The rule, written with scipy: the mask of most weight; of equal ones the nearest voxel's, else the lowest."""
    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]

    def zoom(values: np.ndarray, order: int) -> np.ndarray:
        return ndimage.zoom(values.astype(float), factors, order=order, mode="nearest", grid_mode=True)

    numbers, nearest = np.unique(array), zoom(array, 0)
    scores = np.stack([np.clip(zoom(array == number, 1), 0, 1) for number in numbers])
    winner = numbers[scores.argmax(axis=0)]
    for number, score in zip(numbers, scores, strict=True):
        winner = np.where((nearest == number) & (score == scores.max(axis=0)), number, winner)
    return winner


@pytest.mark.parametrize("seed", range(40))
def test_every_voxel_is_that_of_scipys_masks(seed: int) -> None:
    draw = np.random.default_rng(seed)
    array = draw.integers(-1, 4, draw.integers(1, 12, 3)).astype(np.int16)
    factors = draw.integers(1, 4, 3) if seed % 2 else draw.uniform(0.3, 2.5, 3)  # whole ones give many ties
    shape = tuple(int(max(1, size)) for size in np.round(factors * array.shape))

    assert np.array_equal(vote_labels(array, shape, LINEAR), by_scipy(array, shape))


def test_thick_slices_are_taken_as_they_are_nearest() -> None:
    array = np.random.default_rng(0).integers(0, 4, (3, 7, 5)).astype(np.int16)

    found = vote_labels(array, (8, 11, 9), (0, 1, 1))

    for place, slice_of in enumerate((0, 0, 0, 1, 1, 2, 2, 2)):
        flat = by_scipy(array[slice_of][None], (1, 11, 9))[0]
        assert np.array_equal(found[place], flat)


def test_a_tie_goes_to_the_nearest_voxel_or_else_to_the_lower_number() -> None:
    middle = vote_labels(np.array([4, 1], np.int16).reshape(2, 1, 1), (3, 1, 1), LINEAR)
    assert middle.ravel().tolist() == [4, 1, 1]  # of two as near the upper voxel is nearest
    corner = np.array([[3, 1], [1, 2]], np.int16).reshape(2, 2, 1)
    assert vote_labels(corner, (3, 3, 1), LINEAR)[1, 1, 0] == 1  # it weighs a half, the nearest voxel's a quarter
    block = np.array([3, 1, 1, 1, 2, 2, 2, 3], np.int16).reshape(2, 2, 2)
    assert vote_labels(block, (3, 3, 3), LINEAR)[1, 1, 1] == 1  # 1 and 2 weigh the same, the nearest voxel is a 3


def test_nothing_changes_where_the_shape_stays() -> None:
    array = np.random.default_rng(1).integers(-1, 3, (4, 5, 6)).astype(np.int16)
    assert np.array_equal(vote_labels(array, (4, 5, 6), LINEAR), array)


def test_cubic_votes_are_refused() -> None:
    with pytest.raises(ValueError, match="order 0 or 1"):
        vote_labels(np.zeros((2, 2, 2), np.int16), (3, 3, 3), (1, 3, 1))
