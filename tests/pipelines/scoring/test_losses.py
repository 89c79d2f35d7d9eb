"""Whose loss is scored, and the loss of cases that were just predicted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.cli import main
from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.coding import Coding
from neuraxis.dataset.prediction import Prediction
from neuraxis.errors import RecipeError, UsageError
from neuraxis.pipelines.scoring import losses
from neuraxis.pipelines.scoring.losses import has_room, losses_told, recipe_at, with_loss
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

GRID = Grid((4, 3, 2), np.eye(4))


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A scan whose left half is bright, with its label map."""
    label = np.zeros((1, 4, 3, 2), np.uint8)
    label[0, :2] = 1
    for name in ("labels", "scans"):
        (tmp_path / name).mkdir()
    nifti.write(tmp_path / "labels" / "a.nii.gz", Volume(label, GRID))
    nifti.write(tmp_path / "scans" / "a.nii.gz", Volume(label.astype(np.float32), GRID))
    return Case("a", {"MRI": ImageFile(tmp_path / "scans" / "a.nii.gz")}, label=tmp_path / "labels" / "a.nii.gz")


def predicted(case: Case, model: ModelBundle, sure: float) -> Prediction:
    """What is found everywhere where it is, with one probability."""
    label = case.read_label()
    there = np.where(label.array[0] > 0, sure, 1 - sure).astype(np.float16)
    probability = Volume(np.stack([1 - there, there]), GRID)
    return Prediction(label, model.labels, probability, {"model": "m"})


def test_the_sidecar_tells_the_loss_and_probabilities_are_not_kept(case: Case, model: ModelBundle, tmp_path) -> None:
    found = with_loss(predicted(case, model, 0.75), case, model.recipe)
    found.save(tmp_path / "out" / "a.nii.gz")

    told = losses_told(tmp_path / "out", ["a", "b"])

    dice = 2 * 12 * 0.75 / (12 * 0.75 + 12 * 0.25 + 12)
    assert told == {"a": pytest.approx(-np.log(0.75) + 1 - dice, abs=1e-4)}
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a.json", "a.nii.gz"]
    assert with_loss(predicted(case, model, 0.99), case, model.recipe).provenance["loss"] < told["a"]


def test_the_loss_of_soft_labels_is_that_to_their_shares(case: Case, model: ModelBundle, tmp_path: Path) -> None:
    share = 0.75 * case.read_label().array.astype(np.float32)
    nifti.write(tmp_path / "labels" / "soft.nii.gz", Volume(share, GRID))
    soft = replace(case, label=tmp_path / "labels" / "soft.nii.gz", coding=Coding(soft=1))
    entropy = model.recipe.model_copy(update={"loss": model.recipe.loss.model_copy(update={"dice_weight": 0.0})})

    found = predicted(case, model, 0.75)
    found = replace(found, labels=found.labels.model_copy(update={"soft": True}))
    told = with_loss(found, soft, entropy).provenance["loss"]

    certain = -np.log(0.75)
    uncertain = -0.75 * np.log(0.75) - 0.25 * np.log(0.25)
    assert told == pytest.approx((certain + uncertain) / 2, abs=1e-3)


def test_another_grid_is_left_to_the_evaluation_to_refuse(case: Case, model: ModelBundle) -> None:
    shifted = Grid((4, 3, 2), np.diag([2.0, 1, 1, 1]))
    found = predicted(case, model, 0.75)
    found = replace(found, segmentation=Volume(found.segmentation.array, shifted))

    assert "loss" not in with_loss(found, case, model.recipe).provenance


def test_where_memory_has_no_room_the_log_says_so(case: Case, monkeypatch, caplog) -> None:
    assert has_room([case], 2)
    monkeypatch.setattr(losses, "available_memory_gb", lambda: 1e-6)
    assert not has_room([case], 2)
    assert "is left out of the scores" in caplog.text


def test_a_recipe_is_that_of_a_run_or_of_its_file(model: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(model.recipe.to_toml())

    assert recipe_at(tmp_path).loss == recipe_at(tmp_path / "recipe.toml").loss == model.recipe.loss
    with pytest.raises(UsageError, match=r"holds neither recipe.toml nor model.nxb"):
        recipe_at(tmp_path / "..")
    (tmp_path / "open.toml").write_text('[loss]\nname = "tversky"\n')
    with pytest.raises(RecipeError, match="Field required"):
        recipe_at(tmp_path / "open.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        recipe_at(tmp_path / "none.toml")


def test_evaluate_scores_the_loss_of_kept_probabilities(case: Case, model: ModelBundle, tmp_path, capsys) -> None:
    (tmp_path / "recipe.toml").write_text(model.recipe.to_toml())
    predicted(case, model, 0.75).save(tmp_path / "out" / "a.nii.gz")
    (tmp_path / "labels" / "dataset.json").write_text('{"labels": {"background": 0, "bright": 1}}')

    words = ["evaluate", str(tmp_path / "out"), str(tmp_path / "labels"), "--loss", str(tmp_path), "--json"]
    assert main.run(words) == 0

    content = json.loads(capsys.readouterr().out)
    kept = with_loss(predicted(case, model, 0.75), case, model.recipe).provenance["loss"]
    assert content["summary"]["bright"]["loss"]["mean"] == pytest.approx(kept, abs=1e-3)
