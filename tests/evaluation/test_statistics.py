from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from neuraxis.evaluation.statistics import Summary, interval, mean_of, summarise, summarise_structures

NAN = math.nan


def people(number: int) -> list[str]:
    return [f"p{index}" for index in range(number)]


def normal(number: int, seed: int = 0) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).normal(0.8, 0.1, number)


def test_mean_sd_and_median_are_those_of_the_defined_values() -> None:
    found = summarise([1.0, NAN, 2.0, 6.0], people(4))
    assert (found.n, found.mean, found.median, found.patients) == (3, 3.0, 2.0, 3)
    assert found.sd == pytest.approx(math.sqrt(7))


def test_no_value_and_one_value_leave_undefined_what_they_cannot_tell() -> None:
    np.testing.assert_equal(astuple(summarise([NAN], ["a"])), (0, NAN, NAN, NAN, NAN, NAN, 0))
    np.testing.assert_equal(astuple(summarise([], [])), (0, NAN, NAN, NAN, NAN, NAN, 0))
    np.testing.assert_equal(astuple(summarise([0.5], ["a"])), (1, 0.5, NAN, 0.5, NAN, NAN, 1))


def test_below_five_patients_there_is_no_interval() -> None:
    four, five = summarise([0.1, 0.2, 0.3, 0.4], people(4)), summarise([0.1, 0.2, 0.3, 0.4, 0.5], people(5))
    assert math.isnan(four.ci_low)
    assert math.isnan(four.ci_high)
    assert 0.1 <= five.ci_low < 0.3 < five.ci_high <= 0.5


def test_five_patients_of_whom_one_has_no_score_are_four() -> None:
    found = summarise([0.1, 0.2, 0.3, 0.4, NAN], people(5))
    assert (found.n, found.patients) == (4, 4)
    assert math.isnan(found.ci_low)


def test_many_scans_of_few_patients_give_no_interval() -> None:
    assert math.isnan(summarise(list(normal(40)), ["a", "b", "c", "d"] * 10).ci_low)


def test_the_interval_of_many_normal_values_is_the_textbook_one() -> None:
    values = normal(200)
    found = summarise(list(values), people(200))
    half = 1.96 * values.std(ddof=1) / math.sqrt(200)
    assert found.ci_low == pytest.approx(found.mean - half, abs=0.15 * half)
    assert found.ci_high == pytest.approx(found.mean + half, abs=0.15 * half)


def test_scans_of_one_patient_that_are_alike_do_not_narrow_the_interval() -> None:
    values = normal(20)
    alone = summarise(list(values), people(20))
    repeated = summarise(list(np.tile(values, 4)), people(20) * 4)
    assert (repeated.ci_low, repeated.ci_high) == pytest.approx((alone.ci_low, alone.ci_high))
    counted_apart = summarise(list(np.tile(values, 4)), people(80))
    assert counted_apart.ci_high - counted_apart.ci_low < 0.7 * (alone.ci_high - alone.ci_low)


def test_equal_values_have_an_interval_of_no_width() -> None:
    assert summarise([0.25] * 6, people(6)) == Summary(6, 0.25, 0.0, 0.25, 0.25, 0.25, 6)


def test_intervals_are_the_same_each_time_and_in_any_order_of_rows() -> None:
    values = list(normal(30))
    first, again = summarise(values, people(30)), summarise(values, people(30))
    assert first == again
    turned = summarise(values[::-1], people(30)[::-1])
    assert (turned.ci_low, turned.ci_high) == pytest.approx((first.ci_low, first.ci_high))


def test_numpys_global_generator_is_left_alone() -> None:
    before = np.random.get_state()[1].copy()
    summarise(list(normal(7, seed=9)), people(7))
    assert np.array_equal(before, np.random.get_state()[1])


def test_the_mean_over_structures_is_the_mean_of_their_means() -> None:
    table = np.array([[1.0, 0.9], [0.5, NAN], [0.0, NAN]])
    found = summarise_structures(table, people(3))
    assert found.mean == pytest.approx(0.7)  # of 0.5 and 0.9; the mean of all four values is 0.6
    assert found.median == 0.5  # of the scans' 0.95, 0.5, 0
    assert found.n == 3


def test_a_structure_that_is_rare_keeps_its_weight_in_the_interval() -> None:
    table = np.full((10, 2), NAN)
    table[:, 0] = 1.0
    table[:5, 1] = 0.0
    assert interval(table, people(10)) == (0.5, 0.5)  # in all but a thousandth of the resamples it is drawn
    assert summarise_structures(table, people(10)).mean == 0.5


def test_one_patient_for_each_scan_is_needed() -> None:
    with pytest.raises(ValueError, match="patients"):
        summarise([1.0, 2.0], ["a"])


def test_the_mean_of_nothing_is_undefined() -> None:
    assert math.isnan(mean_of(np.array([NAN, NAN])))
    assert mean_of(np.array([NAN, 2.0])) == 2.0
