"""A run that begins with the weights of another one."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, RecipeError, UsageError
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.training.transfer.planning import wishes_from

ONE_STEP = (
    "splits.folds=2",
    "previews.every=0",
    "training.steps=1",
    "training.learning_rate=1e-6",
    "training.ema_decay=0.0",
)


@pytest.fixture(scope="module")
def first(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return fit([toy_dataset], FitOptions(into=folder, settings=(*toy_settings, "training.steps=80"), device="cpu"))


def begun(first, dataset, into, *settings, **changes):
    options = FitOptions(into=into, settings=(*ONE_STEP, *settings), device="cpu", begin_with=first.bundle)
    return fit([dataset], replace(options, **changes))


def test_a_step_from_a_good_model_is_a_good_model(first, toy_dataset, tmp_path):
    second = begun(first, toy_dataset, tmp_path / "second")

    old, new = open_bundle(first.bundle), open_bundle(second.bundle)
    assert second.scores.mean("dice") == pytest.approx(first.scores.mean("dice"), abs=0.05)
    assert new.recipe.network == old.recipe.network
    assert new.recipe.patches.shape == old.recipe.patches.shape
    with (second.run / "transfer.csv").open(newline="") as stream:
        assert {row["how"] for row in csv.DictReader(stream)} == {"loaded"}
    told = (second.run / "log.txt").read_text()
    assert "(100.0% of the weights)" in told
    reasons = json.loads((second.run / "run.json").read_text())["reasons"]
    assert reasons["patches.shape"] == "As the model has it that this one begins with."
    assert reasons["training.steps"] == "Set by the user."
    assert new.card["training_data"]["notes"] == [f"Began with the weights of '{old.name}' (SHA-256 {old.hash[:16]})."]


def test_other_held_out_cases_of_the_same_data_are_warned_about(first, toy_dataset, tmp_path, caplog):
    second = begun(first, toy_dataset, tmp_path / "second", fold=1)

    notes = open_bundle(second.bundle).card["training_data"]["notes"]
    assert "with other cases held out: the scores may be too good" in notes[1]
    assert "the scores may be too good" in caplog.text


def test_a_resumed_run_begins_with_the_same_model_or_not_at_all(first, toy_dataset, tmp_path):
    into = tmp_path / "second"
    begun(first, toy_dataset, into)
    (into / "model.nxb").unlink()
    (into / "checkpoint.pt").unlink(missing_ok=True)
    content = json.loads((into / "run.json").read_text())
    (into / "run.json").write_text(json.dumps({**content, "began_with": "0" * 64}))

    with pytest.raises(DataError, match="changed since this run began"):
        begun(first, toy_dataset, into)


def test_a_repeat_begins_with_the_same_model(first, toy_dataset, tmp_path):
    second = begun(first, toy_dataset, tmp_path / "second")

    third = fit([toy_dataset], FitOptions(into=tmp_path / "third", repeat=second.run, device="cpu"))

    weights = [open_bundle(run.bundle).folds[0].weights.read_bytes() for run in (second, third)]
    assert weights[0] == weights[1]


def test_a_network_that_shares_nothing_is_refused_before_anything_is_written(first, toy_dataset, tmp_path):
    with pytest.raises(UsageError, match=r"only \d.\d% of the new network's .* a 'unet', the new one a 'classic-unet'"):
        begun(first, toy_dataset, tmp_path / "second", "network.name=classic-unet", "network.options.features=[5,7]")
    assert not (tmp_path / "second").exists()


def test_what_training_cannot_do_is_refused_before_anything_is_written(first, toy_dataset):
    bundle, dataset = open_bundle(first.bundle), open_dataset(toy_dataset)
    turned = bundle.recipe.preparation.model_copy(update={"axes": (2, 1, 0)})
    with pytest.raises(UsageError, match="takes the axes in the order ZYX"):
        wishes_from(replace(bundle, recipe=bundle.recipe.model_copy(update={"preparation": turned})), dataset, {})
    with pytest.raises(UsageError, match="second stage of a cascade"):
        wishes_from(replace(bundle, previous_labels=(1,)), dataset, {})


def test_spacing_and_normalisation_are_taken_of_what_both_have(first, toy_dataset):
    bundle, dataset = open_bundle(first.bundle), open_dataset(toy_dataset)
    taken = wishes_from(bundle, replace(dataset, channels=("T2", "other")), {})
    assert taken["preparation"] == {
        "normalisation": dict(bundle.recipe.preparation.normalisation),
        "spacing_mm": list(bundle.recipe.preparation.spacing_mm),
    }
    other = replace(dataset, channels=("other",))
    assert "normalisation" not in wishes_from(bundle, other, {})["preparation"]
    renamed = wishes_from(bundle, other, {"transfer": {"channels": {"other": "T2"}}})
    assert renamed["preparation"]["normalisation"] == {"other": bundle.recipe.preparation.normalisation["T2"]}
    assert set(wishes_from(bundle, dataset, {"network": {"name": "residual-unet"}})) == {"preparation"}


def test_names_given_by_hand_are_checked_before_anything_is_written(first, toy_dataset, toy_channels, tmp_path):
    for setting, message in (
        ("transfer.labels.bal=ball", "transfer.labels.bal = ball: the data have no label 'bal'. Did you mean 'ball'"),
        ("transfer.labels.ball=core", "model.nxb has no label 'core'. Known: background, ball, shell"),
        ("transfer.channels.T2=T3", "model.nxb has no channel 'T3'"),
    ):
        with pytest.raises(RecipeError, match=message):
            begun(first, toy_dataset, tmp_path / "second", setting)
    with pytest.raises(RecipeError, match=r"transfer\.channels\.FLAIR: needs a model to begin with"):
        fit([toy_channels], FitOptions(into=tmp_path / "second", settings=("transfer.channels.FLAIR=T2",)))
    assert not (tmp_path / "second").exists()


def test_channels_and_labels_of_other_names_begin_with_those_that_were_named(first, toy_dataset, tmp_path):
    other = shutil.copytree(toy_dataset, tmp_path / "Dataset003_Other")
    content = json.loads((other / "dataset.json").read_text())
    content |= {"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "core": 1, "rim": 2}}
    (other / "dataset.json").write_text(json.dumps(content))
    named = ("transfer.channels.FLAIR=T2", "transfer.labels.core=ball", "transfer.labels.rim=shell")
    second = begun(first, other, tmp_path / "second", *named)

    assert second.scores.mean("dice") == pytest.approx(first.scores.mean("dice"), abs=0.05)
    with (second.run / "transfer.csv").open(newline="") as stream:
        why = {row["why"] for row in csv.DictReader(stream) if row["how"] == "adapted"}
    assert why == {"channels FLAIR as 'T2'", "outputs background by name, core as 'ball', rim as 'shell'"}
    assert "outputs background by name, core as 'ball', rim as 'shell'" in (second.run / "log.txt").read_text()
    third = fit([other], FitOptions(into=tmp_path / "third", repeat=second.run, device="cpu"))
    kept = [open_bundle(run.bundle).folds[0].weights.read_bytes() for run in (second, third)]
    assert kept[0] == kept[1]
