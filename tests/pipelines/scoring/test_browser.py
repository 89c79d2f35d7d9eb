from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.pipelines.scoring import browser
from neuraxis.pipelines.scoring.browser import browser_cases, cases_worst_first, note_of
from neuraxis.progress import Silent
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

LESION = Labels(names={"background": 0, "lesion": 1})


def scored(**dice: float) -> Scores:
    return Scores.of([Score(case, "", "", "lesion", {"dice": value}) for case, value in dice.items()])


def test_the_worst_come_first_and_the_undefined_last() -> None:
    assert cases_worst_first(scored(a=0.9, b=math.nan, c=0.1, d=0.5)) == ["c", "d", "a", "b"]
    farther = Scores.of([Score(case, "", "", "x", {"hd95_mm": mm}) for case, mm in (("a", 2.0), ("b", 9.0))])
    assert cases_worst_first(farther) == ["b", "a"]


def test_a_case_is_told_in_a_few_words() -> None:
    values = {"dice": 0.5, "hd95_mm": 3.0, "lesions_found": 2.0, "lesions_reference": 4.0, "lesions_false": 1.0}
    several = Scores.of([Score("a", "", "", "lesion", values)])
    assert note_of(several, "a") == "lesion: Dice 0.500, HD95 3.00 mm, 2 of 4 lesions, 1 false"
    assert note_of(scored(a=math.nan), "a") == "lesion: undefined"


@pytest.fixture
def three(tmp_path: Path) -> Scores:
    """Three cases, of which the second is predicted worst."""
    for number, shift in enumerate((0, 2, 1)):
        reference = np.zeros((1, 9, 8, 7), np.uint8)
        reference[0, 2:5, 2:5, 2:5] = 1
        for folder, array in (("predictions", np.roll(reference, shift, 1)), ("references", reference)):
            path = tmp_path / folder / f"case-{number}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            nifti.write(path, Volume(array, Grid((9, 8, 7), np.eye(4))))
    return evaluate(tmp_path / "predictions", tmp_path / "references", options=EvaluateOptions(labels=LESION))


def test_every_case_is_cut_and_those_without_room_are_counted(three: Scores, monkeypatch: pytest.MonkeyPatch) -> None:
    cases, left_out = browser_cases(three, None, Silent())
    assert ([case.id for case in cases], left_out) == (["case-1", "case-2", "case-0"], 0)
    monkeypatch.setattr(browser, "MOST_CASES", 2)
    cases, left_out = browser_cases(three, None, Silent())
    assert ([case.id for case in cases], left_out) == (["case-1", "case-2"], 1)
