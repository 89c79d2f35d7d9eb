"""Training: resumable bit for bit, and a function of its seed."""

import csv
import dataclasses
import json
import time
from itertools import pairwise

import pytest
import torch

from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import DataError, RecipeError, ResourceError, UsageError
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.patches.sampler import PatchSampler
from neuraxis.pipelines.steps import job_of_store, prepare_datasets, train_store
from neuraxis.recipe.recipe import TrainingRecipe
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.training.curves import read_curves
from neuraxis.training.schedule import course_of, learning_rate
from neuraxis.training.train import LEAST_TIMED, make_trainer, seconds_per_step, train
from neuraxis.volume.formats import nifti


@pytest.fixture(scope="module")
def store(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    prepare_datasets([toy_dataset], "auto", (*toy_settings, "training.steps=12"), folder)
    return folder


def job(store, folder, **training):
    plain = job_of_store(store, folder, 0, "cpu")
    changed = plain.recipe.training.model_copy(update=training)
    return dataclasses.replace(plain, recipe=plain.recipe.model_copy(update={"training": changed}))


def weights(task):
    return torch.cat([value.flatten() for value in task.shipped_network().state_dict().values()])


def stop_after(steps):
    asked = iter(range(steps - 1))
    return lambda: next(asked, None) is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_training_ends_with_the_weights_of_one_that_never_stopped(store, tmp_path, precision, workers):
    settings = {"precision": precision, "loader_workers": workers}
    straight = train(job(store, tmp_path / "straight", **settings))

    first = train(job(store, tmp_path / "broken", **settings), stop=stop_after(5))
    second = train(job(store, tmp_path / "broken", **settings))

    assert (first.step, second.first_step, second.step) == (5, 5, 12)
    assert torch.equal(weights(straight), weights(second))
    assert not torch.equal(weights(straight), weights(first))
    losses = [[row["loss"] for row in read_curves(tmp_path / name / "curves.csv")] for name in ("straight", "broken")]
    assert losses[0] == losses[1]


class Decider:
    """Fixes the steps anew at chosen steps, and writes each decision down."""

    def __init__(self, decisions, written=()):
        self.decisions, self.written = dict(decisions), list(written)

    def __call__(self, moment):
        steps = self.decisions.get(moment.step)
        if steps is None or moment.step <= moment.course.fixed_at:
            return None
        self.written.append((moment.step, steps))
        return steps


DECISIONS = {3: 20, 6: 9, 8: 11}


def test_steps_fixed_anew_on_the_way_can_be_replayed_bit_for_bit(store, tmp_path):
    decider = Decider(DECISIONS)
    straight = train(job(store, tmp_path / "straight"), steer=decider)
    replayed = dataclasses.replace(job(store, tmp_path / "again"), course=course_of(12, decider.written))

    again = train(replayed)

    assert decider.written == [*DECISIONS.items()]
    assert straight.step == again.step == 11
    assert torch.equal(weights(straight), weights(again))
    assert not torch.equal(weights(straight), weights(train(job(store, tmp_path / "other", steps=11))))
    rows = [
        [(row["step"], row["loss"]) for row in read_curves(tmp_path / name / "curves.csv")]
        for name in ("straight", "again")
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("stop", [2, 5, 7, 10])
def test_an_interruption_between_two_corrections_changes_no_weight(store, tmp_path, stop, caplog):
    straight = train(job(store, tmp_path / "straight"), steer=Decider(DECISIONS))
    decider = Decider(DECISIONS)
    broken = job(store, tmp_path / "broken")
    assert train(broken, stop=stop_after(stop), steer=decider).step == stop
    if stop == 5:  # a decision that was written right before the process died
        decider.written.append((6, 9))

    broken = dataclasses.replace(broken, course=course_of(12, decider.written))
    with caplog.at_level("INFO", "neuraxis"):
        resumed = train(broken, steer=decider)

    assert f"going on after step {stop} of " in caplog.text
    assert decider.written == [*DECISIONS.items()]
    assert (resumed.first_step, resumed.step) == (stop, 11)
    assert torch.equal(weights(straight), weights(resumed))


def test_a_finished_training_is_not_trained_again(store, tmp_path):
    done = train(job(store, tmp_path))
    before = (tmp_path / "checkpoint.pt").stat().st_mtime_ns

    again = train(job(store, tmp_path))

    assert again.step == 12
    assert torch.equal(weights(done), weights(again))
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == before


def test_another_seed_gives_other_weights(store, tmp_path):
    first = job(store, tmp_path / "a")
    other = dataclasses.replace(first, folder=tmp_path / "b", recipe=first.recipe.model_copy(update={"seed": 1}))

    assert not torch.equal(weights(train(first)), weights(train(other)))


def test_global_random_generators_have_no_influence(store, tmp_path):
    torch.manual_seed(1)
    one = weights(train(job(store, tmp_path / "a")))
    torch.manual_seed(2)
    other = weights(train(job(store, tmp_path / "b")))

    assert torch.equal(one, other)


def test_the_loss_falls(store, tmp_path):
    train(job(store, tmp_path, steps=40, validations=4))

    rows = read_curves(tmp_path / "curves.csv")
    assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
    assert list((tmp_path / "tensorboard").iterdir())


def test_a_checkpoint_that_is_no_checkpoint_is_refused_and_never_unpickled(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Evil()))

    with pytest.raises(DataError, match="cannot be read"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "executed").exists()


def test_a_training_that_diverges_is_told_in_words(store, tmp_path):
    with pytest.raises(RecipeError, match=r"diverged. Lower training.learning_rate"):
        train(job(store, tmp_path, learning_rate=1e30, steps=40, warmup_steps=0, clip_norm=1e30))


def test_another_fold_in_the_same_folder_is_refused(store, tmp_path):
    train_store(store, tmp_path / "run", 0, "cpu")

    with pytest.raises(UsageError, match="holds a run with fold = 0, asked for is 1"):
        train_store(store, tmp_path / "run", 1, "cpu")


def test_a_store_trains_into_a_bundle_that_segments(store, toy_dataset, tmp_path):
    bundle = open_bundle(train_store(store, tmp_path / "run", 1, "cpu"))

    found = Predictor(bundle, PredictorOptions(cache=tmp_path)).predict(
        nifti.read(toy_dataset / "imagesTr" / "toy_00_0000.nii.gz")
    )

    assert bundle.folds[0].index == 1
    assert bundle.card["metrics"]["structures"] == {}
    assert found.segmentation.grid.shape == (20, 18, 16)


def test_a_folder_with_other_files_is_left_alone(store, tmp_path):
    (tmp_path / "checkpoint.pt").write_bytes(b"precious")

    with pytest.raises(UsageError, match="not of a run"):
        train_store(store, tmp_path, 0, "cpu")

    assert (tmp_path / "checkpoint.pt").read_bytes() == b"precious"


def test_speed_is_measured_without_touching_the_run(store, tmp_path):
    seconds, timed = seconds_per_step(job(store, tmp_path / "run"), wanted_s=0.2, most_s=0.5)

    assert seconds > 0
    assert timed >= LEAST_TIMED
    assert not (tmp_path / "run").exists()


def test_profiling_changes_no_weight_and_tells_where_time_went(store, tmp_path):
    plain = train(job(store, tmp_path / "plain"))
    profiled = train(dataclasses.replace(job(store, tmp_path / "profiled"), profile=True))

    assert torch.equal(weights(plain), weights(profiled))
    with (tmp_path / "profiled" / "profile.csv").open(newline="") as stream:
        rows = {row["operation"]: row for row in csv.DictReader(stream)}
    promised = {f"{way}: {kind}" for way in ("forward", "backward") for kind in ("convolution", "normalisation")}
    assert {*promised, "augmentation", "loss", "optimiser", "running mean", "waiting for data"} <= set(rows)
    assert float(rows["backward: convolution"]["milliseconds"]) > 0
    assert sum(float(row["share"]) for row in rows.values()) == pytest.approx(1, abs=0.05)
    trace = json.loads((tmp_path / "profiled" / "profile" / "trace.json").read_text())
    assert any(event["name"] == "augmentation" for event in trace["traceEvents"])


@pytest.mark.parametrize("steps", [1, 3])
def test_a_training_of_few_steps_can_be_profiled(store, tmp_path, steps):
    train(dataclasses.replace(job(store, tmp_path, steps=steps), profile=True))

    assert "optimiser" in (tmp_path / "profile.csv").read_text()


def test_the_share_of_time_spent_waiting_is_measured(store, tmp_path, monkeypatch):
    slow = PatchSampler.batch

    def dawdle(self, step, into=None):
        time.sleep(0.2)
        return slow(self, step, into)

    quick = train(job(store, tmp_path / "quick", validations=1))
    monkeypatch.setattr(PatchSampler, "batch", dawdle)

    slowed = train(job(store, tmp_path / "slow", validations=1))
    assert slowed.clock.waiting_share > max(0.2, quick.clock.waiting_share)


def test_a_device_that_is_not_there_is_named(store, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    plain = dataclasses.replace(job(store, tmp_path), device="cuda")

    with pytest.raises(ResourceError, match="shows no such device"):
        make_trainer(plain, [], AtomicCheckpointIO())


@pytest.mark.parametrize("schedule", ["cosine", "poly"])
def test_the_learning_rate_rises_then_falls_to_nothing(schedule):
    recipe = TrainingRecipe(steps=100, warmup_steps=10, learning_rate=1.0, schedule=schedule)
    rates = [learning_rate(step, recipe) for step in range(100)]

    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert all(later < earlier for earlier, later in pairwise(rates[10:]))
    assert rates[-1] < 0.03
