"""From labelled scans to a validated model."""

import csv
import json
import shutil
from dataclasses import replace

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import DataError, ResourceError, UsageError
from neuraxis.files import folder_lock
from neuraxis.pipelines.fit import FitOptions, fit


@pytest.fixture(scope="module")
def run(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "toy"
    return fit([toy_dataset], FitOptions(into=folder, settings=(*toy_settings, "training.steps=80"), device="cpu"))


def options(run, toy_settings, **changes):
    settings = {"into": run.run, "settings": (*toy_settings, "training.steps=80"), "device": "cpu"} | changes
    return FitOptions(**settings)


def test_a_run_holds_everything_that_was_promised(run):
    promised = "run.json recipe.toml splits.json scores.csv summary.json report.html model.nxb log.txt"
    pictured = "curves.csv curves.png overlays.png tensorboard"

    assert {*promised.split(), *pictured.split()} <= {path.name for path in run.run.iterdir()}


def test_the_toy_is_learned(run):
    assert run.scores.mean("dice") > 0.8


def test_the_report_shows_every_held_out_case_slice_by_slice_with_its_loss(run):
    page = run.report.read_text()
    cases = json.loads(page.partition("data-cases>")[2].partition("</script>")[0])["cases"]

    assert {case["id"] for case in cases} == set(run.scores.cases())
    assert all(one["maps"] for case in cases for one in case["slices"])
    losses = run.scores.values("loss", "ball")
    assert all(0 < loss < 2 for loss in losses.values())
    assert losses == run.scores.values("loss", "shell")


def test_the_share_of_time_spent_waiting_for_data_is_told(run):
    share = json.loads((run.run / "run.json").read_text())["waiting_share"]

    assert 0 <= share <= 1
    assert "waiting for data" in run.report.read_text()


def test_every_held_out_case_is_scored_and_no_other(run):
    fold = json.loads((run.run / "splits.json").read_text())[0]
    with (run.run / "scores.csv").open(newline="") as stream:
        scored = {row["case"] for row in csv.DictReader(stream)}

    assert scored == set(fold["val"])
    assert not scored & set(fold["train"])


def test_the_summary_has_nnunets_keys(run):
    assert {"foreground_mean", "mean", "metric_per_case"} <= set(json.loads((run.run / "summary.json").read_text()))


def test_the_bundle_explains_itself(run):
    bundle = open_bundle(run.bundle)

    assert bundle.card["metrics"]["structures"]["ball"]["dice"]["n"] == 4
    assert bundle.card["metrics"]["scored_on"] == "held-out fold 0, 4 cases"
    assert bundle.recipe.training.steps == 80
    assert bundle.card["data_hash"] == json.loads((run.run / "run.json").read_text())["data_hash"]


def test_the_same_call_again_finds_everything_done(run, toy_dataset, toy_settings):
    before = run.bundle.read_bytes()

    again = fit([toy_dataset], options(run, toy_settings))

    assert run.bundle.read_bytes() == before
    assert again.scores.mean("dice") == run.scores.mean("dice")


def test_another_request_in_the_same_folder_is_refused(run, toy_dataset, toy_settings):
    with pytest.raises(UsageError, match="holds a run with fold = 0, asked for is 1"):
        fit([toy_dataset], options(run, toy_settings, fold=1))


def test_a_fold_that_is_not_there_is_refused_and_nothing_is_written(toy_dataset, toy_settings, tmp_path):
    with pytest.raises(UsageError, match="folds 0 to 1"):
        fit([toy_dataset], FitOptions(into=tmp_path / "run", settings=toy_settings, fold=7))

    assert not (tmp_path / "run").exists()


def test_a_misspelt_device_is_refused_at_once(toy_dataset, tmp_path):
    with pytest.raises(UsageError, match="cuda:N"):
        fit([toy_dataset], FitOptions(into=tmp_path / "run", device="gpu0"))


def test_a_folder_with_other_files_is_left_alone(toy_dataset, toy_settings, tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")

    with pytest.raises(UsageError, match="not of a run"):
        fit([toy_dataset], FitOptions(into=tmp_path, settings=toy_settings))

    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_changed_data_are_noticed_on_resuming(toy_dataset, toy_settings, tmp_path):
    data = shutil.copytree(toy_dataset, tmp_path / "data" / toy_dataset.name)
    chosen = FitOptions(into=tmp_path / "run", settings=(*toy_settings, "training.steps=2"), device="cpu")
    fit([data], chosen)
    shutil.copyfile(data / "labelsTr" / "toy_00.nii.gz", data / "labelsTr" / "toy_01.nii.gz")

    with pytest.raises(DataError, match="the data changed"):
        fit([data], chosen)


def test_a_folder_in_use_is_refused(run, toy_dataset, toy_settings):
    with folder_lock(run.run), pytest.raises(ResourceError, match="another neuraxis process"):
        fit([toy_dataset], options(run, toy_settings))


@pytest.fixture(scope="module")
def budgeted(toy_dataset, toy_settings, tmp_path_factory):
    """A run whose speed was measured ten times too fast."""
    settings = tuple(setting for setting in toy_settings if not setting.startswith("training.steps"))
    chosen = FitOptions(into=tmp_path_factory.mktemp("runs") / "one", settings=settings, budget_s=22, device="cpu")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuraxis.training.train.seconds_per_step", lambda *arguments: (0.001, 10))
        return fit([toy_dataset], chosen)


def test_a_budget_fixes_the_steps_and_corrects_them_by_the_observed_pace(budgeted):
    content = json.loads((budgeted.run / "run.json").read_text())
    kinds = [event["kind"] for event in content["events"]]
    fixed, *corrected = [event for event in content["events"] if event["kind"].startswith("steps_")]

    assert kinds.index("steps_fixed") < kinds.index("steps_corrected") < kinds.index("trained")
    assert corrected[0]["steps"] < fixed["steps"]
    assert open_bundle(budgeted.bundle).recipe.training.steps == corrected[-1]["steps"]
    assert f"steps = {corrected[-1]['steps']}\n" in (budgeted.run / "recipe.toml").read_text()
    assert content["reasons"]["training.steps"].endswith(corrected[-1]["reason"])


def test_a_repeat_replays_the_decisions_of_a_budget_bit_for_bit(budgeted, toy_dataset, tmp_path):
    again = fit([toy_dataset], FitOptions(into=tmp_path / "two", repeat=budgeted.run, device="cpu"))

    decisions = [
        [event for event in json.loads((run / "run.json").read_text())["events"] if event["kind"].startswith("steps_")]
        for run in (budgeted.run, again.run)
    ]
    assert decisions[0] == decisions[1]
    bundles = [open_bundle(result.bundle) for result in (budgeted, again)]
    assert bundles[0].recipe == bundles[1].recipe
    assert bundles[0].folds[0].weights.read_bytes() == bundles[1].folds[0].weights.read_bytes()


def test_a_run_whose_budget_could_still_change_the_steps_is_not_repeated(budgeted, toy_dataset, tmp_path):
    copy = shutil.copytree(budgeted.run, tmp_path / "run")
    content = json.loads((copy / "run.json").read_text())
    content["events"] = [event for event in content["events"] if event["kind"] not in ("trained", "finished")]
    (copy / "run.json").write_text(json.dumps(content))

    with pytest.raises(UsageError, match=r"could still change the steps\. Resume that run first"):
        fit([toy_dataset], FitOptions(into=tmp_path / "two", repeat=copy, device="cpu"))


def test_a_profile_is_part_of_the_report_and_not_of_what_was_asked(toy_dataset, toy_settings, tmp_path):
    chosen = FitOptions(into=tmp_path, settings=(*toy_settings, "training.steps=6"), device="cpu")
    fit([toy_dataset], replace(chosen, profile=True))

    assert "backward: convolution" in (tmp_path / "profile.csv").read_text()
    assert "Time of a step" in (tmp_path / "report.html").read_text()
    fit([toy_dataset], chosen)


def test_a_large_budget_does_not_exceed_the_steps_that_were_set(toy_dataset, toy_settings, tmp_path):
    chosen = FitOptions(into=tmp_path, settings=(*toy_settings, "training.steps=3"), budget_s=3600, device="cpu")

    assert open_bundle(fit([toy_dataset], chosen).bundle).recipe.training.steps == 3
    assert "The 3 that were set are kept." in (tmp_path / "recipe.toml").read_text()


def test_a_budget_without_room_for_a_step_is_refused_with_what_is_needed(toy_dataset, toy_settings, tmp_path):
    settings = tuple(setting for setting in toy_settings if not setting.startswith("training.steps"))

    with pytest.raises(UsageError, match=r"leave no room .* Needed are at least"):
        fit([toy_dataset], FitOptions(into=tmp_path, settings=settings, budget_s=2, device="cpu"))


def test_a_run_killed_between_its_first_files_resumes(toy_dataset, toy_settings, tmp_path):
    chosen = FitOptions(into=tmp_path / "run", settings=(*toy_settings, "training.steps=2"), device="cpu")
    fit([toy_dataset], chosen)
    for path in [*chosen.into.iterdir()]:
        if path.name != "run.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (chosen.into / ".part-left").write_bytes(b"half")

    fit([toy_dataset], chosen)

    assert (chosen.into / "report.html").is_file()
    assert not list(chosen.into.rglob(".part-*"))


def test_predictions_of_other_weights_are_made_again(run, toy_dataset, toy_settings, tmp_path):
    copy = shutil.copytree(run.run, tmp_path / "run")
    content = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps({**content, "predicted_with": "other weights"}))
    first = next((copy / "predictions").glob("*.nii.gz"))
    first.write_bytes(b"stale")

    again = fit([toy_dataset], options(run, toy_settings, into=copy))

    assert again.scores.mean("dice") == run.scores.mean("dice")


def test_changed_labels_are_noticed_on_resuming(toy_dataset, toy_settings, tmp_path):
    data = shutil.copytree(toy_dataset, tmp_path / "data" / toy_dataset.name)
    chosen = FitOptions(into=tmp_path / "run", settings=(*toy_settings, "training.steps=2"), device="cpu")
    fit([data], chosen)
    description = json.loads((data / "dataset.json").read_text())
    description["labels"] = {"background": 0, "core": 1, "shell": 2}
    (data / "dataset.json").write_text(json.dumps(description))

    with pytest.raises(DataError, match="the data changed"):
        fit([data], chosen)


def test_a_repeat_of_another_fold_is_refused(run, toy_dataset):
    with pytest.raises(UsageError, match=r"held out fold 0. Add --fold 0"):
        fit([toy_dataset], FitOptions(into=run.run.with_name("folds"), repeat=run.run, fold=1))


def test_a_repeat_takes_no_other_decisions(toy_dataset, run):
    with pytest.raises(UsageError, match="leave out --recipe, --set, --budget, --from and --add"):
        fit([toy_dataset], FitOptions(into=run.run.with_name("other"), repeat=run.run, budget_s=60))


def test_a_repeat_of_what_is_no_run_is_refused(toy_dataset, tmp_path):
    with pytest.raises(UsageError, match="is not the folder of a run"):
        fit([toy_dataset], FitOptions(into=tmp_path / "new", repeat=tmp_path))


def test_two_datasets_become_two_sites(toy_dataset, toy_settings, tmp_path):
    second = shutil.copytree(toy_dataset, tmp_path / "Dataset002_Other")
    for path in [*second.glob("imagesTr/*"), *second.glob("labelsTr/*")]:
        path.rename(path.with_name(path.name.replace("toy", "other")))
    for path in second.glob("imagesTr/*.nii.gz"):
        _brighten(path)

    result = fit(
        [toy_dataset, second],
        FitOptions(
            into=tmp_path / "run", settings=(*toy_settings, "training.steps=2"), device="cpu", allow_leak=True
        ),  # its scans are those of the first, brighter
    )

    assert {row.site for row in result.scores.rows} == {toy_dataset.name, second.name}


def _brighten(path):
    import nibabel as nib
    import numpy as np

    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj) + 7, image.affine), path)
