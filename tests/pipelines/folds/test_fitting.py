"""All folds of a dataset as one run."""

import csv
import json
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.cli import main
from neuraxis.errors import DataError, Stopped, UsageError
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.folds.fitting import fit_folds
from neuraxis.pipelines.folds.planning import plan_folds
from neuraxis.pipelines.outcome import write_outcome
from neuraxis.pipelines.runs.state import find_runs, read_run
from neuraxis.progress import Silent


@pytest.fixture(scope="module")
def settings(toy_settings):
    return tuple(setting for setting in toy_settings if not setting.startswith(("splits", "training.steps")))


@pytest.fixture(scope="module")
def options(settings, tmp_path_factory):
    into = tmp_path_factory.mktemp("runs") / "toy"
    return FitOptions(into=into, settings=(*settings, "training.steps=20"), device="cpu")


@pytest.fixture(scope="module")
def run(toy_dataset, options):
    return fit_folds([toy_dataset], options, 2)


def scored(folder):
    with (folder / "scores.csv").open(newline="") as stream:
        return [row["case"] for row in csv.DictReader(stream)]


def events(folder):
    return json.loads((folder / "run.json").read_text())["events"]


def weights(bundle):
    return [fold.weights.read_bytes() for fold in open_bundle(bundle).folds]


class Interrupting(Silent):
    """Raises once the training of a fold begins, as Ctrl-C does."""

    def __init__(self, training):
        self.left = training

    @contextmanager
    def stage(self, name, total=0):
        self.left -= name == "train"
        if not self.left:
            raise KeyboardInterrupt
        with super().stage(name, total) as stage:
            yield stage


def test_every_case_is_scored_once_by_the_fold_that_held_it_out(run):
    folds = json.loads((run.run / "splits.json").read_text())

    assert scored(run.run) == sorted(2 * [f"toy_{number:02}" for number in range(8)])
    for number, fold in enumerate(folds):
        assert set(scored(run.run / f"fold-{number}")) == set(fold["val"])
        for row in run.scores.rows:
            if row.case in fold["val"]:
                assert f"fold-{number}/predictions" in row.prediction_file
    assert len(run.scores.cases()) == 8
    assert all(0 < row.values["loss"] < 5 for row in run.scores.rows)
    assert all(f'data-open="{case}"' in run.report.read_text() for case in run.scores.cases())


def test_the_bundle_is_the_folds_together_and_says_what_was_scored(run):
    bundle = open_bundle(run.bundle)

    assert weights(run.bundle) == [weights(run.run / f"fold-{number}" / "model.nxb")[0] for number in range(2)]
    assert bundle.card["training_data"]["cases"] == 8
    assert bundle.card["metrics"]["scored_on"] == "8 cases, each by the one fold that did not learn from it"
    assert bundle.card["metrics"]["structures"]["ball"]["dice"]["n"] == 8
    assert any("scored on no case" in note for note in bundle.card["metrics"]["notes"])


def test_folds_share_one_store_and_one_plan(run):
    assert sorted(path.parent.name for path in run.run.rglob("prepared")) == ["toy"]
    plans = [json.loads((run.run / name / "run.json").read_text())["reasons"] for name in (".", "fold-0", "fold-1")]
    assert plans[0] == plans[1] == plans[2]


def test_a_fold_is_what_it_would_be_by_itself(run, toy_dataset, options, tmp_path):
    alone = replace(options, into=tmp_path, fold=1, settings=(*options.settings, "splits.folds=2"))

    assert weights(fit([toy_dataset], alone).bundle) == weights(run.run / "fold-1" / "model.nxb")


def test_the_same_call_again_repeats_no_fold(run, toy_dataset, options):
    before = [events(run.run / f"fold-{number}") for number in range(2)]
    (run.run / "report.html").unlink()

    again = fit_folds([toy_dataset], options, 2)

    assert [events(run.run / f"fold-{number}") for number in range(2)] == before
    assert again.report.is_file()
    assert again.scores.mean("dice") == run.scores.mean("dice")


def test_an_interrupted_run_goes_on_with_the_fold_it_was_at_and_ends_the_same(run, toy_dataset, options, tmp_path):
    chosen = replace(options, into=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        fit_folds([toy_dataset], chosen, 2, Interrupting(training=2))
    first = events(chosen.into / "fold-0")
    assert not (chosen.into / "model.nxb").exists()

    again = fit_folds([toy_dataset], chosen, 2)

    assert events(chosen.into / "fold-0") == first
    assert weights(again.bundle) == weights(run.bundle)
    assert again.scores.mean("dice") == run.scores.mean("dice")


def test_a_wish_to_stop_is_heard_between_two_folds(toy_dataset, options, tmp_path, monkeypatch):
    chosen = replace(options, into=tmp_path / "run")

    def ask(*arguments):
        (chosen.into / "stop").touch()
        return write_outcome(*arguments)

    monkeypatch.setattr("neuraxis.pipelines.fit.write_outcome", ask)
    with pytest.raises(Stopped, match="stopped before fold 1 of 2"):
        fit_folds([toy_dataset], chosen, 2)
    assert read_run(chosen.into).state == "stopped"
    assert not (chosen.into / "fold-1").exists()


def test_a_run_of_folds_is_one_run_that_tells_which_fold_is_under_way(run, tmp_path):
    assert find_runs(run.run.parent) == [run.run]
    assert (read_run(run.run).state, read_run(run.run).folds) == ("finished", 2)
    copy = shutil.copytree(run.run, tmp_path / "run")
    for name in ("report.html", "run.json"):
        (copy / "fold-0" / name).unlink()
    (copy / "fold-0" / "progress.json").write_text(json.dumps({"step": 7, "steps": 20, "seconds": 1}))

    state = read_run(copy)

    assert (state.fold, state.step, state.steps) == (0, 7, 20)
    assert state.place == copy / "fold-0"


def test_a_budget_is_divided_over_the_folds(toy_dataset, settings, tmp_path):
    chosen = FitOptions(into=tmp_path, settings=(*settings, "training.steps=4"), budget_s=100, device="cpu")

    fit_folds([toy_dataset], chosen, 2)

    shares = [event for event in events(tmp_path) if event["kind"] == "fold_budget"]
    assert [event["fold"] for event in shares] == [0, 1]
    assert 30 < shares[0]["budget_s"] <= 45
    assert shares[0]["budget_s"] < shares[1]["budget_s"] <= 90  # the first took less than its share
    assert json.loads((tmp_path / "fold-1" / "run.json").read_text())["request"]["budget_s"] == shares[1]["budget_s"]
    fit_folds([toy_dataset], chosen, 2)


@pytest.fixture
def with_splits(toy_dataset, options, tmp_path):
    """Plan two folds of data that bring their own splits."""

    def plan(*held_out):
        data = shutil.copytree(toy_dataset, tmp_path / toy_dataset.name)
        cases = [f"toy_{number:02}" for number in range(8)]
        own = [{"train": [case for case in cases if case not in out], "val": out} for out in held_out]
        (data / "splits_final.json").write_text(json.dumps(own))
        return plan_folds([data], replace(options, into=tmp_path / "run"), 2, Silent())

    return plan


def test_splits_of_the_data_that_are_as_many_folds_are_taken(with_splits):
    planned = with_splits(["toy_00", "toy_01"], [f"toy_{number:02}" for number in range(2, 8)])

    assert planned.folds[0].validation == ("toy_00", "toy_01")
    assert planned.plan.recipe.splits.own


@pytest.mark.parametrize("held_out", [[["toy_00"]], [["toy_00"], ["toy_00", "toy_01"]]])
def test_splits_of_the_data_that_are_other_folds_give_way(with_splits, held_out):
    planned = with_splits(*held_out)

    assert sorted(len(fold.validation) for fold in planned.folds) == [4, 4]
    assert not planned.plan.recipe.splits.own
    assert "not 2 that hold out each case once" in planned.plan.reasons["splits.own"]


@pytest.mark.parametrize(
    ("count", "changes", "message"),
    [
        (1, {}, "needed are at least 2"),
        (3, {"fold": 2}, "leave out --fold 2"),
        (3, {"settings": ("splits.folds=4",)}, r"the recipe has splits\.folds = 4"),
    ],
)
def test_what_excludes_one_another_is_refused_and_nothing_is_written(toy_dataset, tmp_path, count, changes, message):
    with pytest.raises(UsageError, match=message):
        fit_folds([toy_dataset], FitOptions(into=tmp_path / "run", **changes), count)
    assert not (tmp_path / "run").exists()


def test_a_run_of_folds_is_not_repeated_as_a_whole(run, toy_dataset, tmp_path):
    with pytest.raises(UsageError, match=r"fold-0, and its number with --fold"):
        fit_folds([toy_dataset], FitOptions(into=tmp_path / "run", repeat=run.run), 2)


def test_more_folds_than_patients_are_refused(toy_dataset, tmp_path):
    with pytest.raises(DataError, match="8 patients cannot be dealt to 9 folds"):
        fit_folds([toy_dataset], FitOptions(into=tmp_path / "run"), 9)


def test_another_number_of_folds_in_the_same_folder_is_refused(run, toy_dataset, options):
    with pytest.raises(UsageError, match="holds a run with folds = 2, asked for is 3"):
        fit_folds([toy_dataset], options, 3)


def test_the_command_line_reaches_the_folds(monkeypatch, run):
    asked = []
    monkeypatch.setattr(
        "neuraxis.pipelines.folds.fitting.fit_folds",
        lambda datasets, options, count, progress, jobs: asked.append((options.into.name, count, jobs)) or run,
    )

    assert main.run(["fit", "data/ms", "--folds", "4", "--jobs", "2"]) == 0
    assert asked == [("ms-4-folds", 4, 2)]
    assert main.run(["fit", "data/ms", "--jobs", "2"]) == 2
