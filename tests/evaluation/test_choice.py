"""Choosing among candidates: the simplest that is as good as the best, and never with the cases it is scored on."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.choice import (
    NO_RULES,
    Base,
    Candidate,
    Pick,
    alternatives,
    by_patient,
    choose,
    cross_fit,
    finalists,
    joined,
    loss_and_error,
    simplest_of_the_best,
)
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe

PATIENTS = tuple("abcdefgh")
LARGEST = PostprocessingRecipe(largest=("cord",))
HOLES = PostprocessingRecipe(fill_holes=("cord",))
SIEVED = PostprocessingRecipe(min_volume_mm3={"lesion": 3.0})


def around(mean, spread=0.02, structures=1, seed=0):
    """Scores of eight cases whose mean is exactly `mean`."""
    draws = np.random.default_rng(seed).normal(0, spread, (8, structures))
    return mean + draws - draws.mean(axis=0)


def candidate(name, values, models=1, rules=NO_RULES):
    return Candidate(Pick(name, rules), models, values)


def test_a_clear_winner_is_taken_whatever_it_costs():
    found = simplest_of_the_best([candidate("2d", around(0.7)), candidate("both", around(0.8), models=2)], PATIENTS)
    assert found.pick.base == "both"


def test_a_gain_within_noise_goes_to_the_simpler_one():
    plain, noisy = around(0.7), around(0.7) + around(0.001, spread=0.01, seed=1)
    order = [candidate("both", noisy, models=2), candidate("2d", plain)]
    assert by_patient(noisy, PATIENTS).mean() > by_patient(plain, PATIENTS).mean()
    assert simplest_of_the_best(order, PATIENTS).pick.base == "2d"
    steady = [candidate("both", plain + 0.001, models=2), candidate("2d", plain)]
    assert simplest_of_the_best(steady, PATIENTS).pick.base == "both"


def test_equal_candidates_go_to_the_one_named_first_and_to_fewer_rules():
    values = around(0.7)
    assert simplest_of_the_best([candidate("b", values), candidate("a", values)], PATIENTS).pick.base == "b"
    ruled = [candidate("a", values, rules=LARGEST), candidate("a", values)]
    assert simplest_of_the_best(ruled, PATIENTS).pick.rules.rules == 0


def test_the_best_of_a_single_patient_is_taken():
    found = simplest_of_the_best([candidate("a", np.array([[0.5]])), candidate("b", np.array([[0.6]]), 2)], "x")
    assert found.pick.base == "b"
    assert math.isnan(loss_and_error(np.array([0.5]), np.array([0.6]))[1])


def test_patients_weigh_the_same_however_many_cases_they_have():
    values = np.array([[0.0], [1.0], [1.0], [1.0]])
    np.testing.assert_allclose(by_patient(values, ("a", "b", "b", "b")), [0.0, 1.0])
    np.testing.assert_allclose(by_patient(values, ("a", "b", "b", "b"), np.array([1, 1, 0, 0], bool)), [0.0, 1.0])
    with pytest.raises(ValueError, match="Without a case"):
        by_patient(values, "abcd", np.zeros(4, bool))


def test_the_loss_and_its_error_are_those_of_the_paired_differences():
    values, best = np.array([0.1, 0.4, 0.3]), np.array([0.3, 0.5, 0.7])
    lost = best - values
    assert loss_and_error(values, best) == pytest.approx((lost.mean(), np.sqrt(lost.var(ddof=1) / 3)))


def test_each_structure_gets_the_rule_that_helps_it():
    plain = around(0.7, structures=2)
    cord = [(HOLES, plain - np.array([0.1, 0])), (LARGEST, plain + np.array([0.05, 0]))]
    lesion = [(SIEVED, plain + np.array([0, 0.02]))]
    base = Base("a", 1, plain, {"cord": cord, "lesion": lesion})

    plain_one, ruled = finalists([base], PATIENTS)

    assert plain_one.pick == Pick("a")
    assert ruled.pick.rules == joined([LARGEST, SIEVED])
    np.testing.assert_allclose(ruled.values, plain + np.array([0.05, 0.02]))
    assert choose([base], PATIENTS) == ruled.pick


def test_a_rule_that_changes_nothing_is_not_taken():
    plain = around(0.7)
    base = Base("a", 1, plain, {"cord": [(HOLES, plain), (LARGEST, plain - 0.01)]})
    assert [one.pick for one in finalists([base], PATIENTS)] == [Pick("a")]


def test_what_is_chosen_for_a_fold_does_not_see_its_cases():
    folds = [0, 0, 1, 1, 2, 2, 3, 3]
    good, lucky = around(0.7), around(0.6)
    lucky[:2] = 1.9  # so good in fold 0 that with it the mean is the highest
    lucky[:2] += [[0.01], [-0.01]]
    bases = [Base("good", 1, good, {}), Base("lucky", 2, lucky, {})]

    picks = cross_fit(bases, PATIENTS, folds)

    assert by_patient(lucky, PATIENTS).mean() > by_patient(good, PATIENTS).mean()
    assert picks[0] == Pick("good")
    changed = [Base("good", 1, good, {}), Base("lucky", 2, np.where(np.array(folds)[:, None] == 2, 99.0, lucky), {})]
    assert cross_fit(changed, PATIENTS, folds)[2] == picks[2]
    assert set(picks) == {0, 1, 2, 3}


def test_the_rules_tried_for_a_structure_are_single_ones_then_pairs():
    tried = alternatives("cord", (10, 3))
    assert [rules.rules for rules in tried] == [1, 1, 1, 1, 2, 2, 2]
    assert [rules.min_volume_mm3.get("cord") for rules in tried] == [None, 3, 10, None, 3, 10, None]
    assert all(rules.structures == ("cord",) for rules in tried)
    assert len({rules.model_dump_json() for rules in tried}) == len(tried)
