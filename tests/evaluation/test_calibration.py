from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.calibration import BINS, pooled, reliability_of


def test_probabilities_that_mean_what_they_say_have_no_calibration_error() -> None:
    probability = np.repeat([0.25, 0.75], 4)
    truth = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    found = reliability_of(probability, truth)
    assert found.ece == pytest.approx(0)
    assert found.brier == pytest.approx(0.1875)  # 0.25 * 0.75
    assert found.curve() == ((0.25, 0.25, 4), (0.75, 0.75, 4))


def test_one_who_is_sure_and_wrong_has_the_largest_errors() -> None:
    found = reliability_of(np.array([1.0, 0.0]), np.array([False, True]))
    assert (found.ece, found.brier) == (1, 1)


def test_one_who_is_sure_and_right_has_none() -> None:
    found = reliability_of(np.array([1.0, 0.0, 0.0]), np.array([True, False, False]))
    assert (found.ece, found.brier) == (0, 0)
    assert found.voxels[0] == 2
    assert found.voxels[BINS - 1] == 1


def test_cases_are_pooled_as_if_they_were_one() -> None:
    generator = np.random.default_rng(7)
    probability = generator.random(500)
    truth = generator.random(500) < probability**2
    whole = reliability_of(probability, truth)
    parts = pooled([reliability_of(probability[:200], truth[:200]), reliability_of(probability[200:], truth[200:])])
    assert parts.voxels == whole.voxels
    assert parts.ece == pytest.approx(whole.ece)
    assert parts.brier == pytest.approx(whole.brier)


def test_nothing_has_no_calibration() -> None:
    assert math.isnan(pooled([]).ece)
    assert pooled([]).curve() == ()
