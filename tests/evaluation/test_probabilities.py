from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

LESION = Labels(names={"background": 0, "lesion": 1})


@pytest.fixture
def with_probabilities(folders: Callable, line: Callable) -> Callable[..., tuple[Path, Path]]:
    """A case of six voxels in a row, the second and third of them lesion, with the probability of each."""

    def make(root: Path, *said: float, **change: object) -> tuple[Path, Path]:
        pair = folders(root, a=(line(*(value > 0.5 for value in said)), line(0, 1, 1, 0, 0, 0)))
        lesion = np.array(said, np.float32)[:, None, None]
        array = change.get("array", np.stack([1 - lesion, lesion]))
        nifti.write(pair[0] / "a_prob.nii.gz", Volume(array, Grid(array.shape[1:], change.get("affine", np.eye(4)))))
        return pair

    return make


def test_probabilities_beside_a_segmentation_are_scored_too(tmp_path: Path, with_probabilities: Callable) -> None:
    pair = with_probabilities(tmp_path, 0.0, 1.0, 0.75, 0.25, 0.0, 0.0)
    (row,) = evaluate(*pair, options=EvaluateOptions(labels=LESION)).rows
    assert row.values["brier"] == pytest.approx((0.25**2 + 0.25**2) / 6)
    assert row.values["ece"] == pytest.approx((0.25 + 0.25) / 6)
    assert row.reliability is not None
    assert sum(row.reliability.voxels) == 6
    assert "ece" not in evaluate(*pair, options=EvaluateOptions(labels=LESION, metrics=("dice",))).metrics


def test_voxels_to_ignore_do_not_count_for_calibration(
    tmp_path: Path, line: Callable, write: Callable, with_probabilities: Callable
) -> None:
    pair = with_probabilities(tmp_path, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0)
    write(pair[1] / "a.nii.gz", line(0, 1, 1, 9, 0, 0))
    options = EvaluateOptions(labels=Labels(names={"background": 0, "lesion": 1}, ignore=9))
    assert evaluate(*pair, options=options).rows[0].values["brier"] == 0


def test_a_case_without_probabilities_among_others_is_said(
    tmp_path: Path, line: Callable, folders: Callable, with_probabilities: Callable
) -> None:
    with_probabilities(tmp_path, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0)
    pair = folders(tmp_path, b=(line(0, 1), line(0, 1)))
    scores = evaluate(*pair, options=EvaluateOptions(labels=LESION))
    assert math.isnan(scores.values("brier", "lesion")["b"])
    assert any("without probabilities" in note and "(b)" in note for note in scores.notes)


def test_calibration_without_any_probabilities_is_refused(tmp_path: Path, line: Callable, folders: Callable) -> None:
    pair = folders(tmp_path, b=(line(0, 1), line(0, 1)))
    with pytest.raises(DataError, match="'ece' needs probabilities, and no case has any"):
        evaluate(*pair, options=EvaluateOptions(metrics=("ece",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"array": np.full((2, 6, 1, 1), np.nan, np.float32)}, "a: a_prob.nii.gz holds NaN or infinity in 12 of 12"),
        ({"array": np.full((2, 6, 1, 1), 7.5, np.float32)}, "holds values from 7.5 to 7.5.*are these logits"),
        ({"array": np.full((3, 6, 1, 1), 0.5, np.float32)}, "holds 3 volumes. Needed is one for each label"),
        ({"affine": np.diag([2.0, 1, 1, 1])}, "a: the probabilities a_prob.nii.gz and the reference do not share"),
    ],
)
def test_probabilities_that_are_none_are_refused_with_case_and_file(
    tmp_path: Path, with_probabilities: Callable, change: dict[str, object], message: str
) -> None:
    pair = with_probabilities(tmp_path, *[0.0] * 6, **change)
    with pytest.raises(DataError, match=message):
        evaluate(*pair, options=EvaluateOptions(labels=LESION))
