"""Runs on more and more cases, joined to a curve."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.comparison.learning_curve import TrainedRun, learning_curve_of
from neuraxis.evaluation.rules import ScoringRules
from neuraxis.evaluation.scores import Score, Scores


def trained(name: str, cases: int, *dice: float, first: int = 0, **about: object) -> TrainedRun:
    """A run that held out one case a value, each of its own patient."""
    rows = [Score(f"c{first + place}", f"p{first + place}", "", "lesion", {"dice": value, "hd95_mm": 10 - value})
            for place, value in enumerate(dice)]  # fmt: skip
    return TrainedRun(name, cases, cases, int(about.get("fold", 0)), int(about.get("seed", 0)), Scores.of(rows))


FEW = trained("few", 4, 0.4, 0.5, 0.3, 0.4, 0.4)
MANY = trained("many", 8, 0.6, 0.8, 0.6, 0.5, 0.5)


def test_points_rise_with_the_number_of_cases_and_have_mean_and_interval() -> None:
    found = learning_curve_of([MANY, FEW])

    few, many = (point.summary("dice", "lesion") for point in found.points)
    assert [point.label for point in found.points] == ["4", "8"]
    assert (few.mean, many.mean) == (pytest.approx(0.4), pytest.approx(0.6))
    assert few.ci_low < few.mean < few.ci_high


def test_seeds_count_a_case_once_by_its_mean() -> None:
    other = trained("few, seed 1", 4, 0.6, 0.5, 0.5, 0.4, 0.6, seed=1)
    point = learning_curve_of([FEW, other, MANY]).points[0]

    assert point.summary("dice", "lesion").n == 5
    assert point.scores.values("dice", "lesion")["c0"] == pytest.approx(0.5)
    assert point.of_runs("dice", "lesion") == (pytest.approx(0.4), pytest.approx(0.52))


def test_folds_whose_sizes_differ_by_a_tenth_are_one_point() -> None:
    folds = [trained("a", 19, 0.4, 0.5, 0.6), trained("b", 20, 0.7, 0.8, first=3, fold=1)]
    rest = [trained("c", 38, 0.5, 0.6, 0.7), trained("d", 40, 0.8, 0.9, first=3, fold=1)]
    found = learning_curve_of([*folds, *rest])

    assert [(point.label, point.cases, len(point.runs)) for point in found.points] == [
        ("19 to 20", 19.5, 2),
        ("38 to 40", 39.0, 2),
    ]
    assert found.points[0].scores.cases() == ("c0", "c1", "c2", "c3", "c4")
    assert any("of folds these are other patients" in note for note in found.notes)


def test_a_gain_is_tested_from_point_to_point_and_corrected_over_the_steps() -> None:
    found = learning_curve_of([FEW, MANY, trained("most", 16, 0.7, 0.9, 0.7, 0.6, 0.6)])

    first, second = found.gains("dice")
    assert (first.second, first.first) == ("4 cases", "8 cases")
    assert first.difference.mean == pytest.approx(0.2)
    assert (first.difference.p, first.p_holm) == (0.0625, 0.125)
    assert second.p_holm == 0.125
    assert first.winner == "8 cases"
    assert found.gains("hd95_mm")[0].winner == "8 cases"


def test_below_five_patients_no_interval_and_no_test_is_given() -> None:
    found = learning_curve_of([trained("a", 4, 0.4, 0.5), trained("b", 8, 0.5, 0.6)])

    assert math.isnan(found.points[0].summary("dice", "lesion").ci_low)
    assert math.isnan(found.gains("dice")[0].difference.p)
    assert any(note.startswith("No test and no interval below 5 patients") for note in found.notes)


def test_one_number_of_cases_is_no_curve() -> None:
    with pytest.raises(UsageError, match=r"two numbers of training cases, found 1 \(4 cases\).*splits.share"):
        learning_curve_of([FEW, trained("again", 4, 0.1, 0.2, 0.3, 0.4, 0.5)])


def test_other_held_out_cases_are_named_and_left_out_only_when_asked() -> None:
    short = trained("short", 8, 0.6, 0.7, 0.8)
    with pytest.raises(DataError, match=r"8 training cases: 2 cases \(c3, c4\) not scored.*--common"):
        learning_curve_of([FEW, short])

    found = learning_curve_of([FEW, short], common=True)
    assert all(point.scores.cases() == ("c0", "c1", "c2") for point in found.points)
    assert "Left out by --common: 8 training cases: 2 cases (c3, c4) not scored." in found.notes
    with pytest.raises(DataError, match="c9"):
        learning_curve_of([FEW, trained("far", 8, 0.5, first=9)], common=True)


def test_other_structures_or_rules_are_refused() -> None:
    row = Score("c0", "p0", "", "cord", {"dice": 0.5})
    with pytest.raises(UsageError, match="cord: has scores of cord, few of lesion"):
        learning_curve_of([FEW, TrainedRun("cord", 8, 8, 0, 0, Scores.of([row]))])
    other = Scores.of(MANY.scores.rows, rules=ScoringRules(empty="perfect"))
    with pytest.raises(UsageError, match="other rules"):
        learning_curve_of([FEW, TrainedRun("ruled", 8, 8, 0, 0, other)])


def test_only_metrics_that_all_runs_have_are_shown() -> None:
    row = [Score(f"c{place}", f"p{place}", "", "lesion", {"dice": 0.5}) for place in range(5)]
    assert learning_curve_of([FEW, TrainedRun("old", 8, 8, 0, 0, Scores.of(row))]).metrics == ("dice",)


def test_the_tables_hold_every_point_and_every_run(tmp_path: Path) -> None:
    found = learning_curve_of([FEW, MANY])
    found.write_points(tmp_path / "curve.csv")
    found.write_cases(tmp_path / "cases.csv")

    with (tmp_path / "curve.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "dice"]
    assert [(row["training_cases"], row["runs"], float(row["mean"])) for row in rows] == [
        ("4.0", "1", pytest.approx(0.4)),
        ("8.0", "1", pytest.approx(0.6)),
    ]
    with (tmp_path / "cases.csv").open(newline="") as stream:
        first = next(csv.DictReader(stream))
    assert (first["case"], first["few (4)"], first["many (8)"]) == ("c0", "0.4", "0.6")
