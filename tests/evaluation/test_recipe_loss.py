"""The recipe's loss among the scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import resolve
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

PARTS = Labels(names={"background": 0, "front": 1, "back": 2})
REFERENCE = np.array([0, 1, 2, 0], np.uint8).reshape(1, 4, 1, 1)
SAID = np.array([[0.8, 0.1, 0.25, 1.0], [0.1, 0.9, 0.25, 0.0], [0.1, 0.0, 0.5, 0.0]], np.float32)


def recipe(**loss: object) -> Recipe:
    """The plainest one, with a loss."""
    options = {"features": [2, 2], "kernels": [[1, 1, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}
    return resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"MRI": "none"}},
            "patches": {"shape": [8, 8, 8]},
            "network": {"options": options},
            "loss": loss,
        }
    )


def folders(root: Path, **said: np.ndarray) -> tuple[Path, Path]:
    """Two cases of four voxels in a row; those that are named have probabilities."""
    grid = Grid((4, 1, 1), np.eye(4))
    for id in ("a", "b"):
        for folder in ("predictions", "references"):
            (root / folder).mkdir(exist_ok=True)
            nifti.write(root / folder / f"{id}.nii.gz", Volume(REFERENCE, grid))
    for id, array in said.items():
        nifti.write(root / "predictions" / f"{id}_prob.nii.gz", Volume(array.reshape(-1, 4, 1, 1), grid))
    return root / "predictions", root / "references"


def scored(pair: tuple[Path, Path], **options: object) -> dict[tuple[str, str], float]:
    scores = evaluate(*pair, options=EvaluateOptions(labels=PARTS, **options))
    return {(row.case, row.structure): row.values["loss"] for row in scores.rows}


def test_it_is_one_number_a_case_written_out(tmp_path: Path) -> None:
    pair = folders(tmp_path, a=SAID, b=SAID)
    entropy = -(math.log(0.8) + math.log(0.9) + math.log(0.5) + math.log(1)) / 4
    front, back = 2 * 0.9 / (1.25 + 1), 2 * 0.5 / (0.6 + 1)

    found = scored(pair, loss=recipe(entropy_weight=0.5))

    assert found["a", "front"] == pytest.approx(0.5 * entropy + 1 - (front + back) / 2, abs=1e-4)
    assert len(set(found.values())) == 1


def test_regions_that_are_scored_change_nothing_about_the_training(tmp_path: Path) -> None:
    pair = folders(tmp_path, a=SAID, b=SAID)
    plain = scored(pair, loss=recipe())
    joined = scored(pair, loss=recipe(), regions={"whole": (1, 2)})

    assert joined["a", "whole"] == plain["a", "front"]


def test_a_case_without_probabilities_is_undefined_and_said_to_be(tmp_path: Path) -> None:
    scores = evaluate(*folders(tmp_path, a=SAID), options=EvaluateOptions(labels=PARTS, loss=recipe()))

    assert [math.isnan(row.values["loss"]) for row in scores.rows] == [False, False, True, True]
    assert any(note.startswith("loss: 1 case where it is undefined is left out of front (b)") for note in scores.notes)
    assert any("on the scan's own grid" in note for note in scores.notes)


def test_what_is_known_already_needs_no_probabilities(tmp_path: Path) -> None:
    found = scored(folders(tmp_path), losses={"a": 0.25, "b": 0.5})

    assert found == {("a", "front"): 0.25, ("a", "back"): 0.25, ("b", "front"): 0.5, ("b", "back"): 0.5}


def test_without_a_recipe_there_is_no_such_column(tmp_path: Path) -> None:
    assert "loss" not in evaluate(*folders(tmp_path, a=SAID, b=SAID), options=EvaluateOptions(labels=PARTS)).metrics


def test_it_joins_the_metrics_that_were_chosen(tmp_path: Path) -> None:
    wish = EvaluateOptions(labels=PARTS, metrics=("dice",), loss=recipe())
    assert evaluate(*folders(tmp_path, a=SAID, b=SAID), options=wish).metrics == ("dice", "loss")


def test_what_is_missing_is_said_in_a_line(tmp_path: Path) -> None:
    bare = folders(tmp_path)
    with pytest.raises(UsageError, match="--metrics loss: whose"):
        scored(bare, metrics=("loss",))
    with pytest.raises(DataError, match="'loss' needs probabilities, and no case has any"):
        scored(bare, loss=recipe())
    with pytest.raises(DataError, match=r"a: loss\.class_weights has 2 numbers for 3 outputs"):
        scored(folders(tmp_path, a=SAID), loss=recipe(class_weights=(1, 2)))
    foreground = folders(tmp_path, a=SAID[1:])
    with pytest.raises(DataError, match=r"a: .*one for each (output|label)"):
        scored(foreground, loss=recipe(), metrics=("dice",))
