"""Tests of `neuraxis.evaluation.comparison.side_by_side`."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from neuraxis.evaluation.comparison.side_by_side import ALL, Entry, SideBySide, compare_scores, rank_stability
from neuraxis.evaluation.scores import Score, Scores

Values = Mapping[str, Sequence[float]]


def scored(dice: Values, error: Sequence[float] = ()) -> Scores:
    """Cases of one patient each; `dice` is structure to value of each case."""
    cases = range(len(next(iter(dice.values()))))
    return Scores.of(
        Score(f"case-{n}", f"p{n}", "", name, {"dice": values[n]} | ({"volume_error_ml": error[n]} if error else {}))
        for n in cases
        for name, values in dice.items()
    )


def entry(name: str, *dice: float, oracle: bool = False) -> Entry:
    return Entry(name, scored({"lesion": dice}), oracle)


@pytest.fixture
def found() -> SideBySide:
    good, poor = (0.9, 0.8, 0.85, 0.7, 0.95, 0.9), (0.7, 0.75, 0.8, 0.65, 0.6, 0.7)
    return compare_scores([entry("good", *good), entry("poor", *poor), entry("boxed", *[1.0] * 6, oracle=True)])


def test_every_pair_is_tested_once_and_corrected_together(found: SideBySide) -> None:
    assert [(one.first, one.second, one.winner) for one in found.contrasts] == [
        ("good", "poor", "good"),
        ("good", "boxed (oracle)", "boxed (oracle)"),
        ("poor", "boxed (oracle)", "boxed (oracle)"),
    ]
    assert [one.difference.p for one in found.contrasts] == [0.03125] * 3
    assert [one.p_holm for one in found.contrasts] == [0.09375] * 3


def test_an_oracle_bears_the_word_and_is_not_ranked(found: SideBySide) -> None:
    assert [(one.entry, one.mean_rank, one.first_share) for one in found.standings] == [("good", 1, 1), ("poor", 2, 0)]
    assert found.notes[0].startswith("boxed (oracle): its predictions used the reference")


def test_the_reference_itself_is_noticed_unless_it_is_declared() -> None:
    said = "every segmentation equals its reference"
    found = compare_scores([entry("a", 1.0, math.nan, 1.0), entry("b", 1.0, 0.9, 1.0)])
    assert [note.split(":")[0] for note in found.notes if said in note] == ["a"]
    declared = compare_scores([entry("a", 1.0, 1.0, oracle=True), entry("b", 0.9, 0.9)])
    assert not [note for note in declared.notes if said in note]


def test_errors_are_compared_by_their_size() -> None:
    dice = {"lesion": [0.5] * 5}
    over, under = Entry("over", scored(dice, [1.0] * 5)), Entry("under", scored(dice, [-2.0] * 5))
    contrast = compare_scores([over, under]).contrasts[1]
    assert (contrast.metric, contrast.difference.mean, contrast.winner) == ("volume_error_ml", -1.0, "over")


def test_of_several_structures_the_mean_is_compared_first() -> None:
    first = Entry("a", scored({"cord": [0.9] * 5, "lesion": [0.5] * 5}))
    second = Entry("b", scored({"cord": [0.8] * 5, "lesion": [0.6] * 5}))
    found = compare_scores([first, second])
    assert [one.structure for one in found.contrasts] == [ALL, "cord", "lesion"]
    assert [round(one.difference.mean, 12) for one in found.contrasts] == [0.0, 0.1, -0.1]
    assert found.contrasts[0].winner == ""
    assert [one.mean_rank for one in found.standings] == [1.5, 1.5]
    assert [one.first_share for one in found.standings] == [0.5, 0.5]


def test_below_five_patients_nothing_is_tested_but_everything_is_written(tmp_path: Path) -> None:
    found = compare_scores([entry("a", 0.9, math.nan), entry("b", 0.5, 0.4)])
    assert "No test below 5 patients. Every value stands in the table of cases." in found.notes
    assert math.isnan(found.contrasts[0].p_holm)
    assert math.isnan(found.standings[0].first_share)
    found.write_cases(tmp_path / "cases.csv")
    found.write_tests(tmp_path / "tests.csv")
    rows = list(csv.DictReader((tmp_path / "cases.csv").open()))
    assert [(row["case"], row["metric"], row["a"], row["b"]) for row in rows] == [
        ("case-0", "dice", "0.9", "0.5"),
        ("case-1", "dice", "", "0.4"),
    ]
    tests = list(csv.DictReader((tmp_path / "tests.csv").open()))
    assert [(row["first"], row["mean"], row["p"], row["p_holm"], row["undefined"]) for row in tests] == [
        ("a", "0.4", "", "", "1")
    ]


def test_a_note_that_holds_for_one_entry_names_it() -> None:
    notes = compare_scores([entry("a", 0.9, math.nan), entry("b", 0.5, 0.4)]).notes
    assert any(note.startswith("a: dice: undefined where") and "(case-1)" in note for note in notes)
    assert sum(note.startswith("n = 2 cases") for note in notes) == 1


@pytest.mark.parametrize(
    "entries",
    [
        [entry("a", 0.5)],
        [entry("a", 0.5), entry("a", 0.6)],
        [entry("a", 0.5), entry("b", 0.6, 0.7)],
        [Entry("a", scored({"cord": [0.5]})), entry("b", 0.5)],
    ],
    ids=["one entry", "one name", "other cases", "other structures"],
)
def test_what_cannot_be_compared_is_refused(entries: list[Entry]) -> None:
    with pytest.raises(ValueError, match=r"comparison needs|same cases"):
        compare_scores(entries)


def test_a_ranking_that_every_resample_repeats_is_wholly_stable() -> None:
    found = rank_stability(np.array([[0.1] * 6, [0.2] * 6, [0.3] * 6]))
    assert [one[1:3] for one in found] == [(1, 1), (2, 2), (3, 3)]
    assert [one[0] for one in found] == [1, 0, 0]
    assert {one[3] for one in found} == {1.0}


def test_a_ranking_that_hangs_on_a_patient_is_not() -> None:
    found = rank_stability(np.array([[0.5, 0.1, 0.1, 0.1, 0.1, 0.1], [0.1, 0.18, 0.18, 0.18, 0.18, 0.1]]))
    assert found[0][1:3] == (1, 2)
    assert -1 < found[0][3] < 1
