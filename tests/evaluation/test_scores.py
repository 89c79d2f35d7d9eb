from __future__ import annotations

import math
from dataclasses import replace

import pytest

from neuraxis.evaluation.scores import Score, Scores

NAN = math.nan


def row(case: str, structure: str, dice: float, subject: str = "", **more: float) -> Score:
    return Score(case, subject, "Leipzig", structure, {"dice": dice, **more})


TWO_STRUCTURES = Scores.of(
    [
        row("a", "anterior", 0.5),
        row("a", "posterior", 1.0),
        row("b", "anterior", NAN),
        row("b", "posterior", 0.5),
        row("c", "anterior", 0.7),
        row("c", "posterior", 0.0),
    ]
)


def test_structures_and_cases_keep_the_order_of_the_rows() -> None:
    assert TWO_STRUCTURES.structures() == ("anterior", "posterior")
    assert TWO_STRUCTURES.cases() == ("a", "b", "c")
    assert TWO_STRUCTURES.metrics == ("dice",)


def test_values_are_by_case_and_keep_the_undefined() -> None:
    values = TWO_STRUCTURES.values("dice", "anterior")
    assert list(values) == ["a", "b", "c"]
    assert values["c"] == 0.7
    assert math.isnan(values["b"])


def test_the_mean_leaves_out_the_undefined_and_the_foreground_mean_is_over_structures() -> None:
    assert TWO_STRUCTURES.mean("dice", "anterior") == pytest.approx(0.6)
    assert TWO_STRUCTURES.mean("dice", "posterior") == 0.5
    assert TWO_STRUCTURES.mean("dice") == pytest.approx(0.55)


def test_the_foreground_summary_has_that_mean_and_the_cases_own_means_behind_it() -> None:
    found = TWO_STRUCTURES.foreground("dice")
    assert found.mean == pytest.approx(0.55)
    assert found.n == 3
    assert found.median == pytest.approx(0.5)  # 0.75, 0.5, 0.35


def test_the_summary_has_every_structure_and_metric() -> None:
    scores = Scores.of([row(f"c{n}", "lesion", n / 10, hd95_mm=2.0) for n in range(6)])
    summary = scores.summary()
    assert list(summary) == ["lesion"]
    assert list(summary["lesion"]) == ["dice", "hd95_mm"]
    assert summary["lesion"]["dice"].mean == pytest.approx(0.25)
    assert summary["lesion"]["dice"].ci_low < 0.25 < summary["lesion"]["dice"].ci_high


def test_time_points_of_one_patient_are_resampled_together() -> None:
    rows = [row(f"p{n}_t{t}", "lesion", n / 10, subject=f"p{n}") for n in range(4) for t in range(3)]
    assert Scores.of(rows).summary()["lesion"]["dice"].patients == 4
    assert math.isnan(Scores.of(rows).summary()["lesion"]["dice"].ci_low)
    alone = Scores.of([replace(one, subject="") for one in rows])
    assert alone.summary()["lesion"]["dice"].patients == 12


def test_a_column_that_is_not_there_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="hd95_mm"):
        TWO_STRUCTURES.values("hd95_mm", "anterior")
    with pytest.raises(KeyError, match="middle"):
        TWO_STRUCTURES.values("dice", "middle")


def test_no_rows_give_undefined_means_and_no_error() -> None:
    empty = Scores.of([])
    assert empty.structures() == ()
    assert math.isnan(empty.mean("dice"))
    assert empty.summary() == {}


def test_selection_on_these_cases_is_said_first() -> None:
    scores = Scores.of(TWO_STRUCTURES.rows, selected_on_these_cases=True)
    assert scores.selected_on_these_cases
    assert scores.notes[0].startswith("Selected on these cases")
    assert not any("Selected" in note for note in TWO_STRUCTURES.notes)


def test_further_notes_come_last() -> None:
    assert Scores.of(TWO_STRUCTURES.rows, further_notes=("Scanner changed.",)).notes[-1] == "Scanner changed."
