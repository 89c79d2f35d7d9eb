from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.scores import Score, Scores
from neuraxis.evaluation.volume_agreement import icc, volume_agreement


def scored(*volumes: tuple[float, float], patients: int | None = None) -> Scores:
    """Predicted and reference volumes of cases, by turns of so many patients."""
    return Scores.of(
        Score(f"case-{place}", f"p{place % (patients or len(volumes))}", "", "lesion",
              {"volume_ml_predicted": one, "volume_ml_reference": other})
        for place, (one, other) in enumerate(volumes)
    )  # fmt: skip


def test_the_worked_example_of_shrout_and_fleiss() -> None:
    """Judges 1 and 4 of their table 2, by the mean squares of its two-way analysis of variance."""
    first, fourth = np.array([9.0, 6, 8, 7, 10, 6]), np.array([8.0, 2, 6, 6, 9, 7])
    table = np.stack([first, fourth], axis=1)
    n, k = table.shape
    rows = k * ((table.mean(axis=1) - table.mean()) ** 2).sum() / (n - 1)
    columns = n * ((table.mean(axis=0) - table.mean()) ** 2).sum() / (k - 1)
    rest = ((table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()) ** 2).sum() / (n - 1)
    assert icc(first, fourth) == pytest.approx((rows - rest) / (rows + rest + k / n * (columns - rest)))


def test_volumes_that_are_equal_agree_wholly_and_a_constant_bias_lowers_the_icc() -> None:
    same = volume_agreement(scored(*((float(v), float(v)) for v in range(1, 7))))[0]
    assert (same.bias_ml, same.limit_low_ml, same.limit_high_ml) == (0, 0, 0)
    assert (same.icc, same.icc_low, same.icc_high) == pytest.approx((1, 1, 1))
    more = volume_agreement(scored(*((float(v) + 2, float(v)) for v in range(1, 7))))[0]
    assert (more.bias_ml, more.limit_low_ml, more.limit_high_ml) == pytest.approx((2, 2, 2))
    assert (more.bias_low_ml, more.bias_high_ml) == pytest.approx((2, 2))
    assert more.icc < 0.7


def test_the_limits_are_the_bias_and_1_96_standard_deviations() -> None:
    found = volume_agreement(scored((1, 2), (4, 3), (6, 5), (7, 8), (9, 7)))[0]
    difference = np.array([-1, 1, 1, -1, 2])
    assert found.limit_high_ml == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))
    assert found.limit_low_ml < found.bias_low_ml < found.bias_ml < found.bias_high_ml < found.limit_high_ml
    assert found.icc_low < found.icc < found.icc_high


def test_below_five_patients_there_are_neither_limits_nor_icc() -> None:
    found = volume_agreement(scored(*((float(v), 1.0) for v in range(8)), patients=4))[0]
    assert (found.cases, found.patients, found.bias_ml) == (8, 4, 2.5)
    assert math.isnan(found.limit_low_ml)
    assert math.isnan(found.icc)


def test_volumes_without_any_difference_between_cases_have_no_icc() -> None:
    assert math.isnan(volume_agreement(scored(*[(2.0, 2.0)] * 5))[0].icc)


def test_without_volumes_there_is_nothing_to_say() -> None:
    assert volume_agreement(Scores.of([Score("a", "", "", "lesion", {"dice": 1.0})])) == ()
