from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.overlap import Counts
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.files import read_json, write_json

NAN = math.nan


def score(case: str, structure: str, numbers: tuple[int, ...], counts: Counts) -> Score:
    values = {"dice": counts.dice, "recall": counts.recall}
    return Score(case, "sub-1", "Graz", structure, values, counts, numbers, f"p/{case}.nii.gz", f"r/{case}.nii.gz")


SCORES = Scores.of(
    [
        score("a", "whole", (1, 2), Counts(6, 2, 4, 88)),
        score("a", "core", (2,), Counts(0, 0, 0, 100)),
        score("b", "whole", (1, 2), Counts(5, 0, 0, 95)),
        score("b", "core", (2,), Counts(1, 1, 1, 97)),
    ]
)


def test_the_csv_has_a_row_for_each_case_and_structure_and_empty_cells_where_undefined(tmp_path: Path) -> None:
    SCORES.write_csv(tmp_path / "scores.csv")
    lines = list(csv.reader((tmp_path / "scores.csv").open(encoding="utf-8")))
    assert lines[0][:6] == ["case", "subject", "site", "structure", "dice", "recall"]
    assert lines[1][:6] == ["a", "sub-1", "Graz", "whole", "0.6666666666666666", "0.6"]
    assert lines[2][:6] == ["a", "sub-1", "Graz", "core", "", ""]
    assert lines[2][6:] == ["0", "0", "0", "100", "2", "p/a.nii.gz", "r/a.nii.gz"]
    assert len(lines) == 5


def test_the_csv_is_read_back_exactly(tmp_path: Path) -> None:
    SCORES.write_csv(tmp_path / "scores.csv")
    read = Scores.read_csv(tmp_path / "scores.csv")
    np.testing.assert_equal([asdict(row) for row in read.rows], [asdict(row) for row in SCORES.rows])
    assert (read.metrics, read.notes, read.selected_on_these_cases) == (SCORES.metrics, SCORES.notes, False)


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(case=words, structure=words, value=st.floats(allow_nan=True))
def test_any_name_and_any_number_survive_the_csv(
    tmp_path_factory: pytest.TempPathFactory, case: str, structure: str, value: float
) -> None:
    path = tmp_path_factory.mktemp("csv") / "scores.csv"
    scores = Scores.of([Score(case, "", "", structure, {"dice": value})])
    scores.write_csv(path)
    np.testing.assert_equal([asdict(row) for row in Scores.read_csv(path).rows], [asdict(row) for row in scores.rows])


def test_that_cases_chose_the_model_is_kept_in_the_csv(tmp_path: Path) -> None:
    Scores.of(SCORES.rows, selected_on_these_cases=True).write_csv(tmp_path / "scores.csv")
    read = Scores.read_csv(tmp_path / "scores.csv")
    assert read.selected_on_these_cases
    assert read.notes[0].startswith("Selected on these cases")
    assert read.metrics == SCORES.metrics


def test_an_existing_csv_is_refused_where_overwriting_is_not_allowed(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        SCORES.write_csv(tmp_path / "scores.csv", overwrite=False)
    assert (tmp_path / "scores.csv").read_text() == "precious"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("case,subject,site,dice\na,,,1\n", "no column 'structure'"),
        ("case,subject,site,structure,dice\na,,,lesion,high\n", "line 2"),
        ("case,subject,site,structure,dice\na,,,lesion,1\nb,,\n", "line 3"),
        ("case,subject,site,structure,dice\na,,,lesion,1,2\n", "another number of cells"),
        ("", "no column 'case'"),
    ],
)
def test_what_is_no_table_of_scores_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        Scores.read_csv(tmp_path / "scores.csv")
    assert "scores.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_table_and_a_picture_are_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    for name in ("missing.csv", "picture.png"):
        with pytest.raises(DataError, match=name):
            Scores.read_csv(tmp_path / name)


def test_the_summary_has_nnunets_keys_and_values() -> None:
    summary = SCORES.nnunet_summary()
    assert list(summary) == ["foreground_mean", "mean", "metric_per_case"]
    assert summary["metric_per_case"][0] == {
        "metrics": {
            "(1, 2)": {"Dice": 12 / 18, "FN": 4, "FP": 2, "IoU": 0.5, "TN": 88, "TP": 6, "n_pred": 8, "n_ref": 10},
            "2": {"Dice": pytest.approx(NAN, nan_ok=True), "FN": 0, "FP": 0, "IoU": pytest.approx(NAN, nan_ok=True),
                  "TN": 100, "TP": 0, "n_pred": 0, "n_ref": 0},
        },
        "prediction_file": "p/a.nii.gz",
        "reference_file": "r/a.nii.gz",
    }  # fmt: skip
    assert summary["mean"]["(1, 2)"]["Dice"] == pytest.approx((12 / 18 + 1) / 2)
    assert summary["mean"]["2"]["Dice"] == 0.5
    assert summary["mean"]["2"]["TN"] == 98.5
    assert summary["foreground_mean"]["Dice"] == pytest.approx(((12 / 18 + 1) / 2 + 0.5) / 2)
    assert summary["foreground_mean"]["Dice"] == pytest.approx(SCORES.mean("dice"))


def test_the_summary_is_strict_json_with_null_where_undefined(tmp_path: Path) -> None:
    write_json(tmp_path / "summary.json", SCORES.nnunet_summary())
    assert "NaN" not in (tmp_path / "summary.json").read_text()
    read = read_json(tmp_path / "summary.json")
    assert read["metric_per_case"][0]["metrics"]["2"]["Dice"] is None
    assert read["metric_per_case"][1]["metrics"]["2"]["Dice"] == 0.5
    assert json.dumps(read)


def test_rows_without_counts_have_no_such_summary() -> None:
    with pytest.raises(ValueError, match="counts"):
        Scores.of([Score("a", "", "", "lesion", {"dice": 1.0})]).nnunet_summary()
