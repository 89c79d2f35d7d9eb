"""Whole trainings with plateaus, early stopping, accumulation and every optimiser: resumable bit for bit."""

import dataclasses

import pytest
import torch

from neuraxis.errors import RecipeError
from neuraxis.losses.boundary import Boundary
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.training.curves import read_curves
from neuraxis.training.schedule import course_of
from neuraxis.training.task import build_loss
from neuraxis.training.train import train


@pytest.fixture(scope="module")
def store(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    small = ("network.options.features=[2,4,8]", "augmentation.preset=none", "previews.every=0", "patches.batch=1")
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *small, "training.steps=12"), folder)
    return folder


def job(store, folder, loss=(), **training):
    plain = job_of_store(store, folder, 0, "cpu")
    recipe = plain.recipe.model_copy(
        update={
            "training": plain.recipe.training.model_copy(update={"validations": 6, **training}),
            "loss": type(plain.recipe.loss)(**{**plain.recipe.loss.model_dump(), **dict(loss)}),
        }
    )
    return dataclasses.replace(plain, recipe=recipe)


def weights(task):
    return torch.cat([value.flatten() for value in task.shipped_network().state_dict().values()])


def stop_after(steps):
    asked = iter(range(steps - 1))
    return lambda: next(asked, None) is None


def rows(folder):
    return [
        {key: value for key, value in row.items() if key != "seconds"} for row in read_curves(folder / "curves.csv")
    ]


NOTHING_GAINS = {"least_gain": 1e9}
PLATEAU = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 1, "warmup_steps": 0, **NOTHING_GAINS}


WATCHED = {
    "plateau and early stop": ({**PLATEAU, "stop_patience": 3}, 8),
    "plateau and accumulation": ({**PLATEAU, "accumulate": 3, "watch": "loss", "precision": "bf16"}, 12),
    "restarts": ({"schedule": "restarts", "accumulate": 2, "optimizer": "adam", "clip_value": 0.01}, 12),
    "one-cycle and early stop": (
        {"schedule": "one-cycle", "optimizer": "sgd", "watch": "validation_loss", "stop_patience": 4, **NOTHING_GAINS},
        10,
    ),
}


@pytest.fixture(scope="module", params=WATCHED.values(), ids=WATCHED)
def straight(request, store, tmp_path_factory):
    """A training that nothing interrupted, with its settings."""
    settings, steps = request.param
    folder = tmp_path_factory.mktemp("straight")
    task = train(job(store, folder, **settings))
    assert task.step == steps
    return task, settings, rows(folder)


@pytest.mark.parametrize("stop", [3, 6])
def test_an_interrupted_training_ends_with_the_weights_of_one_that_never_stopped(store, tmp_path, straight, stop):
    task, settings, expected = straight
    first = train(job(store, tmp_path, **settings), stop=stop_after(stop))

    second = train(job(store, tmp_path, **settings))

    assert first.step == stop
    assert not torch.equal(weights(task), weights(first))
    assert torch.equal(weights(task), weights(second))
    assert (task.step, task.watch.state()) == (second.step, second.watch.state())
    assert rows(tmp_path) == expected


def test_the_learning_rate_falls_on_a_plateau(store, tmp_path):
    train(job(store, tmp_path, **PLATEAU, floor=0.2, learning_rate=0.1))

    rates = [row["learning_rate"] for row in rows(tmp_path)]
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.02, 0.02])


def test_a_training_that_ended_early_is_not_gone_on_with(store, tmp_path):
    settings = {"stop_patience": 1, **NOTHING_GAINS}
    ended = train(job(store, tmp_path, **settings))
    before = (tmp_path / "checkpoint.pt").stat().st_mtime_ns

    again = train(job(store, tmp_path, **settings), steer=lambda moment: 99)

    assert (ended.step, again.step, again.watch.stopped_at) == (4, 4, 4)
    assert again.watch.reason == ended.watch.reason
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == before


def test_a_budget_corrects_no_step_after_an_early_end(store, tmp_path):
    asked = []

    def steer(moment):
        asked.append(moment.step)
        return 30 if moment.step == 2 else None

    settings = {"stop_patience": 1, **NOTHING_GAINS}
    ended = train(job(store, tmp_path / "straight", **settings), steer=steer)
    replayed = dataclasses.replace(job(store, tmp_path / "again", **settings), course=course_of(12, [(2, 30)]))

    assert (ended.step, asked) == (4, [1, 2, 3])
    assert torch.equal(weights(ended), weights(train(replayed)))


def test_added_up_gradients_are_those_of_one_large_batch(store, tmp_path):
    """Instance norm and Dice sample by sample: no patch hears of another."""
    loss = {"batch_dice": False}
    settings = {"optimizer": "sgd", "ema_decay": 0.0, "precision": "fp32", "steps": 4, "validations": 2}
    whole = job(store, tmp_path / "whole", loss, **settings)
    patches = whole.recipe.patches.model_copy(update={"batch": 2})
    whole = dataclasses.replace(whole, recipe=whole.recipe.model_copy(update={"patches": patches}))

    parts = train(job(store, tmp_path / "parts", loss, accumulate=2, **settings))

    at_once = train(whole)
    assert torch.allclose(weights(at_once), weights(parts), atol=1e-5)
    assert not torch.allclose(
        weights(at_once), weights(train(job(store, tmp_path / "few", loss, **settings))), atol=1e-3
    )
    for one, other in zip(rows(tmp_path / "whole"), rows(tmp_path / "parts"), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], abs=1e-4)


def test_the_boundary_part_hears_how_far_training_is_and_how_large_a_voxel(store, tmp_path):
    task = train(job(store, tmp_path, {"name": "boundary", "options": {"reach": 3}}, steps=1))

    assert isinstance(task.one_scale, Boundary)
    assert task.one_scale.reach == 3
    assert task.one_scale.settings.extent == [16 * mm for mm in task.recipe.preparation.spacing_mm]
    task.loss.at(0.25)
    assert task.one_scale.share_done == 0.25


@pytest.mark.parametrize("name", ["blob", "focal_tversky"])
def test_a_training_with_another_loss_learns(store, tmp_path, name):
    loss = {"name": name, "class_weights": (0.5, 1.0, 1.5), "soft_scales": True}
    train(job(store, tmp_path, loss, steps=30, validations=3, accumulate=2))

    found = rows(tmp_path)
    assert found[-1]["loss"] < 0.95 * found[0]["loss"]
    assert found[-1]["validation_loss"] > 0


def test_class_weights_that_nobody_resolved_are_refused(store, tmp_path):
    recipe = job(store, tmp_path, {"class_weights": "fingerprint"}).recipe

    with pytest.raises(RecipeError, match="plan with the data first"):
        build_loss(recipe, False)
