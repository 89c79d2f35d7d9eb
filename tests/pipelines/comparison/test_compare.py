"""Tests of `neuraxis.pipelines.comparison.compare`: whole comparisons of toys, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.errors import DataError, NeuraxisError, UsageError
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.pipelines.comparison import compare as module
from neuraxis.pipelines.comparison.compare import CompareOptions, compare
from neuraxis.pipelines.comparison.entries import expense_of
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

Make = Callable[..., Path]
DICE = EvaluateOptions(metrics=("dice",))
QUICK = CompareOptions(scoring=DICE)


def test_folders_of_any_program_become_tables_and_a_report(make_dataset: Make, predict: Make, tmp_path: Path) -> None:
    entries = {"near": predict("a", 1), "far": predict("b", 2), "boxed": predict("c", 0)}
    into = tmp_path / "out"
    found = compare(entries, make_dataset(), into, CompareOptions(oracles=("boxed",)))
    assert [entry.label for entry in found.entries] == ["near", "far", "boxed (oracle)"]
    assert sorted(path.name for path in into.iterdir()) == ["cases.csv", "comparison.json", "report.html", "tests.csv"]
    rows = [row for row in csv.DictReader((into / "cases.csv").open()) if row["metric"] == "dice"]
    assert len(rows) == 12
    assert [(row["near"][:6], row["far"][:6], row["boxed (oracle)"]) for row in rows[:2]] == [
        ("0.8571", "0.6666", "1.0"),
        ("1.0", "1.0", "1.0"),
    ]
    content = json.loads((into / "comparison.json").read_text())
    assert [entry["oracle"] for entry in content["entries"]] == [False, False, True]
    dice = next(one for one in content["contrasts"] if one["metric"] == "dice" and one["structure"] == "lesion")
    assert (dice["first"], dice["second"], dice["winner"]) == ("near", "far", "near")
    assert dice["difference"]["p"] == 0.03125
    page = (into / "report.html").read_text()
    assert "near, far and boxed (oracle) on toy" in page
    assert "entries differ by" in page
    assert "boxed" not in page.replace("boxed (oracle)", "")


def test_runs_are_compared_on_the_cases_that_they_held_out_against_their_own_data(
    make_dataset: Make, make_run: Make, predict: Make
) -> None:
    data = make_dataset()
    runs = {"a": make_run("run-a", data, range(2)), "b": make_run("run-b", data, range(2), 2)}
    found = compare({**runs, "other": predict("c", 0)}, options=QUICK)
    assert found.entries[0].scores.cases() == ("sub-0", "sub-1")
    assert found.entries[2].scores.cases() == ("sub-0", "sub-1")
    assert found.entries[0].expense.training_minutes == 1.5
    assert "2 of 6 references are compared: those of cases that a and b held out." in found.notes


def test_a_run_of_several_folds_is_scored_on_all_that_they_held_out(
    make_dataset: Make, make_run: Make, predict: Make, tmp_path: Path
) -> None:
    run = make_run("run", make_dataset(), range(1))
    (run / "predictions").rename(run / "none")
    for fold in range(2):
        predict(f"run/fold-{fold}/predictions", 1, range(3 * fold, 3 * fold + 3))
        (run / f"fold-{fold}" / "run.json").write_text((run / "run.json").read_text())
    found = compare({"run": run, "other": predict("b")}, options=QUICK)
    assert found.entries[0].scores.cases() == tuple(f"sub-{n}" for n in range(6))
    assert [one.difference.mean for one in found.contrasts] == [0.0] * 3
    assert found.entries[0].expense.training_minutes == 3.0


def test_a_bundle_predicts_the_cases_once_and_its_seconds_are_read(
    make_dataset: Make, predict: Make, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, into = make_dataset(cases=2), tmp_path / "out"
    entries = {"model": model, "other": predict("b", 1, range(2))}
    found = compare(entries, data, into, QUICK)
    expense = found.entries[0].expense
    assert expense.cpu_seconds is not None
    assert expense.cpu_seconds >= 0
    weights = sum(array.size for array in load_weights(model))
    assert expense.parameters == weights
    assert found.entries[1].expense.parameters is None
    assert (into / "predictions" / "model" / "sub-0.nii.gz").is_file()
    assert any("whether it was trained on some of these cases is not known" in note for note in found.notes)
    monkeypatch.setattr("neuraxis.pipelines.comparison.predicting.Predictor", None)
    again = compare(entries, data, into, CompareOptions(overwrite=True, scoring=DICE))
    assert json.dumps(again.content()) == json.dumps(found.content())


def test_all_networks_of_a_bundle_count_and_of_a_run_the_one_that_predicts_a_case(model: Path, tmp_path: Path) -> None:
    bundle = nx.open_bundle(model)
    two = replace(bundle, folds=(*bundle.folds, replace(bundle.folds[0], index=1)))
    (tmp_path / "run.json").write_text("{}")
    one, both, run = expense_of(bundle), expense_of(two), expense_of(two, tmp_path)
    assert both.parameters == 2 * one.parameters == 2 * run.parameters
    assert (both.window_gflops, run.window_gflops) == (2 * one.window_gflops, one.window_gflops)
    assert run.training_minutes is None


def load_weights(model: Path) -> list[np.ndarray]:
    from safetensors.numpy import load_file

    return list(load_file(nx.open_bundle(model).folds[0].weights).values())


def test_a_bundle_that_these_cases_trained_says_so(make_dataset: Make, model: Path) -> None:
    dataset = nx.open_dataset(make_dataset())
    bundle = nx.open_bundle(model)
    assert "is not known" in module.whether_trained("m", bundle, dataset, ["sub-0"])
    from neuraxis.dataset.splits import hash_folds, split_by_patient

    folds = split_by_patient(dataset.cases, bundle.recipe.splits.folds, bundle.recipe.splits.seed)
    bundle.card.update(data_hash=dataset.content_hash(), split_hash=hash_folds(folds))
    assert "none of these cases trained it" in module.whether_trained("m", bundle, dataset, folds[0].validation)
    assert "trained on 1 of these cases" in module.whether_trained("m", bundle, dataset, folds[0].training[:1])


def test_a_case_that_an_entry_lacks_is_refused_or_listed(make_dataset: Make, predict: Make) -> None:
    entries = {"a": predict("a"), "b": predict("b", 1, range(4))}
    data = make_dataset()
    with pytest.raises(DataError, match=r"b: 2 cases \(sub-4, sub-5\) without a prediction\. .* with --common\."):
        compare(entries, data, options=QUICK)
    found = compare(entries, data, options=CompareOptions(common=True, scoring=DICE))
    assert len(found.entries[0].scores.cases()) == 4
    assert "Left out by --common: b: 2 cases (sub-4, sub-5) without a prediction." in found.notes


def test_a_prediction_without_a_reference_is_refused_or_listed(make_dataset: Make, predict: Make) -> None:
    entries, data = {"a": predict("a", 1, range(8)), "b": predict("b")}, make_dataset()
    with pytest.raises(DataError, match=r"a: 2 cases \(sub-6, sub-7\) without a reference in .*toy"):
        compare(entries, data, options=QUICK)
    assert len(compare(entries, data, options=CompareOptions(common=True, scoring=DICE)).entries[0].scores.cases()) == 6


def test_runs_that_held_out_other_cases_are_told_apart(make_dataset: Make, make_run: Make) -> None:
    data = make_dataset()
    entries = {"a": make_run("a", data, range(2)), "b": make_run("b", data, range(1, 3))}
    with pytest.raises(DataError, match=r"a: 1 case \(sub-2\) without a prediction; b: 1 case \(sub-0\)"):
        compare(entries, options=QUICK)
    apart = {"a": make_run("a", data, range(2)), "b": make_run("c", data, range(3, 5))}
    with pytest.raises(DataError, match=r"No case of .* has a prediction in every entry"):
        compare(apart, options=CompareOptions(common=True))


def test_another_grid_is_refused_with_the_entrys_name(make_dataset: Make, predict: Make) -> None:
    odd = predict("b")
    label = nifti.read(odd / "sub-3.nii.gz").array
    nifti.write(odd / "sub-3.nii.gz", Volume(label, Grid(label.shape[1:], np.diag([3.0, 1, 2, 1]))), overwrite=True)
    with pytest.raises(DataError, match=r"^b: 1 case whose prediction and reference do not share a grid: sub-3"):
        compare({"a": predict("a"), "b": odd}, make_dataset(), options=QUICK)


def test_other_labels_are_refused_with_the_entrys_name(make_dataset: Make, predict: Make, tmp_path: Path) -> None:
    odd, data = predict("b"), make_dataset()
    label = nifti.read(odd / "sub-3.nii.gz")
    nifti.write(odd / "sub-3.nii.gz", label.with_array(label.array * 4), overwrite=True)
    with pytest.raises(DataError, match=r"^b: sub-3: the prediction holds the numbers \[4, 8\], which no label has"):
        compare({"a": predict("a"), "b": odd}, data, options=QUICK)
    alone = tmp_path / "elsewhere" / "references"
    alone.parent.mkdir()
    (data / "labelsTr").rename(alone)
    with pytest.raises(DataError, match=r"^b: holds the structures 1, 2, 4, 8, a holds 1, 2\."):
        compare({"a": predict("a"), "b": odd}, alone, options=QUICK)


@pytest.mark.parametrize(
    ("entries", "options", "said"),
    [
        (["a=a"], QUICK, "1 entry is named. A comparison needs two"),
        (["a=a", "a=b"], QUICK, "a: two entries are called so, a and b"),
        (["a=a", "b=nowhere"], QUICK, "b: nowhere: no such file or folder"),
        (["a=a", "b=b"], CompareOptions(oracles=("bb",)), "--oracle bb: no entry is called so. Did you mean 'b'?"),
        (["a=a", "../x=b"], QUICK, "is no name of an entry"),
        (["a=a", "b=b"], QUICK, "The references are not named, and no entry is a run"),
        (["a=a", "b=b"], CompareOptions(scoring=EvaluateOptions(metrics=("dise",))), "Did you mean 'dice'?"),
    ],
)
def test_what_cannot_be_meant_is_answered_in_a_line(
    entries: list[str],
    options: CompareOptions,
    said: str,
    predict: Make,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    predict("a"), predict("b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NeuraxisError) as error:
        compare(entries, options=options)
    assert said in str(error.value)
    assert error.value.exit_code == 2


def test_a_bundle_needs_scans_that_fit_and_a_folder(
    make_dataset: Make, predict: Make, model: Path, tmp_path: Path
) -> None:
    entries, data = {"m": model, "b": predict("b")}, make_dataset()
    with pytest.raises(UsageError, match="m: is a bundle, whose predictions need a folder"):
        compare(entries, data)
    with pytest.raises(DataError, match="m: is a bundle, which needs the scans"):
        compare(entries, data / "labelsTr", tmp_path / "out")
    other = make_dataset("other", channel_names={"0": "T2", "1": "T1"})
    with pytest.raises(DataError, match=r"m: the model needs the channels FLAIR, T1; .* has T2, T1"):
        compare(entries, other, tmp_path / "out")
    swapped = make_dataset("swapped", labels={"background": 0, "lesion": 2, "cord": 1})
    with pytest.raises(
        DataError, match=r"the model segments lesion \(1\), cord \(2\); .* are cord \(1\), lesion \(2\)"
    ):
        compare(entries, swapped, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_dataset_may_have_more_channels_than_a_bundle_needs_in_another_order(
    make_dataset: Make, predict: Make, model: Path, tmp_path: Path
) -> None:
    entries, labels = {"m": model, "b": predict("b", 1, range(1))}, {"background": 0, "lesion": 1, "cord": 2}
    plain = compare(entries, make_dataset(cases=1), tmp_path / "one", QUICK)
    turned = make_dataset("turned", 1, channel_names={"0": "T1", "1": "FLAIR", "2": "T2"}, labels=labels)
    images = turned / "imagesTr"
    first, second = (images / f"sub-0_000{channel}.nii.gz" for channel in range(2))
    first.rename(images / "sub-0_0002.nii.gz")
    second.rename(first)
    second.write_bytes((images / "sub-0_0002.nii.gz").read_bytes())
    found = compare(entries, turned, tmp_path / "two", QUICK)
    one, two = (nifti.read(tmp_path / name / "predictions" / "m" / "sub-0.nii.gz").array for name in ("one", "two"))
    assert np.array_equal(one, two)
    assert found.entries[0].scores.mean("dice") == plain.entries[0].scores.mean("dice")


def test_existing_results_are_kept_unless_told(make_dataset: Make, predict: Make, tmp_path: Path) -> None:
    entries, data, into = {"a": predict("a"), "b": predict("b")}, make_dataset(), tmp_path / "out"
    compare(entries, data, into, QUICK)
    with pytest.raises(UsageError, match=r"cases\.csv exists already"):
        compare(entries, data, into, QUICK)
    compare(entries, data, into, CompareOptions(overwrite=True, scoring=DICE))
    with pytest.raises(UsageError, match=r"a: is the folder of the entry 'a'\. Name another one"):
        compare(entries, data, entries["a"], CompareOptions(overwrite=True))


def test_a_run_without_predictions_says_what_to_do(make_dataset: Make, make_run: Make, predict: Make) -> None:
    data = make_dataset()
    run = make_run("run", data, range(2))
    for path in (run / "predictions").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"^run: the run .* has no predictions of held-out cases yet"):
        compare({"run": run, "b": predict("b")}, data)


def test_a_run_whose_held_out_cases_chose_something_says_so(make_dataset: Make, make_run: Make, predict: Make) -> None:
    run = make_run("run", make_dataset(), range(2))
    scores = nx.evaluate(run / "predictions", predict("same", 0, range(2)))
    type(scores).of(scores.rows, selected_on_these_cases=True).write_csv(run / "scores.csv")
    found = compare({"run": run, "other": predict("b")}, options=QUICK)
    assert [entry.scores.selected_on_these_cases for entry in found.entries] == [True, False]
    assert [note[:28] for note in found.notes if "Selected" in note] == ["run: Selected on these cases"]
    assert sum("n = 2 cases" in note for note in found.notes) == 1


def test_probabilities_that_only_one_entry_kept_are_not_compared_and_that_is_said(
    make_dataset: Make, predict: Make
) -> None:
    sure, plain = predict("a", 1), predict("b", 2)
    for path in sorted(sure.glob("*.nii.gz")):
        volume = nifti.read(path)
        said = np.concatenate([volume.array == number for number in range(3)]).astype(np.float32)
        nifti.write(path.with_name(path.name.replace(".nii.gz", "_prob.nii.gz")), volume.with_array(said))
    found = compare({"sure": sure, "plain": plain}, make_dataset())
    assert "ece" not in found.metrics
    assert any(note.startswith("ece, brier: not compared, since only sure kept") for note in found.notes)


def test_cases_left_out_on_purpose_are_in_no_entry_and_are_named(make_dataset: Make, predict: Make) -> None:
    options = CompareOptions(scoring=replace(DICE, exclude=("sub-1",)))
    found = compare({"a": predict("a", 1), "b": predict("b", 2)}, make_dataset(), options=options)
    assert "sub-1" not in found.entries[0].scores.cases()
    assert "Left out on purpose: 1 of 6 cases (sub-1)." in found.notes
    with pytest.raises(DataError, match="Cases to leave out are not there: 1 case \\(nobody\\)"):
        compare(
            {"a": predict("a", 1), "b": predict("b", 2)},
            make_dataset(),
            options=CompareOptions(scoring=replace(DICE, exclude=("nobody",))),
        )
