"""Tests of `neuraxis.evaluation.shift.mmd`: against sums written out, and against every regrouping."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from neuraxis.evaluation.shift.mmd import discrepancy, median_distance, mmd2_of, squared_distances


def by_hand(first: np.ndarray, second: np.ndarray, width: float) -> float:
    """The unbiased estimate, term by term."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / (2 * width**2))

    m, n = len(first), len(second)
    one = sum(k(first[i], first[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    two = sum(k(second[i], second[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return one + two - 2 * sum(k(a, b) for a in first for b in second) / (m * n)


def drawn(count: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, 3))


def test_the_estimate_is_the_sum_of_its_terms() -> None:
    first, second = drawn(5), drawn(7, 0.5, 1)
    found = discrepancy(first, second)
    assert found.mmd2 == pytest.approx(by_hand(first, second, found.width), abs=1e-12)


def test_the_width_is_the_median_distance() -> None:
    rows = np.array([[0.0], [1.0], [3.0], [10.0]])
    distances = [abs(a - b) for a, b in itertools.combinations([0, 1, 3, 10], 2)]
    assert median_distance(squared_distances(rows)) == pytest.approx(np.median(distances))
    assert discrepancy(rows[:2], rows[2:]).width == pytest.approx(np.median(distances))


def test_p_is_about_the_share_of_all_regroupings() -> None:
    first, second = drawn(5), drawn(5, 0.8, 3)
    found = discrepancy(first, second)
    kernel = np.exp(-squared_distances(np.concatenate([first, second])) / (2 * found.width**2))
    groups = np.zeros((math.comb(10, 5), 10), dtype=bool)
    for row, chosen in zip(groups, itertools.combinations(range(10), 5), strict=True):
        row[list(chosen)] = True
    exact = (mmd2_of(kernel, groups) >= found.mmd2 - 1e-12).mean()
    assert found.p == pytest.approx(exact, abs=0.03)


def test_equal_groups_are_not_told_apart_and_shifted_ones_are() -> None:
    p_values = [discrepancy(drawn(15, 0, seed), drawn(15, 0, seed + 500)).p for seed in range(60)]
    assert 0.01 <= np.mean(np.array(p_values) <= 0.1) <= 0.22
    assert discrepancy(drawn(15), drawn(15, 1.5, 1)).p < 0.005


def test_the_estimate_is_unbiased() -> None:
    values = [discrepancy(drawn(6, 0, seed), drawn(6, 0, seed + 999)).mmd2 for seed in range(100)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 10
    assert min(values) < 0


def test_pairs_are_exchanged_within_a_patient() -> None:
    people = np.random.default_rng(0).normal(0, 3, (24, 1))
    scanned_again = people + np.random.default_rng(1).normal(1, 0.1, (24, 1))
    together, apart = (discrepancy(people, scanned_again, paired) for paired in (True, False))
    assert together.mmd2 == apart.mmd2
    assert together.p < 0.05 < 0.3 < apart.p


def test_it_is_the_same_every_time_and_does_not_depend_on_units() -> None:
    first, second = drawn(8), drawn(9, 0.4, 1)
    found = discrepancy(first, second)
    assert discrepancy(first, second) == found
    assert discrepancy(1000 * first, 1000 * second).mmd2 == pytest.approx(found.mmd2)
    turned = discrepancy(second, first)
    assert turned.mmd2 == pytest.approx(found.mmd2)


def test_equal_rows_are_no_shift() -> None:
    rows = np.ones((4, 2))
    found = discrepancy(rows, rows)
    assert (found.mmd2, found.p, found.width) == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(("first", "second", "paired"), [(1, 4, False), (4, 1, False), (3, 4, True)])
def test_too_few_rows_and_odd_pairs_are_refused(first: int, second: int, paired: bool) -> None:
    with pytest.raises(ValueError, match=r"needed|need as many"):
        discrepancy(drawn(first), drawn(second), paired)
