"""Two processes that train together on a CPU, against one that trains alone."""

import dataclasses

import pytest
import torch

from neuraxis.errors import UsageError
from neuraxis.losses.catalog import LOSSES
from neuraxis.pipelines.steps import job_of_store, prepare_datasets
from neuraxis.recipe.branches.stages import StageRecipe
from neuraxis.training.curves import read_curves
from neuraxis.training.devices.company import Company
from neuraxis.training.devices.options import Devices
from neuraxis.training.devices.ranks import ALONE
from neuraxis.training.train import make_task, seconds_per_step, train

NEAR = 1e-5


@pytest.fixture(scope="module")
def store(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    settings = (*toy_settings, "training.steps=12", "training.precision=fp32", "training.validations=6")
    prepare_datasets([toy_dataset], "auto", (*settings, "training.learning_rate=0.003"), folder)
    return folder


@pytest.fixture(scope="module")
def company():
    with Company(Devices(2), "cpu") as company:
        yield company


def job(store, folder, ranks=ALONE, stage=(), **changes):
    """Return the training of a store with some keys of its recipe changed, such as training={"steps": 3}."""
    plain = job_of_store(store, folder, 0, "cpu")
    parts = {name: getattr(plain.recipe, name).model_copy(update=keys) for name, keys in changes.items()}
    return dataclasses.replace(plain, recipe=plain.recipe.model_copy(update={**parts, "stage": stage}), ranks=ranks)


def weights(task):
    return torch.cat([value.flatten() for value in task.shipped_network().state_dict().values()])


def rows(folder):
    return read_curves(folder / "curves.csv")


def assert_alike(one, other):
    assert [row["step"] for row in one] == [row["step"] for row in other]
    for name in ("loss", "validation_loss", "learning_rate"):
        for mine, theirs in zip(one, other, strict=True):
            assert mine[name] == pytest.approx(theirs[name], abs=NEAR), (name, mine["step"])


SGD = {"optimizer": "sgd", "learning_rate": 0.003, "momentum": 0.9}  # Adam makes much of gradients that are next to 0
SETTINGS = {
    "Adam": {},
    "a batch that two do not divide": {"patches": {"batch": 3}, "training": SGD},
    "batches added up, clipped by norm and value": {
        "training": {**SGD, "accumulate": 2, "clip_norm": 0.5, "clip_value": 0.05, "loader_workers": 1}
    },
    "one scale, Dice sample by sample": {"loss": {"deep_supervision": False, "batch_dice": False}, "training": SGD},
    "a rate that falls on plateaus": {
        "training": {**SGD, "schedule": "plateau", "plateau_patience": 1, "least_gain": 0.5, "watch": "loss"}
    },
    "stages, each with frozen parts and rates of its own": {
        "training": SGD,
        "stage": (
            StageRecipe(share=0.4, freeze=("encoder.0",)),
            StageRecipe(share=0.6, freeze=("heads",), rates={"decoder": 0.5}, learning_rate=0.002),
        ),
    },
    "an early end": {"training": {**SGD, "stop_patience": 2, "least_gain": 0.5, "watch": "loss", "ema_decay": 0}},
}


@pytest.mark.parametrize("changes", SETTINGS.values(), ids=SETTINGS.keys())
def test_two_processes_learn_as_one_does(store, company, tmp_path, changes):
    alone = train(job(store, tmp_path / "alone", **changes))
    together = train(job(store, tmp_path / "together", company, **changes))

    assert together.step == alone.step
    assert together.watch.falls == alone.watch.falls
    assert together.watch.stopped_at == alone.watch.stopped_at
    assert_alike(rows(tmp_path / "together"), rows(tmp_path / "alone"))
    if changes == SETTINGS["an early end"]:
        assert alone.step < 12
    if changes == SETTINGS["a rate that falls on plateaus"]:
        assert alone.watch.falls > 0


@pytest.mark.parametrize("name", LOSSES.names())
def test_the_gradients_of_every_loss_add_up_to_that_of_the_whole_batch(store, company, tmp_path, name):
    """Without momentum, weights after a step are the gradient; a batch of 3 makes the shares unlike.

    The tolerance is for single voxels that rounding takes to the other side of a ReLU's kink.
    """
    loss = {"name": name, "options": {}}
    changes = {"loss": loss, "patches": {"batch": 3}, "training": {"steps": 1, "optimizer": "sgd", "momentum": 0.0}}
    changes["training"] |= {"nesterov": False, "learning_rate": 1.0, "warmup_steps": 0, "ema_decay": 0, "clip_norm": 0}
    changes["training"] |= {"weight_decay": 0.0}
    before = weights(make_task(job(store, tmp_path, **changes)))
    alone, together = (
        weights(train(job(store, tmp_path / str(ranks.count), ranks, **changes))) for ranks in (ALONE, company)
    )

    step = alone - before
    assert step.norm() > 1e-3
    assert (together - alone).norm() < 1e-3 * step.norm()


def test_a_run_goes_on_with_another_number_of_processes(store, company, tmp_path):
    straight = train(job(store, tmp_path / "straight"))

    for steps, ranks in ((3, ALONE), (4, company), (99, ALONE)):
        asked = iter(range(steps - 1))
        last = train(job(store, tmp_path / "changing", ranks), stop=lambda asked=asked: next(asked, None) is None)

    assert (last.first_step, last.step, straight.step) == (7, 12, 12)
    assert_alike(rows(tmp_path / "changing"), rows(tmp_path / "straight"))


def test_two_trainings_of_two_processes_are_equal_to_the_bit(store, company, tmp_path):
    one, other = (train(job(store, tmp_path / name, company, training={"precision": "bf16"})) for name in "ab")

    assert torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("stage", [(), (StageRecipe(share=0.5, freeze=("encoder",)), StageRecipe(share=0.5))])
def test_steps_fixed_anew_on_the_way_hold_for_all(store, company, tmp_path, stage):
    decisions = {3: 20, 6: 9}
    finished = [
        train(
            job(store, tmp_path / str(ranks.count), ranks, stage, training=SGD),
            steer=lambda moment: decisions.get(moment.step),
        )
        for ranks in (ALONE, company)
    ]

    assert [task.step for task in finished] == [9, 9]
    assert_alike(rows(tmp_path / "2"), rows(tmp_path / "1"))


def test_one_process_alone_writes(store, company, tmp_path):
    for ranks in (ALONE, company):
        train(job(store, tmp_path / str(ranks.count), ranks, training={"steps": 2}))
    alone, together = ({path.name for path in (tmp_path / name).iterdir()} for name in "12")

    assert together == alone
    assert len([*(tmp_path / "2" / "tensorboard").iterdir()]) == 1


def test_the_time_of_a_step_of_two_is_measured_with_both(store, company, tmp_path):
    before = torch.get_num_threads()
    step_s, timed = seconds_per_step(job(store, tmp_path, company), 0.2, 0.5)

    assert timed >= 3
    assert step_s > 0
    assert not [*tmp_path.iterdir()]
    assert torch.get_num_threads() == before


def test_a_batch_that_cannot_be_shared_is_refused(store, company, tmp_path):
    with pytest.raises(UsageError, match="too few to share"):
        train(job(store, tmp_path, company, patches={"batch": 1}))


def test_soft_labels_are_shared_in_half_precision_too(toy_dataset, toy_settings, company, tmp_path):
    soft = ("labels.soft=2", "labels.names={ball=1}", "training.steps=3", "training.precision=bf16")
    prepare_datasets([toy_dataset], "auto", (*toy_settings, *soft), tmp_path / "store")

    together = train(job(tmp_path / "store", tmp_path / "run", company))

    assert [row["loss"] > 0 for row in rows(tmp_path / "run")][-1]
    assert together.step == 3
