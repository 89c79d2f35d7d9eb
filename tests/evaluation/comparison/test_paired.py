"""Tests of `neuraxis.evaluation.comparison.paired`: against scipy, against every sign, and by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from neuraxis.evaluation.catalog import metric_names
from neuraxis.evaluation.comparison.paired import (
    better,
    holm,
    mid_ranks,
    paired_difference,
    patient_means,
    signed_rank_p,
)

PEOPLE = [f"p{number}" for number in range(40)]


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


@pytest.mark.parametrize("count", [5, 8, 20, 40])
def test_without_ties_the_test_is_scipys_exact_one(count: int) -> None:
    differences = np.random.default_rng(count).normal(0.3, 1, count)
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert signed_rank_p(differences) == pytest.approx(expected, rel=1e-9)


def test_ties_and_zeros_are_counted_over_every_choice_of_signs() -> None:
    differences = np.array([0.2, 0.2, -0.1, 0.0, 0.3, 0.1, 0.0, -0.2])
    ranks = stats.rankdata(np.abs(differences))[differences != 0]
    observed = ranks[differences[differences != 0] > 0].sum()
    sums = [sum(itertools.compress(ranks, signs)) for signs in itertools.product((0, 1), repeat=len(ranks))]
    below, above = np.mean([one <= observed for one in sums]), np.mean([one >= observed for one in sums])
    assert signed_rank_p(differences) == pytest.approx(min(1, 2 * min(below, above)))


def test_equal_columns_have_p_1_and_no_effect() -> None:
    scores = column(0.1, 0.2, 0.3, 0.4, 0.5)
    found = paired_difference(scores, scores, PEOPLE[:5])
    assert (found.p, found.mean, found.first_larger, found.second_larger) == (1.0, 0.0, 0, 0)
    assert math.isnan(found.rank_biserial)
    assert math.isnan(found.cohens_d)


def test_below_five_patients_there_is_neither_interval_nor_test() -> None:
    found = paired_difference(column(0.9, 0.8, 0.9, 0.8), column(0.1, 0.2, 0.1, 0.1), PEOPLE[:4])
    assert found.mean == pytest.approx(0.725)
    assert all(math.isnan(value) for value in (found.p, found.ci_low, found.ci_high))
    assert found.rank_biserial == 1


def test_cases_of_one_patient_count_once_in_the_test() -> None:
    first, second = column(*[0.9] * 8), column(*[0.5] * 8)
    found = paired_difference(first, second, ["a", "a", "b", "b", "c", "c", "d", "d"])
    assert (found.cases, found.patients) == (8, 4)
    assert math.isnan(found.p)
    means = patient_means(np.array([1.0, 3.0, math.nan, 5.0]), ["b", "b", "c", "a"])
    assert means.tolist() == [5.0, 2.0]


def test_what_is_undefined_in_either_column_is_left_out_and_counted() -> None:
    first, second = column(1, 2, math.nan, 4, 5, 6, 7), column(0, 1, 2, math.nan, 4, 5, 6)
    found = paired_difference(first, second, PEOPLE[:7])
    assert (found.cases, found.undefined, found.mean) == (5, 2, 1.0)
    assert found.ci_low == found.ci_high == 1.0
    assert found.p == 0.0625


def test_the_interval_covers_a_difference_that_is_there_and_the_effects_say_how_large() -> None:
    generator = np.random.default_rng(1)
    second = generator.uniform(0.5, 0.7, (40, 1))
    gain = generator.normal(0.05, 0.02, (40, 1))
    found = paired_difference(second + gain, second, PEOPLE)
    assert found.ci_low < 0.05 < found.ci_high
    assert found.p < 1e-6
    assert found.rank_biserial > 0.95
    assert found.cohens_d == pytest.approx(float(gain.mean() / gain.std(ddof=1)))
    turned = paired_difference(second, second + gain, PEOPLE)
    assert (turned.p, turned.rank_biserial) == (pytest.approx(found.p), pytest.approx(-found.rank_biserial))


def test_several_structures_are_one_mean_for_each_case() -> None:
    first = np.array([[1.0, 0.0], [1.0, math.nan]])
    found = paired_difference(first, np.zeros((2, 2)), ["a", "b"])
    assert found.mean == 0.5  # the mean of the structures' means 1 and 0
    assert (found.cases, found.first_larger) == (2, 2)


def test_rounding_makes_no_difference() -> None:
    assert paired_difference(column(0.1 + 0.2), column(0.3), ["a"]).first_larger == 0


def test_holms_correction_is_that_of_the_paper() -> None:
    assert holm([0.01, 0.02, 0.03, 0.005]) == pytest.approx((0.03, 0.04, 0.04, 0.02))
    assert holm([0.6, 0.7]) == (1.0, 1.0)
    assert holm([]) == ()


def test_mid_ranks_are_scipys() -> None:
    values = np.random.default_rng(0).integers(0, 5, 30).astype(float)
    assert np.array_equal(mid_ranks(values), stats.rankdata(values))


def test_every_metric_but_plain_sizes_and_counts_says_what_is_better() -> None:
    unknown = {name for name in metric_names() if better(name) is None}
    counts = {f"lesions_{name}_by_size" for name in ("reference", "predicted", "found", "false")}
    assert unknown == counts | {"volume_ml_reference", "volume_ml_predicted", "lesions_reference", "lesions_predicted"}
    assert (better("hd95_mm"), better("volume_error_ml")) == ("lower", "nearer 0")


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        paired_difference(column(1), column(1, 2), ["a"])
