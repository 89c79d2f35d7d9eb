"""What `compare` says of cohorts that are odd, each in one line or in its notes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli import main
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SHAPE = (8, 7, 6)


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array if array.ndim == 4 else array[None], Grid(SHAPE, np.eye(4))))


def cohort(root: Path, cases: int, empty: bool = False) -> list[str]:
    """References, and two entries of which the second is shifted; the words of a comparison."""
    for number in range(cases):
        label = np.zeros(SHAPE, np.uint8)
        if not empty:
            label[2:4, 2:5, 2 : 4 + number % 2] = 1
        for folder, shift in (("references", 0), ("a", 0), ("b", 1)):
            write(root / folder / f"c{number}.nii.gz", np.roll(label, shift, 0))
    (root / "references" / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lesion": 1}}))
    return ["compare", f"a={root / 'a'}", f"b={root / 'b'}", "--references", str(root / "references")]


def test_a_cohort_without_any_lesion_is_compared_and_that_is_said(tmp_path: Path, capsys) -> None:
    assert main.run([*cohort(tmp_path, 6, empty=True), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert any("nor does any prediction: there is nothing to find" in note for note in content["notes"])
    assert {one["difference"]["p"] for one in content["contrasts"] if one["metric"] == "dice"} == {None}
    assert len(content["cases"]) == 6


@pytest.mark.parametrize("cases", [1, 4])
def test_below_five_patients_no_interval_and_no_test_is_printed_anywhere(tmp_path: Path, capsys, cases: int) -> None:
    into = tmp_path / "out"
    assert main.run([*cohort(tmp_path, cases), "--into", str(into)]) == 0
    shown = capsys.readouterr().out
    assert "No test below 5 patients." in shown
    assert " to " not in "".join(line for line in shown.splitlines() if line.startswith(("a ", "b ")))
    with (into / "tests.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["p"], row["p_holm"], row["ci_low"], row["ci_high"]) for row in rows} == {("", "", "", "")}
    with (into / "cases.csv").open(newline="") as stream:
        assert {row["case"] for row in csv.DictReader(stream)} == {f"c{number}" for number in range(cases)}
    assert "no interval below 5 patients" in (into / "report.html").read_text()


def test_five_patients_have_both(tmp_path: Path, capsys) -> None:
    assert main.run([*cohort(tmp_path, 5), "--json"]) == 0
    dice = next(one for one in json.loads(capsys.readouterr().out)["contrasts"] if one["metric"] == "dice")
    assert dice["difference"]["p"] == 0.0625
    assert dice["difference"]["ci_low"] > 0


def test_probabilities_of_nan_are_refused_with_entry_and_case(tmp_path: Path, capsys) -> None:
    words = cohort(tmp_path, 2)
    said = np.full((2, *SHAPE), 0.5, np.float32)
    said[0, 0, 0, 0] = np.nan
    write(tmp_path / "b" / "c1_prob.nii.gz", said)
    assert main.run([*words, "--into", str(tmp_path / "out")]) == 3
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "b: c1: c1_prob.nii.gz holds NaN or infinity in 1 of" in line
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
