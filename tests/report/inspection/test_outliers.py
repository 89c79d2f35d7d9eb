from __future__ import annotations

import numpy as np
import pytest

from neuraxis.report.inspection.outliers import FARTHEST, find_oddities, robust_z
from neuraxis.report.inspection.portrait import Portrait


def portrait(number: int, ml: float = 1.0, median: float = 100.0, site: str = "", spacing: float = 1.0) -> Portrait:
    values = tuple(np.linspace(0, 2 * median, 65))
    return Portrait(f"case-{number}", site, shape=(10, 10, 10), spacing_mm=(spacing, 1.0, 1.0), labelled=True,
                    volumes_ml={"lesion": ml}, intensities={"FLAIR": values})  # fmt: skip


def test_scores_count_distances_from_the_median_in_the_median_distance() -> None:
    scores = robust_z([1, 2, 3, 4, 100])
    assert scores[2] == 0
    assert scores[4] == pytest.approx((100 - 3) / 1.4826)
    assert robust_z([1, 2, 3]).tolist() == [0, 0, 0]
    assert robust_z([5.0] * 9).tolist() == [0] * 9


def test_one_that_differs_from_many_equal_ones_is_far_but_bounded() -> None:
    scores = robust_z([1.0] * 999 + [2.0])
    assert scores[:-1].max() == 0
    assert scores[-1] == FARTHEST


def test_a_case_is_odd_in_what_it_is_odd_in_alone() -> None:
    cases = [portrait(number, ml=1 + 0.01 * number, median=100 + number) for number in range(20)]
    cases += [portrait(20, ml=400.0, median=110), portrait(21, ml=1.1, median=9000), portrait(22, 1.1, 110, spacing=4)]
    found = find_oddities(cases)
    assert [odd.words for odd in found["case-20"]] == ["volume of lesion 400 mL"]
    assert [odd.words for odd in found["case-21"]] == ["median of FLAIR 9000", "range of FLAIR 16875"]
    assert [odd.words for odd in found["case-22"]] == ["spacing X 4 mm"]
    assert found["case-22"][0].size.startswith("z +")
    assert max(odd.size for odd in found["case-21"]) == "z beyond 99"
    assert not any(found[f"case-{number}"] for number in range(20))


def test_intensities_are_compared_within_a_site() -> None:
    dark = [portrait(number, median=100 + number, site="dark") for number in range(10)]
    bright = [portrait(10 + number, median=5000 + number, site="bright") for number in range(10)]
    assert not any(find_oddities([*dark, *bright]).values())
