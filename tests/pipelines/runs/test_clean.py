"""What can go of finished runs, and what never does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest

from neuraxis.files import folder_lock
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.runs.clean import clean, plan_cleaning
from neuraxis.pipelines.runs.state import read_run


@pytest.fixture(scope="module")
def trained(toy_dataset, toy_settings, tmp_path_factory):
    """A finished run with previews."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    settings = (*toy_settings, "training.steps=6", "previews.every=1", "previews.count=1")
    options = FitOptions(
        into=folder, settings=settings, device="cpu", previews=(str(toy_dataset / "imagesTr" / "toy_00_0000.nii.gz"),)
    )
    fit([toy_dataset], options)
    return folder, options


@pytest.fixture
def finished(trained, tmp_path):
    return shutil.copytree(trained[0], tmp_path / "a")


def names(plan):
    return [removal.path.name for removal in plan.removals]


def test_prepared_cases_and_checkpoint_go_and_nothing_else(finished):
    before = {path.relative_to(finished) for path in finished.rglob("*") if path.is_file()}
    (plan,) = plan_cleaning(finished.parent)

    assert names(plan) == ["prepared", "checkpoint.pt"]
    assert all(removal.size > 0 and removal.why for removal in plan.removals)
    assert before == {path.relative_to(finished) for path in finished.rglob("*") if path.is_file()}

    clean([plan])
    after = {path.relative_to(finished) for path in finished.rglob("*") if path.is_file()}
    assert {path.parts[0] for path in before - after} == {"prepared", "checkpoint.pt"}
    kept = "model.nxb report.html scores.csv summary.json curves.csv predictions previews log.txt run.json recipe.toml"
    assert set(kept.split()) <= {path.parts[0] for path in after}
    assert names(plan_cleaning(finished)[0]) == []


def test_a_cleaned_run_still_finds_everything_done(finished, trained, toy_dataset):
    before = (finished / "model.nxb").read_bytes()
    clean(plan_cleaning(finished))

    fit([toy_dataset], replace(trained[1], into=finished))

    assert (finished / "model.nxb").read_bytes() == before
    assert not (finished / "prepared").exists()


@pytest.mark.parametrize(("ended", "state"), [("stopped", "stopped"), ("failed", "failed")])
def test_a_run_that_is_not_finished_is_left_alone(make_run, ended, state):
    folder = make_run("a", (), "this", ended=ended)
    (folder / "checkpoint.pt").touch()

    (plan,) = plan_cleaning(folder)
    assert (plan.removals, plan.kept) == ((), f"it is {state} and can be resumed")


def test_a_run_that_runs_is_left_alone(make_run):
    (plan,) = plan_cleaning(make_run("a", (), "this"))

    assert (plan.removals, plan.kept) == ((), "it runs")


def test_without_a_whole_model_the_checkpoint_is_kept(finished):
    (finished / "model.nxb").write_bytes((finished / "model.nxb").read_bytes()[:-100])
    (plan,) = plan_cleaning(finished)
    assert not plan.removals
    assert "its model is not whole" in plan.kept

    (finished / "model.nxb").unlink()
    assert plan_cleaning(finished)[0].kept == "it has no model"


def test_prepared_cases_are_kept_where_their_data_are_gone(finished, tmp_path):
    content = json.loads((finished / "run.json").read_text())
    content["request"]["datasets"] = [str(tmp_path / "gone")]
    (finished / "run.json").write_text(json.dumps(content))

    (plan,) = plan_cleaning(finished)
    assert names(plan) == ["checkpoint.pt"]
    assert "data of its prepared cases are gone" in plan.kept


def test_what_a_killed_process_left_goes_too(finished):
    (finished / "predictions" / ".part-x").touch()

    assert names(plan_cleaning(finished)[0]) == ["prepared", "checkpoint.pt", ".part-x"]


def test_a_run_in_which_somebody_works_by_now_is_left_alone(finished):
    plans = plan_cleaning(finished)
    with folder_lock(finished):
        (done,) = clean(plans)

    assert not done.removals
    assert "another neuraxis process" in done.kept
    assert (finished / "checkpoint.pt").is_file()


def test_previews_are_in_the_report_and_no_bundle_names_them(finished, toy_dataset):
    from neuraxis.bundle.bundle import open_bundle
    from neuraxis.recipe.previews import PreviewRecipe

    page = (finished / "report.html").read_text()
    assert page.count("data:image/gif;base64") == 2
    assert "% of the training time" in page
    assert (finished / "previews" / "toy_00.gif").is_file()
    assert open_bundle(finished / "model.nxb").recipe.previews == PreviewRecipe()
    assert read_run(finished).state == "finished"
