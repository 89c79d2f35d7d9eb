from __future__ import annotations

import math

import pytest

from neuraxis.evaluation.breakdown import by_site, lesions_by_size
from neuraxis.evaluation.scores import Score, Scores

NAMES = ("lesions_reference", "lesions_found", "lesions_predicted", "lesions_false")


def counted(*cases: tuple[int, int, int, int]) -> Scores:
    """Lesions below 10 mm³ of each case: of the reference, found, predicted, false; none is larger."""
    rows = []
    for place, counts in enumerate(cases):
        values: dict[str, float] = dict(zip(NAMES, counts, strict=True))
        values |= {f"{name}_below_10mm3": value for name, value in values.items()}
        values |= {f"{name}_from_10mm3": 0.0 for name in NAMES}
        rows.append(Score(f"case-{place}", f"p{place}", "", "lesion", values))
    return Scores.of(rows)


def test_lesions_of_all_cases_are_added_up_before_they_are_divided() -> None:
    below, above, every = lesions_by_size(counted((1, 1, 1, 0), (9, 3, 5, 2), (0, 0, 0, 0)))
    assert (below.size, above.size, every.size) == ("below 10 mm³", "10 mm³ and more", "all")
    assert (below.reference, below.found, below.predicted, below.false, below.patients) == (10, 4, 6, 2, 2)
    assert below.recall.value == 0.4
    assert below.precision.value == pytest.approx(4 / 6)
    assert below.f1.value == 8 / 16
    assert math.isnan(above.recall.value)
    assert every.recall == below.recall


def test_an_interval_is_given_from_five_patients_on() -> None:
    few = lesions_by_size(counted(*[(2, 1, 2, 1)] * 4))[0]
    assert math.isnan(few.recall.low)
    enough = lesions_by_size(counted((4, 0, 1, 1), *[(2, 2, 2, 0)] * 5))[0]
    assert 0 <= enough.recall.low < enough.recall.value < enough.recall.high == 1


def test_without_sizes_there_is_no_breakdown() -> None:
    assert lesions_by_size(Scores.of([Score("a", "", "", "lesion", dict.fromkeys(NAMES, 1.0))])) == ()


def test_sites_are_parted_and_cases_without_one_are_not_dropped() -> None:
    rows = [Score(str(place), "", site, "lesion", {"dice": 1.0}) for place, site in enumerate(["b", "a", "b", ""])]
    found = by_site(Scores.of(rows))
    assert {site: scores.cases() for site, scores in found.items()} == {"a": ("1",), "b": ("0", "2"), "unknown": ("3",)}
    assert by_site(Scores.of(rows[:1])) == {}
