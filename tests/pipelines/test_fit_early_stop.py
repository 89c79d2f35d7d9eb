"""A fit with a budget whose training ends early by itself."""

import json

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.training.curves import read_curves

NOTHING_GAINS = (
    "training.stop_patience=3",
    "training.least_gain=1e9",
    "training.validations=5",
    "training.schedule=plateau",
    "loss.name=dice_focal",
    "loss.options.gamma=1.5",
    "loss.class_weights=fingerprint",
    "previews.every=0",
)


@pytest.fixture(scope="module")
def run(toy_dataset, toy_settings, tmp_path_factory):
    """A run in whose budget there is hardly time for validations: five of them, as its patience needs."""
    settings = tuple(setting for setting in toy_settings if not setting.startswith("training.steps"))
    chosen = FitOptions(
        into=tmp_path_factory.mktemp("runs") / "one", settings=(*settings, *NOTHING_GAINS), budget_s=30, device="cpu"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuraxis.training.train.seconds_per_step", lambda *arguments: (0.3, 10))
        return fit([toy_dataset], chosen), chosen


def events(result, kind):
    return [event for event in json.loads((result.run / "run.json").read_text())["events"] if event["kind"] == kind]


def test_the_run_says_when_and_why_it_ended(run):
    result, _ = run
    (fixed,), (stopped,), (trained,) = (events(result, kind) for kind in ("steps_fixed", "stopped_early", "trained"))
    rows = read_curves(result.run / "curves.csv")

    assert fixed["validations"] == 5
    assert stopped["step"] == trained["steps"] == rows[-1]["step"] < fixed["steps"]
    assert (stopped["best_step"], len(rows)) == (rows[0]["step"], 4)
    assert "training ended early: validation_dice gained nothing by more than 1e+09 in 3" in stopped["reason"]
    assert stopped["reason"] in result.report.read_text()
    assert stopped["reason"] in (result.run / "log.txt").read_text()


def test_its_scores_say_that_the_held_out_cases_chose_when_to_end(run):
    result, _ = run

    assert result.scores.selected_on_these_cases
    assert open_bundle(result.bundle).card["metrics"]["selected_on_these_cases"]
    assert "Selected on these cases" in result.report.read_text()


def test_its_recipe_holds_the_weights_that_the_fingerprint_gave(run):
    recipe = open_bundle(run[0].bundle).recipe

    background, ball, shell = recipe.loss.class_weights
    assert background < shell < ball
    assert recipe.loss.options == {"gamma": 1.5}


def test_the_same_call_again_finds_everything_done(run, toy_dataset):
    result, chosen = run
    before = result.bundle.read_bytes()

    assert fit([toy_dataset], chosen).bundle.read_bytes() == before
    assert len(events(result, "stopped_early")) == 1


def test_a_repeat_ends_at_the_same_step_with_the_same_weights(run, toy_dataset, tmp_path):
    again = fit([toy_dataset], FitOptions(into=tmp_path / "two", repeat=run[0].run, device="cpu"))

    stops = [[event["step"] for event in events(result, "stopped_early")] for result in (run[0], again)]
    assert stops[0] == stops[1]
    weights = [open_bundle(result.bundle).folds[0].weights.read_bytes() for result in (run[0], again)]
    assert weights[0] == weights[1]
