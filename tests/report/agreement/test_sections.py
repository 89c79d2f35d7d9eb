from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from neuraxis.evaluation.calibration import reliability_of
from neuraxis.evaluation.raters import RaterStanding, WilliamsIndex
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.report.agreement.sections import (
    agreement_sections,
    calibration_section,
    raters_section,
    sites_section,
    sizes_section,
    volumes_section,
)

Reader = Callable[[str], Any]
NAN = math.nan


def texts(elements: Any) -> list[str]:
    return [one.text() for one in elements]


def scored(cases: int, **values: float) -> Scores:
    rows = [
        Score(f"case-{place}", f"p{place}", "north" if place % 2 else "south", "lesion",
              {name: value + place for name, value in values.items()})
        for place in range(cases)
    ]  # fmt: skip
    return Scores.of(rows)


def test_volumes_have_a_dot_for_each_case_and_three_lines(read_html: Reader) -> None:
    section = volumes_section(scored(6, volume_ml_predicted=1.5, volume_ml_reference=1.0))
    assert section is not None
    root = read_html(str(section.body))
    assert len(root.all("circle")) == 6
    assert len(root.all("path", class_="level")) == 3
    row = root.all("tr")[-1]
    assert texts(row.children) == [
        "lesion",
        "6",
        "0.500",
        "0.500 to 0.500",
        "0.500 to 0.500",
        *texts(row.children)[-2:],
    ]


def test_below_five_patients_the_bias_stands_alone(read_html: Reader) -> None:
    section = volumes_section(scored(4, volume_ml_predicted=1.5, volume_ml_reference=1.0))
    assert section is not None
    root = read_html(str(section.body))
    assert texts(root.all("tr")[-1].children) == ["lesion", "4", "0.500", "–", "–", "–", "–"]
    assert len(root.all("path", class_="level")) == 1


def test_sites_are_shown_where_there_are_several(read_html: Reader) -> None:
    section = sites_section(scored(4, dice=0.1))
    assert section is not None
    rows = read_html(str(section.body)).all("tr")
    assert [texts(row.children)[:4] for row in rows[-2:]] == [
        ["north", "2", "2", "2.100"],
        ["south", "2", "2", "1.100"],
    ]
    assert sites_section(Scores.of([Score("a", "", "one", "lesion", {"dice": 1.0})])) is None


def test_lesions_by_size_are_shown_where_there_are_several(read_html: Reader) -> None:
    names = ("lesions_reference", "lesions_found", "lesions_predicted", "lesions_false")
    counts = dict(zip(names, (4.0, 2.0, 3.0, 1.0), strict=True))
    values = counts | {f"{name}_below_10mm3": value for name, value in counts.items()}
    several = Scores.of([Score("a", "", "", "lesion", values)])
    section = sizes_section(several)
    assert section is not None
    row = read_html(str(section.body)).all("tr")[2]
    assert texts(row.children) == [
        "below 10 mm³",
        "4",
        "2",
        "3",
        "1",
        "0.500",
        "–",
        "0.667",
        "–",
        "0.571",
        "–",
        "0.333",
    ]
    assert sizes_section(Scores.of([Score("a", "", "", "cord", dict.fromkeys(values, 1.0))])) is None


def test_the_reliability_curve_has_a_dot_for_each_bin_in_use(read_html: Reader) -> None:
    bins = reliability_of(np.array([0.1, 0.1, 0.9]), np.array([False, False, True]))
    section = calibration_section(Scores.of([Score("a", "", "", "lesion", {"ece": 0.1}, reliability=bins)]))
    assert section is not None
    root = read_html(str(section.body))
    assert len(root.all("circle")) == 2
    assert "ECE 0.1000" in root.one("figcaption").text()
    assert calibration_section(scored(3, dice=0.1)) is None


def test_raters_and_the_model_stand_in_the_order_of_their_agreement(read_html: Reader) -> None:
    standings = [
        RaterStanding("lesion", "anna", 6, 0.8, 0.7, 0.9, 0.8, 0.8, 1),
        RaterStanding("lesion", "model", 6, 0.7, NAN, NAN, 0.7, NAN, 2),
    ]
    section = raters_section(standings, [WilliamsIndex("lesion", 6, 0.9, 0.8, 1.05)])
    rows = read_html(str(section.body)).all("tr")
    assert rows[1].text() == "lesion: Williams' index 0.900 (0.800 to 1.050)"
    assert texts(rows[3].children) == ["the model", "2", "0.700", "–", "0.700", "–"]


def test_scores_that_say_nothing_of_agreement_have_no_section() -> None:
    assert agreement_sections(Scores.of([Score("a", "", "", "lesion", {"dice": 1.0})])) == ()
