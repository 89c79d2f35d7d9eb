from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays

from neuraxis.evaluation.overlap import Counts, count_voxels

Voxel = tuple[int, ...]
masks = arrays.arrays(bool, (3, 4, 2))


def voxels(mask: np.ndarray) -> set[Voxel]:
    return {place for place in itertools.product(*map(range, mask.shape)) if mask[place]}


@given(masks, masks)
def test_counts_equal_those_of_sets_of_voxels(predicted: np.ndarray, reference: np.ndarray) -> None:
    ours, theirs = voxels(predicted), voxels(reference)
    assert count_voxels(predicted, reference) == Counts(
        len(ours & theirs), len(ours - theirs), len(theirs - ours), 24 - len(ours | theirs)
    )


@given(masks, masks)
def test_dice_follows_from_iou(predicted: np.ndarray, reference: np.ndarray) -> None:
    counts = count_voxels(predicted, reference)
    if predicted.any() or reference.any():
        assert counts.dice == pytest.approx(2 * counts.iou / (1 + counts.iou))
    else:
        assert math.isnan(counts.dice)
        assert math.isnan(counts.iou)


@given(masks, masks)
def test_swapping_both_masks_swaps_precision_and_recall_and_keeps_dice(
    predicted: np.ndarray, reference: np.ndarray
) -> None:
    there, back = count_voxels(predicted, reference), count_voxels(reference, predicted)
    np.testing.assert_equal((there.dice, there.precision), (back.dice, back.recall))


def test_a_cube_shifted_by_one_of_its_four_voxels_keeps_three_quarters() -> None:
    reference = np.zeros((8, 4, 4), bool)
    reference[0:4] = True
    counts = count_voxels(np.roll(reference, 1, axis=0), reference)
    assert counts == Counts(48, 16, 16, 48)
    assert (counts.dice, counts.precision, counts.recall, counts.iou) == (0.75, 0.75, 0.75, 0.6)
    assert counts.specificity == 0.75


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(0, 0, 0, 9), (math.nan, math.nan, math.nan, 1.0)),
        (Counts(0, 3, 0, 6), (0.0, 0.0, math.nan, 6 / 9)),
        (Counts(0, 0, 3, 6), (0.0, math.nan, 0.0, 1.0)),
        (Counts(0, 3, 3, 3), (0.0, 0.0, 0.0, 0.5)),
        (Counts(9, 0, 0, 0), (1.0, 1.0, 1.0, math.nan)),
    ],
    ids=["both empty", "reference empty", "prediction empty", "disjoint", "perfect and full"],
)
def test_empty_masks_follow_the_written_rule(counts: Counts, expected: tuple[float, ...]) -> None:
    np.testing.assert_equal((counts.dice, counts.precision, counts.recall, counts.specificity), expected)
    np.testing.assert_equal(counts.iou, expected[0])


def test_voxels_outside_the_cut_out_count_as_true_negatives() -> None:
    mask = np.ones((2, 2, 2), bool)
    assert count_voxels(mask, mask, voxels=1000).true_negatives == 992


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        count_voxels(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 1), bool))


def test_numbers_instead_of_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="bool"):
        count_voxels(np.ones((2, 2, 2), np.uint8), np.ones((2, 2, 2), bool))
