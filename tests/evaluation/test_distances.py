from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.distances import SurfaceDistances, distances_between

MM = (1.0, 1.0, 1.0)


def distances(there: list[float], back: list[float], sizes: tuple[list[float], list[float]]) -> SurfaceDistances:
    return SurfaceDistances(*(np.array(values) for values in (there, back, *sizes)))


def test_the_share_within_a_tolerance_is_weighed_by_size() -> None:
    found = distances([0.0, 2.0], [1.0, 5.0, 9.0], ([3.0, 1.0], [2.0, 2.0, 2.0]))
    assert [found.share_within(tolerance) for tolerance in (0.0, 1.0, 2.0, 5.0, 9.0)] == [0.3, 0.5, 0.6, 0.8, 1.0]


def test_a_surface_without_a_partner_shares_nothing_and_two_empty_ones_are_undefined() -> None:
    alone = distances([math.inf, math.inf], [], ([1.0, 1.0], []))
    assert alone.share_within(1000.0) == 0
    assert not alone.has_both
    assert math.isnan(distances([], [], ([], [])).share_within(1.0))


@pytest.mark.parametrize("tolerance_mm", [-1.0, math.nan])
def test_a_tolerance_below_0_is_refused(tolerance_mm: float) -> None:
    with pytest.raises(ValueError, match="0 mm or more"):
        distances([0.0], [0.0], ([1.0], [1.0])).share_within(tolerance_mm)


def test_distances_stand_in_the_order_of_memory() -> None:
    ours, theirs = np.zeros((2, 9, 9, 1), bool)
    ours[[0, 4, 8], 4] = True
    theirs[4, [1, 4]] = True
    there, back = distances_between(ours, theirs, (1.0, 2.0, 1.0))
    assert there.tolist() == [4.0, 0.0, 4.0]
    assert back == pytest.approx([6.0, 0.0])


def test_beyond_the_farthest_that_matters_distances_are_infinite_and_at_it_they_are_not() -> None:
    ours, theirs = np.zeros((2, 9, 1, 1), bool)
    ours[[0, 3]] = theirs[8] = True
    assert distances_between(ours, theirs, MM, farthest_mm=5.0)[0].tolist() == [math.inf, 5.0]
    assert distances_between(ours, theirs, MM, farthest_mm=0.0)[0].tolist() == [math.inf, math.inf]


def test_an_empty_set_is_infinitely_far() -> None:
    ours, theirs = np.ones((2, 1, 1), bool), np.zeros((2, 1, 1), bool)
    there, back = distances_between(ours, theirs, MM)
    assert (there.tolist(), back.tolist()) == ([math.inf, math.inf], [])


def test_a_voxel_without_a_size_is_refused() -> None:
    with pytest.raises(ValueError, match="positive sizes"):
        distances_between(np.ones((2, 2, 2), bool), np.ones((2, 2, 2), bool), (1.0, 0.0, 1.0))
