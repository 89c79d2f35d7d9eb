from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from neuraxis.evaluation.components import Components, find_components
from neuraxis.evaluation.lesions import LesionScore, match_lesions, score_lesions
from neuraxis.evaluation.pairing import pair_one_to_one
from neuraxis.evaluation.rules import LesionMatching, MatchBy, Pairing

IOU = LesionMatching(by="iou", min_iou=0.1)


def line(*voxels: int, length: int = 24) -> np.ndarray:
    """A mask along x."""
    mask = np.zeros((length, 1, 1), bool)
    mask[list(voxels)] = True
    return mask


def test_a_component_that_covers_two_lesions_is_the_partner_of_one_alone() -> None:
    lesions, predicted = line(1, 2, 3, 5, 6), line(1, 2, 3, 4, 5, 6)
    assert score_lesions(predicted, lesions) == LesionScore(found=2, missed=0, false=0, predicted=1)
    assert score_lesions(predicted, lesions, IOU) == LesionScore(found=1, missed=1, false=0, predicted=1)
    assert match_lesions(find_components(predicted, lesions)).merged == 1


def test_a_lesion_that_two_components_cover_has_one_partner_and_the_other_is_false() -> None:
    lesions, predicted = line(1, 2, 3, 4, 5, 6), line(1, 2, 3, 5, 6)
    assert score_lesions(predicted, lesions, IOU) == LesionScore(found=1, missed=0, false=1, predicted=2)
    assert match_lesions(find_components(predicted, lesions)).split == 1


def test_the_least_iou_counts_where_it_is_reached_exactly() -> None:
    lesions, predicted = line(1, 2, 3), line(3, 4, 5)  # 1 of 5 voxels
    assert score_lesions(predicted, lesions, LesionMatching(by="iou", min_iou=0.2)).found == 1
    assert score_lesions(predicted, lesions, LesionMatching(by="iou", min_iou=0.21)).found == 0


def test_centres_are_compared_in_mm_and_need_not_touch() -> None:
    lesions, predicted = line(2), line(5)
    for spacing, found in (((1.0, 1.0, 1.0), 1), ((2.0, 1.0, 1.0), 0)):
        matching = LesionMatching(by="distance", max_distance_mm=3.0)
        assert score_lesions(predicted, lesions, matching, spacing).found == found


def test_centres_in_one_place_are_a_pair_without_any_distance() -> None:
    ring, dot = line(1, 3), line(2)
    ring[2, 0, 0] = False
    nothing = LesionMatching(by="distance", max_distance_mm=0.0)
    assert score_lesions(dot, dot, nothing).found == 1
    assert score_lesions(dot, ring, nothing).found == 0


def test_greedy_takes_the_nearest_first_and_optimal_the_most_pairs() -> None:
    lesions, predicted = line(4, 7), line(6, 9)  # 4-6, 7-6, 7-9 are candidates; 7-6 is the nearest
    for pairing, found in (("greedy", 1), ("optimal", 2)):
        matching = LesionMatching(by="distance", max_distance_mm=2.0, pairing=pairing)
        assert score_lesions(predicted, lesions, matching).found == found


def test_nothing_on_one_side_has_no_pairs() -> None:
    for by in ("iou", "distance"):
        matching = LesionMatching(by=by)
        assert score_lesions(line(3), line(), matching) == LesionScore(0, 0, 1, 1)
        assert score_lesions(line(), line(3), matching) == LesionScore(0, 1, 0, 0)
        assert score_lesions(line(), line(), matching) == LesionScore(0, 0, 0, 0)


def best_by_trying(parts: Components, matching: LesionMatching) -> tuple[int, float]:
    """Return the most pairs, and the least sum of their costs, by trying every choice."""
    lesions, components = len(parts.reference_voxels), len(parts.predicted_voxels)
    cost = np.full((lesions, components), np.inf)
    if matching.by == "iou":
        for (lesion, component), iou in zip(parts.pairs, parts.ious, strict=True):
            cost[lesion, component] = 1 - iou if iou >= matching.min_iou else np.inf
    else:
        apart = parts.reference_centres_mm[:, None] - parts.predicted_centres_mm
        distance = np.sqrt((apart**2).sum(axis=-1))
        cost = np.where(distance <= matching.max_distance_mm + 1e-9, distance, np.inf)
    best = (0, 0.0)
    for choice in itertools.product(range(-1, components), repeat=lesions):
        used = [component for component in choice if component >= 0]
        values = [cost[lesion, component] for lesion, component in enumerate(choice) if component >= 0]
        if len(set(used)) == len(used) and np.isfinite(values).all():
            best = max(best, (len(values), -sum(values)))
    return best[0], -best[1]


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(bool, (2, 9, 2, 1)),
    st.sampled_from(["iou", "distance"]),
    st.sampled_from([0.05, 0.3, 1.0, 2.0, 4.0]),
)
def test_the_optimal_pairs_are_the_best_of_all_choices(masks: np.ndarray, by: MatchBy, limit: float) -> None:
    matching = LesionMatching(by=by, min_iou=min(1.0, limit), max_distance_mm=limit, connectivity=6)
    parts = find_components(masks[0], masks[1], connectivity=6)
    pairs = pair_one_to_one(parts, matching)
    cost = {(int(a), int(b)): 1 - iou for (a, b), iou in zip(parts.pairs, parts.ious, strict=True)}
    if by == "distance":
        apart = parts.reference_centres_mm[:, None] - parts.predicted_centres_mm
        cost = {index: float(np.sqrt((apart[index] ** 2).sum())) for index in np.ndindex(apart.shape[:2])}
    expected = best_by_trying(parts, matching)
    assert len(pairs) == expected[0]
    assert sum(cost[int(a), int(b)] for a, b in pairs) == pytest.approx(expected[1])


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(bool, (2, 9, 3, 1)), st.sampled_from(["optimal", "greedy"]), st.sampled_from(["iou", "distance"]))
def test_no_lesion_and_no_component_has_two_partners(masks: np.ndarray, pairing: Pairing, by: MatchBy) -> None:
    parts = find_components(masks[0], masks[1])
    pairs = pair_one_to_one(parts, LesionMatching(by=by, pairing=pairing))
    assert len(set(pairs[:, 0].tolist())) == len(set(pairs[:, 1].tolist())) == len(pairs)


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(bool, (2, 9, 3, 1)))
def test_components_share_what_their_masks_share(masks: np.ndarray) -> None:
    predicted, reference = masks
    parts = find_components(predicted, reference)
    assert parts.shared.sum() == (predicted & reference).sum()
    assert parts.reference_voxels.sum() == reference.sum()
    assert parts.predicted_voxels.sum() == predicted.sum()
    centre = np.average(np.argwhere(reference), axis=0) if reference.any() else np.zeros(3)
    weighed = (parts.reference_centres_mm * parts.reference_voxels[:, None]).sum(axis=0)
    assert weighed == pytest.approx(centre * reference.sum())
