"""What an evaluation answers to data that do not fit: a clear line each, and never a case dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli import main
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

Made = tuple[Path, Path]


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """Write predictions and references of cases: each case a pair of lists of numbers along x."""

    def make(**cases: tuple[list[int], list[int]]) -> Made:
        for id, sides in cases.items():
            for folder, numbers in zip(("predictions", "references"), sides, strict=True):
                write(tmp_path / folder / f"{id}.nii.gz", numbers)
        return tmp_path / "predictions", tmp_path / "references"

    return make


def write(path: Path, numbers: list[int], spacing: float = 1.0) -> None:
    path.parent.mkdir(exist_ok=True)
    array = np.zeros((1, len(numbers), 3, 3), np.int16)
    array[0, :, 1, 1] = numbers
    nifti.write(path, Volume(array, Grid(array.shape[1:], np.diag([spacing, 1, 1, 1]))))


def named(folder: Path) -> None:
    """Say in a dataset.json what the numbers mean."""
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lesion": 1}}))


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main.run(["evaluate", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


def one_line(text: str) -> str:
    """Return the one line that was said; a traceback has many."""
    lines = [line for line in text.splitlines() if line.startswith("neuraxis: ")]
    assert len(lines) == 1
    assert "Traceback" not in text
    return lines[0]


def test_grids_that_differ_are_refused_with_case_and_both_grids(made: Callable[..., Made], capsys) -> None:
    pair = made(a=([0, 1, 1], [0, 1, 1]), b=([0, 1, 1], [0, 1, 1]))
    write(pair[0] / "b.nii.gz", [0, 1, 1], spacing=2.0)
    code, _, said = run(capsys, *pair)
    assert code == 3
    assert "1 case whose prediction and reference do not share a grid: b: " in one_line(said)


def test_missing_and_extra_cases_are_refused_by_name(made: Callable[..., Made], capsys) -> None:
    pair = made(a=([0, 1], [0, 1]), b=([0, 1], [0, 1]), c=([0, 1], [0, 1]))
    (pair[0] / "b.nii.gz").unlink()
    (pair[1] / "c.nii.gz").unlink()
    code, _, said = run(capsys, *pair)
    assert code == 3
    assert "without a prediction in" in one_line(said)
    assert one_line(said).count(": b") == one_line(said).count(": c") == 1


def test_numbers_that_no_label_has_are_refused_with_the_case(made: Callable[..., Made], capsys) -> None:
    pair = made(a=([0, 1, 2], [0, 1, 1]))
    named(pair[1])
    code, _, said = run(capsys, *pair)
    assert code == 3
    assert "a: the prediction holds the numbers [2], which no label has." in one_line(said)


def test_a_cohort_without_any_lesion_is_scored_and_that_is_said(
    made: Callable[..., Made], tmp_path: Path, capsys
) -> None:
    pair = made(**{f"case-{number}": ([0, 0, 0], [0, 0, 0]) for number in range(6)})
    named(pair[1])
    code, shown, _ = run(capsys, *pair, "--into", tmp_path / "scores")
    assert code == 0
    assert "No reference holds any structure, nor does any prediction: there is nothing to find" in shown
    assert "6 cases with empty reference and empty prediction are left out of lesion" in shown
    assert (tmp_path / "scores" / "report.html").is_file()
    code, shown, _ = run(capsys, *pair, "--empty", "perfect")
    assert code == 0
    assert "mean foreground Dice 1.000" in shown
    assert "Empty masks are counted as 'perfect'" in shown


def test_a_cohort_without_any_number_at_all_is_refused_where_no_label_is_known(
    made: Callable[..., Made], capsys
) -> None:
    code, _, said = run(capsys, *made(a=([0, 0], [0, 0])))
    assert code == 3
    assert "hold nothing but background" in one_line(said)


def test_a_single_case_has_its_values_and_no_interval(made: Callable[..., Made], tmp_path: Path, capsys) -> None:
    pair = made(a=([0, 1, 1, 0], [0, 1, 0, 0]))
    code, shown, _ = run(capsys, *pair, "--into", tmp_path / "scores")
    assert code == 0
    assert "n = 1 case of 1 patient. No interval below 5 patients." in shown
    dice = next(line for line in shown.splitlines() if " dice " in line)
    assert dice.split()[2:] == ["1", "0.667", "-", "0.667", "-"]
    assert "no interval below 5 patients" in (tmp_path / "scores" / "report.html").read_text()


def test_four_patients_have_no_interval_and_five_have_one(made: Callable[..., Made], capsys) -> None:
    numbers = ([0, 1, 1, 0], [0, 1, 0, 0])
    pair = made(**{f"case-{number}": numbers for number in range(4)})
    assert json_summary(capsys, pair)["ci_low"] is None
    pair = made(**{f"case-{number}": numbers for number in range(5)})
    assert json_summary(capsys, pair)["ci_low"] == pytest.approx(2 / 3)


def json_summary(capsys: pytest.CaptureFixture[str], pair: Made) -> dict[str, float | None]:
    code, shown, _ = run(capsys, *pair, "--json")
    assert code == 0
    found: dict[str, float | None] = json.loads(shown)["summary"]["1"]["dice"]
    return found


def test_probabilities_of_nan_are_refused_with_the_case(made: Callable[..., Made], capsys) -> None:
    pair = made(a=([0, 1, 1], [0, 1, 1]))
    said = np.full((2, 3, 3, 3), np.nan, np.float32)
    nifti.write(pair[0] / "a_prob.nii.gz", Volume(said, Grid((3, 3, 3), np.eye(4))))
    code, _, complaint = run(capsys, *pair)
    assert code == 3
    assert "a: a_prob.nii.gz holds NaN or infinity in 54 of 54 values." in one_line(complaint)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--regions", "brast"], "Did you mean 'brats'"),
        (["--lesion-sizes-mm3", "10", "5"], "Sizes of lesions rise"),
        (["--lesion-iou", "0"], "`min_iou` is above 0"),
        (["--raters", "nowhere", "elsewhere"], "nowhere is no folder"),
    ],
)
def test_options_that_cannot_be_are_answered_in_a_line(
    made: Callable[..., Made], capsys, words: list[str], message: str
) -> None:
    code, _, said = run(capsys, *made(a=([0, 1], [0, 1])), *words)
    assert code == 2
    assert message in one_line(said)
