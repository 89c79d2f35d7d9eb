from __future__ import annotations

import math

import pytest

from neuraxis.evaluation.rules import LesionMatching, ScoringRules


@pytest.mark.parametrize("min_overlap", [-0.1, 1.1, math.nan])
def test_an_overlap_beyond_0_and_1_is_refused(min_overlap: float) -> None:
    with pytest.raises(ValueError, match="min_overlap"):
        LesionMatching(min_overlap)


def test_a_connectivity_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="6, 18 or 26, not 8"):
        LesionMatching(connectivity=8)


@pytest.mark.parametrize("tolerance_mm", [-1.0, math.inf, math.nan, 1.0000001])
def test_a_tolerance_that_no_column_can_bear_is_refused(tolerance_mm: float) -> None:
    with pytest.raises(ValueError, match="Tolerances are 0 mm or more"):
        ScoringRules(tolerances_mm=(1.0, tolerance_mm))


def test_by_default_surfaces_are_compared_within_1_and_3_mm_and_a_tenth_of_a_lesion_is_enough() -> None:
    assert ScoringRules() == ScoringRules((1.0, 3.0), LesionMatching(0.1, 26), (10.0, 100.0, 1000.0), "undefined")
