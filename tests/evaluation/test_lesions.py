from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuraxis.evaluation.lesions import LesionScore, score_lesions
from neuraxis.evaluation.rules import Connectivity, LesionMatching

Voxel = tuple[int, ...]
sizes = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4))
pairs = sizes.flatmap(lambda shape: arrays.arrays(np.uint8, (2, *shape), elements=st.integers(0, 5))).map(
    lambda values: values == 0
)


# The same once more, written as slowly and plainly as can be, to compare with.


def voxels(mask: np.ndarray) -> set[Voxel]:
    return {place for place in itertools.product(*map(range, mask.shape)) if mask[place]}


def components(mask: np.ndarray, connectivity: int) -> list[set[Voxel]]:
    most = {6: 1, 18: 2, 26: 3}[connectivity]  # along how many axes neighbours may differ

    left, found = voxels(mask), []
    while left:
        component, waiting = set(), [left.pop()]
        while waiting:
            place = waiting.pop()
            component.add(place)
            apart = {other: [abs(a - b) for a, b in zip(place, other, strict=True)] for other in left}
            reached = {other for other, steps in apart.items() if max(steps) <= 1 and sum(steps) <= most}
            left -= reached
            waiting.extend(reached)
        found.append(component)
    return found


def plain_lesions(predicted: np.ndarray, reference: np.ndarray, matching: LesionMatching) -> tuple[int, int, int]:
    """Return found, missed and false."""
    ours, theirs = voxels(predicted), voxels(reference)
    lesions = components(reference, matching.connectivity)
    found = [bool(lesion & ours) and len(lesion & ours) / len(lesion) >= matching.min_overlap for lesion in lesions]
    false = [not lesion & theirs for lesion in components(predicted, matching.connectivity)]
    return sum(found), len(found) - sum(found), sum(false)


@settings(max_examples=300, deadline=None)
@given(pairs, st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0]), st.sampled_from([6, 18, 26]))
def test_counts_equal_a_flood_fill(pair: np.ndarray, min_overlap: float, connectivity: Connectivity) -> None:
    predicted, reference = pair
    matching = LesionMatching(min_overlap, connectivity)
    score = score_lesions(predicted, reference, matching)
    assert (score.found, score.missed, score.false) == plain_lesions(predicted, reference, matching)
    assert score.predicted == len(components(predicted, connectivity))


def test_voxels_that_share_only_a_corner_are_one_lesion() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    assert score_lesions(mask, mask) == LesionScore(found=2, missed=0, false=0, predicted=2)


@pytest.mark.parametrize(("voxels", "covered", "found"), [(30, 3, 1), (30, 2, 0), (10, 1, 1), (1, 1, 1), (70, 7, 1)])
def test_a_tenth_covered_is_found_and_less_is_missed(voxels: int, covered: int, found: int) -> None:
    reference, predicted = np.zeros((2, 80, 1, 1), bool)
    reference[:voxels] = True
    predicted[:covered] = True
    assert score_lesions(predicted, reference) == LesionScore(found, 1 - found, 0, 1)


def test_one_shared_voxel_is_enough_where_the_rule_says_so() -> None:
    reference, predicted = np.zeros((2, 50, 1, 1), bool)
    reference[:40] = True
    predicted[39:] = True
    assert score_lesions(predicted, reference) == LesionScore(found=0, missed=1, false=0, predicted=1)
    assert score_lesions(predicted, reference, LesionMatching(0)) == LesionScore(
        found=1, missed=0, false=0, predicted=1
    )
    apart = score_lesions(np.roll(predicted, 1, axis=0) & ~reference, reference, LesionMatching(0))
    assert apart == LesionScore(found=0, missed=1, false=1, predicted=1)


@pytest.mark.parametrize(("connectivity", "lesions"), [(6, 4), (18, 3), (26, 2)])
def test_what_one_lesion_is_follows_the_connectivity(connectivity: Connectivity, lesions: int) -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 2, 2] = True  # joined by an edge, then by a corner
    mask[4, 4, 4] = mask[5, 4, 4] = True  # joined by a face
    score = score_lesions(mask, mask, LesionMatching(connectivity=connectivity))
    assert score == LesionScore(found=lesions, missed=0, false=0, predicted=lesions)


def test_a_chequerboard_is_as_many_lesions_as_it_has_squares_where_faces_alone_join() -> None:
    mask = np.indices((7, 6, 5)).sum(axis=0) % 2 == 0
    assert score_lesions(mask, mask, LesionMatching(connectivity=6)).predicted == mask.sum() == 105
    assert score_lesions(mask, mask, LesionMatching(connectivity=18)).predicted == 1


def test_several_predicted_pieces_cover_one_lesion_together() -> None:
    reference, predicted = np.zeros((2, 10, 1, 1), bool)
    reference[:] = True
    predicted[[0, 3, 6, 9]] = True
    assert score_lesions(predicted, reference, LesionMatching(0.4)) == LesionScore(
        found=1, missed=0, false=0, predicted=4
    )
    assert score_lesions(predicted, reference, LesionMatching(0.5)) == LesionScore(
        found=0, missed=1, false=0, predicted=4
    )


@pytest.mark.parametrize("shape", [(10, 1, 1), (1, 9, 1), (1, 1, 9), (7, 7, 1), (3, 3, 3), (1, 1, 1)])
def test_thin_and_small_masks_may_be_as_full_of_lesions_as_can_be(shape: tuple[int, int, int]) -> None:
    mask = np.zeros(shape, bool)
    mask[::2, ::2, ::2] = True
    number = int(mask.sum())
    assert score_lesions(mask, mask) == LesionScore(found=number, missed=0, false=0, predicted=number)


def test_one_prediction_over_two_lesions_finds_both() -> None:
    reference, predicted = np.zeros((2, 10, 1, 1), bool)
    reference[[2, 5]] = True
    predicted[1:7] = True
    score = score_lesions(predicted, reference)
    assert score == LesionScore(found=2, missed=0, false=0, predicted=1)
    assert (score.recall, score.false_discovery, score.f1) == (1.0, 0.0, 1.0)


def test_rates_follow_from_the_counts() -> None:
    score = LesionScore(found=3, missed=1, false=2, predicted=5)
    assert score.reference == 4
    assert score.recall == 0.75
    assert score.false_discovery == 0.4
    assert score.f1 == pytest.approx(6 / 9)


def test_rates_of_empty_masks_follow_the_written_rule() -> None:
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    both, invented, overlooked = score_lesions(empty, empty), score_lesions(full, empty), score_lesions(empty, full)
    assert all(math.isnan(rate) for rate in (both.recall, both.false_discovery, both.f1))
    assert math.isnan(invented.recall)
    assert (invented.false_discovery, invented.f1) == (1.0, 0.0)
    assert math.isnan(overlooked.false_discovery)
    assert (overlooked.recall, overlooked.f1) == (0.0, 0.0)


def test_memory_order_changes_nothing() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    predicted, reference = generator.random((2, 12, 10, 8)) > 0.9
    expected = score_lesions(predicted, reference)
    assert expected.found
    assert expected.false
    assert score_lesions(np.asfortranarray(predicted), reference) == expected
    assert score_lesions(predicted[::-1], reference[::-1]) == expected
