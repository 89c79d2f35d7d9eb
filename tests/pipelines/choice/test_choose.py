"""Choosing among runs of all folds."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.cli import main
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.choice import Pick
from neuraxis.evaluation.evaluate import EvaluateOptions, score_rows
from neuraxis.evaluation.scores import Scores
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.choice import choose as module
from neuraxis.pipelines.choice.averaging import ensemble_map
from neuraxis.pipelines.choice.choose import ChooseOptions, choose_among
from neuraxis.pipelines.choice.measuring import ruled_map
from neuraxis.pipelines.comparison.compare import CompareOptions, compare
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.volume.formats import nifti

RULES = PostprocessingRecipe(fill_holes=("ball",), min_volume_mm3={"shell": 400.0})


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return ChooseOptions(tmp_path_factory.mktemp("chosen") / "out", volumes_mm3=(5.0,), device="cpu")


@pytest.fixture(scope="module")
def chosen(two_runs, options):
    return choose_among(two_runs, options)


def copied(run, place):
    return shutil.copytree(run, place / run.name)


def changed(run, place, **changes):
    """Copy a run with other facts in its `run.json`."""
    copy = copied(run, place)
    content = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**content, **changes}))
    return copy


def forced(pick):
    """A choice that falls on a pick, whatever the scores are."""

    def take(candidates, patients, among=None):
        return replace(candidates[0], pick=pick)

    return take


def held_out_by(run):
    folds = json.loads((run / "splits.json").read_text())
    return {id: number for number, fold in enumerate(folds) for id in fold["val"]}


def test_everything_that_was_promised_is_there(chosen):
    promised = "model.nxb report.html candidates.csv scores.csv cross-fitted.csv choice.json predictions ensembles"
    assert set(promised.split()) <= {path.name for path in chosen.folder.iterdir()}


def test_every_candidate_stands_in_the_table_marked_as_selected_on_its_cases(chosen):
    with (chosen.folder / "candidates.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))

    assert {row["candidate"] for row in rows} == {"fine", "coarse", "fine + coarse"}
    assert {row["selected_on_these_cases"] for row in rows} == {"yes"}
    assert sum(row["chosen"] == "yes" for row in rows) == 1
    assert {row["networks"] for row in rows if row["models"] == "2"} == {"4"}
    assert len(rows) >= 3 * (1 + 2 * 5)


def test_the_mean_of_a_plain_candidate_is_that_of_its_run(chosen, two_runs):
    for run in two_runs:
        row = next(row for row in chosen.candidates if row.base == run.name and row.rules == "none")
        assert row.mean == pytest.approx(Scores.read_csv(run / "scores.csv").mean("dice"))


def test_scores_say_that_their_cases_chose_and_the_cross_fitted_ones_that_they_did_not(chosen):
    card = open_bundle(chosen.bundle).card["metrics"]

    assert Scores.read_csv(chosen.folder / "scores.csv").selected_on_these_cases
    assert not Scores.read_csv(chosen.folder / "cross-fitted.csv").selected_on_these_cases
    assert card["selected_on_these_cases"]
    assert any(note.startswith("Cross-fitted Dice of ball: 0.") for note in card["notes"])
    page = chosen.report.read_text()
    assert "Selected on these cases" in page
    assert "Cross-fitted estimate" in page
    assert all(f'data-open="{case}"' in page for case in chosen.scores.cases())


@pytest.mark.parametrize(("base", "models"), [("coarse", 1), ("fine + coarse", 2)])
def test_the_chosen_bundle_does_what_was_scored(two_runs, toy_dataset, tmp_path, monkeypatch, base, models):
    monkeypatch.setattr(module, "simplest_of_the_best", forced(Pick(base, RULES)))
    result = choose_among(two_runs, ChooseOptions(tmp_path / "out", volumes_mm3=(5.0,), device="cpu"))
    bundle, dataset = open_bundle(result.bundle), open_dataset(toy_dataset)

    assert (1 + len(bundle.members), bundle.recipe.postprocessing) == (models, RULES)
    for fold in (0, 1):
        predictor = Predictor(bundle, PredictorOptions(device="cpu", folds=(fold,)))
        for case in [case for case in dataset.cases if held_out_by(two_runs[0])[case.id] == fold][:2]:
            scored = nifti.read(tmp_path / "out" / "predictions" / f"{case.id}.nii.gz")
            np.testing.assert_array_equal(predictor.predict(case.read_images()).segmentation.array, scored.array)


def test_segment_applies_the_rules_in_every_runtime_and_says_so(two_runs, toy_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "simplest_of_the_best", forced(Pick("fine", RULES)))
    result = choose_among(two_runs, ChooseOptions(tmp_path / "out", volumes_mm3=(5.0,), device="cpu"))
    scan = toy_dataset / "imagesTr" / "toy_00_0000.nii.gz"

    for runtime in ("openvino", "torch"):
        made = SegmentOptions(runtime=runtime, device="cpu", precision="fp32")
        segment(scan, result.bundle, tmp_path / runtime, made)
        plain, after = tmp_path / f"{runtime}-plain", nifti.read(tmp_path / runtime / "toy_00.nii.gz")
        segment(scan, two_runs[0] / "model.nxb", plain, made)
        labels = open_bundle(result.bundle).labels
        np.testing.assert_array_equal(after.array, ruled_map(plain / "toy_00.nii.gz", labels, RULES).array)
        told = json.loads((tmp_path / runtime / "toy_00.json").read_text())["postprocessing"]
        assert told["rules"] == list(RULES.in_words())


def test_each_case_is_cross_fitted_under_what_was_chosen_without_its_fold(two_runs, toy_dataset, tmp_path, monkeypatch):
    picks = {0: Pick("coarse"), 1: Pick("fine", RULES)}
    monkeypatch.setattr(module, "cross_fit", lambda *arguments: picks)
    result = choose_among(two_runs, ChooseOptions(tmp_path / "out", ensembles=False, volumes_mm3=(5.0,), device="cpu"))
    dataset, fold_of = open_dataset(toy_dataset), held_out_by(two_runs[0])

    for case in dataset.cases:
        pick = picks[fold_of[case.id]]
        run = next(run for run in two_runs if run.name == pick.base)
        path = run / f"fold-{fold_of[case.id]}" / "predictions" / f"{case.id}.nii.gz"
        rows = score_rows(case, ruled_map(path, dataset.labels, pick.rules), case.read_label(), dataset.labels)
        found = {row.structure: row.values["dice"] for row in result.cross_fitted.rows if row.case == case.id}
        assert found == {row.structure: row.values["dice"] for row in rows}
    assert not (tmp_path / "out" / "ensembles").exists()


def test_the_same_call_again_goes_on_and_predicts_only_what_is_missing(chosen, two_runs, options):
    made = sorted((options.into / "ensembles").rglob("*.nii.gz"))
    times = [path.stat().st_mtime_ns for path in made]
    made[0].unlink()

    again = choose_among(two_runs, options)

    assert again.pick == chosen.pick
    assert again.cross_fitted.mean("dice") == chosen.cross_fitted.mean("dice")
    assert made[0] == ensemble_map(options.into / "ensembles", (0, 1), made[0].name.removesuffix(".nii.gz"))
    assert [path.stat().st_mtime_ns for path in made][1:] == times[1:]
    with pytest.raises(UsageError, match="holds a choice with other score"):
        choose_among(two_runs, replace(options, score="iou"))


def test_a_comparison_knows_a_choice_and_that_its_cases_chose(chosen, two_runs):
    found = compare(
        {"chosen": chosen.folder, "fine": two_runs[0]},
        options=CompareOptions(scoring=EvaluateOptions(metrics=("dice",))),
    )

    assert [entry.scores.selected_on_these_cases for entry in found.entries] == [True, False]
    assert found.entries[0].scores.mean("dice") == pytest.approx(chosen.scores.mean("dice"))


def test_a_single_run_is_enough_to_choose_post_processing(two_runs, tmp_path, capsys):
    line = ["choose", two_runs[0], "--into", tmp_path / "out", "--volumes", "5", "--device", "cpu", "--quiet"]

    assert main.run([str(word) for word in line]) == 0
    shown = capsys.readouterr().out
    assert "selected on these cases" in shown
    assert "cross-fitted: what to expect on others like them" in shown
    assert f"model   {tmp_path / 'out' / 'model.nxb'}" in shown


def test_what_cannot_be_chosen_among_is_refused_before_anything_is_written(two_runs, tmp_path):
    run, into = two_runs[0], tmp_path / "out"
    other = {"split_hash": "0", "data_hash": "0"}
    refusals = {
        "is not the folder of a run": [tmp_path],
        "is the run of a single fold": [run / "fold-0"],
        "is not finished": [changed(run, tmp_path / "a", events=[])],
        "was trained on other folds than": [run, changed(two_runs[1], tmp_path / "b", split_hash="0")],
        "was trained on other data than": [run, changed(two_runs[1], tmp_path / "c", **other)],
        "each named once": [run, run],
    }
    for message, runs in refusals.items():
        with pytest.raises(UsageError, match=message):
            choose_among(runs, ChooseOptions(into))
    with pytest.raises(UsageError, match=r"--score dise: cannot choose\. Did you mean 'dice'"):
        choose_among([run], ChooseOptions(into, score="dise"))
    with pytest.raises(UsageError, match="needed are volumes above 0"):
        choose_among([run], ChooseOptions(into, volumes_mm3=(-1.0,)))
    assert not into.exists()


def test_data_that_changed_and_segmentations_that_are_gone_are_refused(two_runs, tmp_path):
    with pytest.raises(DataError, match="changed since"):
        choose_among([changed(two_runs[0], tmp_path / "a", data_hash="0")], ChooseOptions(tmp_path / "out"))
    copy = copied(two_runs[0], tmp_path / "b")
    next((copy / "fold-1" / "predictions").glob("*.nii.gz")).unlink()
    with pytest.raises(DataError, match=r"is missing\. Fit the run again"):
        choose_among([copy], ChooseOptions(tmp_path / "out"))


def test_a_folder_with_other_files_is_left_alone(two_runs, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UsageError, match="files that are not of a choice"):
        choose_among(two_runs, ChooseOptions(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
