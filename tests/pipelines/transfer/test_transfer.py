"""The table of transfer against scratch: the same held-out cases, nested patients, and it goes on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.cli.main import run as run_command
from neuraxis.errors import Stopped, UsageError
from neuraxis.evaluation.comparison.shares import SCRATCH, TRANSFER
from neuraxis.pipelines import fit as fitting
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.transfer import transfer as module
from neuraxis.pipelines.transfer.transfer import TransferOptions, transfer

SMALL = ("splits.folds=2", "previews.every=0", "training.validations=1", "training.learning_rate=1e-6",
         "training.ema_decay=0.0")  # fmt: skip


@pytest.fixture(scope="module")
def bundle(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    return fit(
        [toy_dataset], FitOptions(into=folder, settings=(*toy_settings, "training.steps=80"), device="cpu")
    ).bundle


@pytest.fixture(scope="module")
def options(bundle, tmp_path_factory):
    into = tmp_path_factory.mktemp("table") / "worth-it"
    return TransferOptions(into, bundle, shares=(25.0, 50.0, 100.0), steps=1, settings=SMALL, device="cpu")


@pytest.fixture(scope="module")
def table(toy_dataset, options):
    """The table, after it was interrupted before its fourth training."""
    trained = []

    def interrupted(*arguments):
        trained.append(arguments[1].into)
        if len(trained) == 4:
            raise Stopped("stopped")
        return fitting.fit_planned(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "fit_planned", interrupted)
        with pytest.raises(Stopped):
            transfer([toy_dataset], options)
        first = list(trained)
        trained.append(None)
        found = transfer([toy_dataset], options)
    assert trained[5:] == [first[3], *(options.into / f"share-100-{start}" for start in ("model", "scratch"))]
    return found


def run_json(options, name):
    return json.loads((options.into / name / "run.json").read_text())


def splits_of(options, name):
    return json.loads((options.into / name / "splits.json").read_text())[0]


def test_patients_are_nested_and_the_held_out_ones_are_the_same(table, options):
    splits = [
        splits_of(options, f"share-{share}-{start}")
        for share in ("025", "050", "100")
        for start in ("model", "scratch")
    ]
    assert all(split["val"] == splits[0]["val"] for split in splits)
    training = [set(split["train"]) for split in splits]
    assert [len(one) for one in training] == [1, 1, 2, 2, 4, 4]
    assert training[0] == training[1] < training[2] == training[3] < training[4]
    assert not training[4] & set(splits[0]["val"])
    assert [(cell.share, cell.start, cell.cases) for cell in table.cells[:3]] == [
        (25.0, TRANSFER, 1), (25.0, SCRATCH, 1), (50.0, TRANSFER, 2),
    ]  # fmt: skip


def test_both_starts_have_one_plan_and_only_one_of_them_the_weights(table, options, bundle):
    model, scratch = (open_bundle(options.into / f"share-050-{start}" / "model.nxb") for start in ("model", "scratch"))
    assert model.recipe == scratch.recipe
    assert model.recipe.network == open_bundle(bundle).recipe.network
    assert model.recipe.training.steps == 1
    assert (options.into / "share-050-model" / "transfer.csv").is_file()
    assert not (options.into / "share-050-scratch" / "transfer.csv").exists()
    assert all(one.difference.mean > 0.3 for _, one in table.differences())
    assert [share for share, _ in table.differences()] == [25.0, 50.0, 100.0]
    prepared = [*options.into.glob("*/prepared")]
    assert not prepared, "the cases are prepared once"


def test_a_model_with_the_same_held_out_cases_is_not_suspected(table, options):
    notes = " ".join(run_json(options, "share-025-model")["card"]["training_data"]["notes"])
    assert "Began with the weights" in notes
    assert "too good" not in notes + (options.into / "report.html").read_text()


def test_the_files_say_n_and_the_rules(table, options):
    with (options.into / "table.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "dice" and row["structure"] == "all (mean)"]
    assert [(row["share_percent"], row["start"], row["training_patients"], row["n"]) for row in rows[:2]] == [
        ("25.0", "from the model", "1", "4"),
        ("25.0", "from scratch", "1", "4"),
    ]
    assert all(row["ci_low"] == "" for row in rows), "no interval below 5 patients"
    with (options.into / "cases.csv").open(newline="") as stream:
        cases = [row for row in csv.DictReader(stream) if row["metric"] == "dice"]
    assert len(cases) == 8
    assert float(cases[0]["25 %, from the model"]) == table.cells[0].scores.values("dice", "ball")[cases[0]["case"]]
    page = (options.into / "report.html").read_text()
    assert "No test and no interval below 5 patients" in page
    assert "One fold and one seed" in page
    assert (options.into / "transfer.png").read_bytes().startswith(b"\x89PNG")


def test_a_finished_table_is_read_again_and_nothing_is_trained(table, toy_dataset, options, capsys, monkeypatch):
    monkeypatch.setattr(module, "fit_planned", None)
    again = transfer([toy_dataset], options)
    assert [cell.scores.rows for cell in again.cells] == [cell.scores.rows for cell in table.cells]
    arguments = ["transfer", str(toy_dataset), "--from", str(options.begin_with), "--into", str(options.into)]
    asked = [*arguments, "--shares", "25,50,100", "--steps", "1", "--device", "cpu"]
    assert run_command([*asked, *(part for one in SMALL for part in ("--set", one))]) == 0
    shown = capsys.readouterr().out
    assert "25 %   from the model  1 (1)" in shown
    assert "p (Holm)" in shown


def test_what_is_no_such_table_is_refused(table, toy_dataset, options, tmp_path):
    with pytest.raises(UsageError, match="holds a table with shares"):
        transfer([toy_dataset], replace(options, shares=(100.0,)))
    (tmp_path / "other.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds files that are not of such a table"):
        transfer([toy_dataset], replace(options, into=tmp_path))
    with pytest.raises(UsageError, match=r"--shares 0,50: needed are percentages"):
        transfer([toy_dataset], replace(options, into=tmp_path / "new", shares=(0.0, 50.0)))
    with pytest.raises(UsageError, match="--shares: 20 and 25 % are the same 1 training cases"):
        transfer([toy_dataset], replace(options, into=tmp_path / "new", shares=(20.0, 25.0)))
    assert not (tmp_path / "new").exists()
