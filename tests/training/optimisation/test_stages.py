"""A training in stages: what moves in each, at which rate, and that it resumes at every step."""

from __future__ import annotations

import dataclasses
import json
import tomllib

import numpy as np
import pytest
import torch
from torch import nn

from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import RecipeError, UsageError
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.recipe.branches.stages import StageRecipe
from neuraxis.recipe.recipe import NetworkRecipe, Recipe
from neuraxis.recipe.wishes import check_keys, resolve
from neuraxis.training.curves import read_curves
from neuraxis.training.optimisation.parts import hold_still, part_names
from neuraxis.training.optimisation.stage_schedule import first_step, refuse_empty_stages, stage_at, staged_rate
from neuraxis.training.schedule import Course, learning_rate
from neuraxis.training.train import make_task, train

STAGES = (
    StageRecipe(share=0.5, freeze=("encoder.0", "heads"), channels=("FLAIR", "T1"), learning_rate=0.02),
    StageRecipe(share=0.5, freeze=("encoder",), rates={"decoder": 0.5, "*.bias": 0.1}),
)
TWO = (StageRecipe(share=0.5), StageRecipe(share=0.5))


@pytest.fixture(scope="module")
def store(toy_channels, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    settings = (*toy_settings, "training.steps=10", "training.warmup_steps=2", "training.precision=fp32")
    prepare_datasets([toy_channels], "auto", settings, folder)
    return folder


@pytest.fixture(scope="module")
def straight(store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight")
    return folder, train(staged(store, folder, *STAGES))


def staged(store, folder, *stages, **training):
    plain = job_of_store(store, folder, 0, "cpu")
    changed = plain.recipe.training.model_copy(update=training)
    recipe = plain.recipe.model_copy(update={"training": changed, "stage": stages})
    return dataclasses.replace(plain, recipe=recipe)


def weights(task):
    return {name: value.clone() for name, value in task.network.state_dict().items()}


def stop_after(steps):
    asked = iter(range(steps - 1))
    return lambda: next(asked, None) is None


def moved(before, after):
    return {name for name, value in after.items() if not torch.equal(value, before[name])}


# --- what moves ---


def test_a_frozen_part_does_not_move_and_all_else_does(store, straight, tmp_path):
    drawn = weights(make_task(staged(store, tmp_path, *STAGES)))
    first = weights(train(staged(store, tmp_path, *STAGES), stop=stop_after(5)))

    frozen = {name for name in drawn if name.startswith(("encoder.0.", "heads."))}
    assert moved(drawn, first) == set(drawn) - frozen
    unused = {"heads.1.weight", "heads.1.bias"}  # of the coarsest scale, which weighs nothing
    after = {name for name in drawn if not name.startswith("encoder.")} - unused
    assert moved(first, weights(straight[1])) == after


@pytest.mark.parametrize("step", [4, 5, 6])
def test_it_resumes_bit_for_bit_before_at_and_after_the_change_of_stages(store, straight, tmp_path, step):
    place, whole = straight
    train(staged(store, tmp_path, *STAGES), stop=stop_after(step))
    resumed = train(staged(store, tmp_path, *STAGES))

    assert resumed.first_step == step
    assert moved(weights(whole), weights(resumed)) == set()
    assert moved(whole.running.state_dict(), resumed.running.state_dict()) == set()
    curves = [read_curves(at / "curves.csv") for at in (place, tmp_path)]
    rows = [[(row["loss"], row["stage"]) for row in curve] for curve in curves]
    assert rows[0] == rows[1]
    assert [(row["step"], row["stage"]) for row in curves[0]] == [(3, 1), (5, 1), (6, 2), (9, 2), (10, 2)]


def test_a_stage_is_a_training_of_its_own_with_a_fresh_optimiser(store, tmp_path):
    half = train(staged(store, tmp_path / "half", *TWO), stop=stop_after(5))
    alone = train(staged(store, tmp_path / "alone", steps=5))
    for name, value in weights(alone).items():
        torch.testing.assert_close(half.network.state_dict()[name], value, rtol=1e-4, atol=1e-5)

    task = make_task(staged(store, tmp_path / "task", *TWO))
    optimizer = task.configure_optimizers()
    optimizer.state["moments"] = {}
    task.stages.lead(4, task.course, optimizer)
    assert optimizer.state
    task.stages.lead(5, task.course, optimizer)
    assert not optimizer.state


def test_without_stages_the_curves_do_not_speak_of_any(store, tmp_path):
    train(staged(store, tmp_path, steps=3))
    assert "stage" not in (tmp_path / "curves.csv").read_text()


def test_a_factor_slows_the_weights_that_it_names(straight):
    _, task = straight
    groups = task.trainer.optimizers[0].param_groups
    rate = staged_rate(9, task.recipe, task.course)
    rates = {1.0: rate, 0.5: rate / 2, 0.1: rate / 10}
    assert {group["factor"]: group["lr"] for group in groups} == pytest.approx(rates)
    names = {id(parameter): name for name, parameter in task.network.named_parameters()}
    slow = {names[id(parameter)] for group in groups if group["factor"] == 0.1 for parameter in group["params"]}
    assert slow == {name for name in names.values() if name.endswith(".bias") and not name.startswith("encoder.")}


def test_statistics_of_frozen_batch_normalisation_stay(store, tmp_path):
    stages = (StageRecipe(share=0.5, freeze=("inner.model.0",)), StageRecipe(share=0.5))
    job = staged(store, tmp_path, *stages, steps=4, ema_decay=0.0, validations=4)
    options = {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]], "norm": "batch"}
    network = NetworkRecipe(name="monai-unet", options=options)
    loss = job.recipe.loss.model_copy(update={"deep_supervision": False})
    job = dataclasses.replace(job, recipe=job.recipe.model_copy(update={"network": network, "loss": loss}))
    drawn = weights(make_task(job))
    first = weights(train(job, stop=stop_after(2)))
    statistics = {name for name in drawn if "running_" in name}
    frozen = {name for name in statistics if name.startswith("inner.model.0.")}
    assert frozen
    assert moved(drawn, first) & statistics == statistics - frozen
    assert statistics <= moved(first, weights(train(job)))


def test_statistics_move_where_a_weight_beside_them_does():
    network = nn.ModuleDict({part: nn.BatchNorm3d(1, affine=part != "bare") for part in ("a", "b", "bare")}).train()

    def learning():
        return {part for part, norm in network.items() if norm.training}

    hold_still(network, StageRecipe(freeze=("a", "bare", "b.weight")))
    assert learning() == {"b"}
    assert {name for name, parameter in network.named_parameters() if parameter.requires_grad} == {"b.bias"}
    network["b"].bias.grad = torch.ones(1)
    hold_still(network.train(), StageRecipe(freeze=("*",)))
    assert learning() == set()
    assert network["b"].bias.grad is None


def test_a_plateau_of_one_stage_does_not_slow_the_next(store, tmp_path):
    task = make_task(staged(store, tmp_path, *TWO, schedule="plateau", plateau_patience=1, validations=10))
    for step in (1, 2, 3):
        task.watch.see(step, {"validation_dice": 0.5})
    assert task.watch.factor < 1
    task.stages.lead(5, task.course, task.configure_optimizers())
    assert (task.watch.factor, task.stages.current) == (1.0, 1)


def test_only_the_last_stage_ends_early(store, tmp_path):
    task = make_task(staged(store, tmp_path, *TWO, stop_patience=1, validations=10))
    optimizer = task.configure_optimizers()
    task.stages.lead(0, task.course, optimizer)
    for step in (1, 2, 3):
        task.watch.see(step, {"validation_dice": 0.5})
    assert task.watch.stopped_at is None
    task.stages.lead(5, task.course, optimizer)
    for step in (6, 7):
        task.watch.see(step, {"validation_dice": 0.5})
    assert task.watch.stopped_at == 7


# --- the schedule ---


def recipe(store, *stages, **training):
    return staged(store, store, *stages, **training).recipe


def test_each_stage_warms_up_and_falls_to_nothing(store):
    stages = (StageRecipe(share=0.25, learning_rate=1.0), StageRecipe(share=0.75))
    found = recipe(store, *stages, steps=80, learning_rate=0.1)
    rates = [staged_rate(step, found, Course(80)) for step in range(80)]
    for first, count, highest in ((0, 20, 1.0), (20, 60, 0.1)):
        alone = found.training.model_copy(update={"steps": count, "learning_rate": highest})
        expected = [learning_rate(step, alone) for step in range(count)]
        assert rates[first : first + count] == pytest.approx(expected)


@pytest.mark.parametrize("correction", [(3, 40), (30, 100), (15, 200), (70, 75)])
def test_stages_move_along_with_corrected_steps_and_the_past_stays(store, correction):
    found = recipe(store, StageRecipe(share=0.25), StageRecipe(share=0.25), StageRecipe(share=0.5), steps=80)
    before, after = Course(80), Course(80).corrected(*correction)
    for step in range(correction[0] + 1):
        assert staged_rate(step, found, after) == staged_rate(step, found, before)
        assert stage_at(step, found, after) == stage_at(step, found, before)
    stages = [stage_at(step, found, after) for step in range(after.steps)]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2}
    assert [stages.index(number) for number in range(3)] == [first_step(number, found, after) for number in range(3)]
    assert all(np.isfinite(staged_rate(step, found, after)) for step in range(after.steps))
    assert staged_rate(after.steps - 1, found, after) < 0.2 * found.training.learning_rate


def test_a_stage_without_a_step_is_refused(store):
    refuse_empty_stages(recipe(store, *TWO), Course(2))
    with pytest.raises(UsageError, match="Of the 10 steps stage 2 has none"):
        refuse_empty_stages(recipe(store, StageRecipe(share=0.999), StageRecipe(share=0.001)), Course(10))


# --- what is refused ---


def test_a_part_that_the_network_lacks_is_answered_with_those_that_it_has(store, tmp_path):
    with pytest.raises(RecipeError, match=r"stage 2: freeze names 'encodr', .*encoder\.0, encoder\.1, encoder\.2, "):
        make_task(staged(store, tmp_path, StageRecipe(share=0.5), StageRecipe(share=0.5, freeze=("encodr",))))
    with pytest.raises(RecipeError, match=r"stage 1: rates names 'encoder\.9'"):
        make_task(staged(store, tmp_path, StageRecipe(share=1.0, rates={"encoder.9": 0.1})))
    with pytest.raises(RecipeError, match="stage 1: freezes every weight"):
        make_task(staged(store, tmp_path, StageRecipe(share=1.0, freeze=("*",))))


def test_the_parts_of_a_network_are_named_below_what_all_of_them_share():
    names = ["inner.model.0.conv.weight", "inner.model.1.conv.weight", "inner.model.1.conv.bias"]
    assert part_names(names) == ["inner.model.0", "inner.model.1"]


def test_a_misspelt_key_of_a_stage_is_answered_with_the_nearest():
    with pytest.raises(RecipeError, match=r"No recipe has the key 'stage.1.frees'. Did you mean 'stage.1.freeze'\?"):
        check_keys({"stage": [{"steps": 3}, {"frees": ["encoder"]}]})
    with pytest.raises(RecipeError, match=r"stage.0.steps.* \(found 0\)"):
        check_keys({"stage": [{"steps": 0}]})
    with pytest.raises(RecipeError, match=r"needed is a list of tables, \[\[stage\]\]"):
        check_keys({"stage": ["encoder"]})


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("[[stage]]\nsteps = 5\n[[stage]]\nshare = 0.5\n", "either steps or a share"),
        ("[[stage]]\nshare = 0.5\n[[stage]]\nshare = 0.3\n", "make 0.8; needed is 1"),
        ('[[stage]]\nsteps = 5\nchannels = ["T3"]\n', "stage 1: channels: the data have no channel 'T3'"),
        ('[[stage]]\nsteps = 5\nfreeze = ["tail"]\n', "stage 1: freeze names 'tail'"),
        ("[training]\nsteps = 9\n[[stage]]\nsteps = 5\n", "training.steps is 9, but the stages have 5 steps in all"),
    ],
)
def test_stages_that_do_not_fit_are_refused_before_anything_is_written(toy_channels, tmp_path, stages, message):
    (tmp_path / "wrong.toml").write_text(stages)
    with pytest.raises(RecipeError, match=message):
        fit([toy_channels], FitOptions(into=tmp_path / "run", recipe=tmp_path / "wrong.toml", device="cpu"))
    assert not (tmp_path / "run").exists()


# --- the whole of it ---

FILE = """
[[stage]]
steps = 3
freeze = ["encoder"]
channels = ["FLAIR"]

[[stage]]
steps = 6
learning_rate = 0.005
rates = { encoder = 0.1 }
"""


def test_a_run_in_stages_repeats_bit_for_bit_and_takes_a_budget(toy_channels, toy_settings, tmp_path):
    (tmp_path / "two.toml").write_text(FILE)
    settings = tuple(setting for setting in toy_settings if not setting.startswith("training.steps"))
    options = FitOptions(into=tmp_path / "run", recipe=tmp_path / "two.toml", settings=settings, device="cpu")
    done = fit([toy_channels], options)

    resolved = tomllib.loads((done.run / "recipe.toml").read_text())
    assert resolved["training"]["steps"] == 9
    assert [stage["share"] for stage in resolved["stage"]] == pytest.approx([1 / 3, 2 / 3])
    assert resolve(resolved) == resolve(tomllib.loads(Recipe.model_validate(resolved).to_toml()))
    assert [row["stage"] for row in read_curves(done.run / "curves.csv")] == [1.0, 2.0, 2.0]
    told = (done.run / "log.txt").read_text()
    assert "stage 2 of 2, after step 3: 100.0% of the weights learn, at up to 0.005 (encoder x 0.1)" in told
    assert "frozen: encoder; channels: FLAIR" in told

    again = fit([toy_channels], FitOptions(into=tmp_path / "again", repeat=done.run, device="cpu"))
    kept = [open_bundle(run.bundle).folds[0].weights.read_bytes() for run in (done, again)]
    assert kept[0] == kept[1]
    timed = fit([toy_channels], dataclasses.replace(options, into=tmp_path / "timed", budget_s=60.0))
    fixed = next(e for e in json.loads((timed.run / "run.json").read_text())["events"] if e["kind"] == "steps_fixed")
    assert fixed["most"] == 9
