"""From prepared cases to weights."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.splits import Fold
from neuraxis.errors import NeuraxisError, ResourceError, Stopped
from neuraxis.hardware import processor_has_bf16, usable_cores
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.patches.stream import BatchStream
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.callbacks import Checkpoints, Curves, Steering, Stopping, Telling
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.training.data import Batch, sees_whole_slices, step_stream, training_sampler
from neuraxis.training.determinism import deterministic
from neuraxis.training.devices.pace import Pace
from neuraxis.training.devices.ranks import ALONE, Ranks
from neuraxis.training.interruption import interruptions
from neuraxis.training.live.previews import Previews
from neuraxis.training.live.pulse import Pulse
from neuraxis.training.optimisation.parts import refuse_unknown_parts
from neuraxis.training.optimisation.stage_schedule import refuse_empty_stages
from neuraxis.training.profile import Profiling
from neuraxis.training.schedule import Course, Steer
from neuraxis.training.task import SegmentationTask
from neuraxis.training.transfer.beginning import Beginning, begin_with, tell, write_matches
from neuraxis.training.transfer.matching import Ends

log = logging.getLogger("neuraxis")

HELD_OUT_SEED = 2**31 - 1
EMBEDDINGS = "embeddings"
LEAST_TIMED, FEW_TIMED, MOST_TIMED = 3, 15, 300


@dataclass(frozen=True)
class TrainingJob:
    """What one training needs.

    Attributes:
        store: the prepared cases.
        fold: which of them train and which are held out.
        labels: what the outputs mean.
        recipe: all decisions, the number of steps included.
        channels: number of channels.
        folder: where checkpoint and curves go; training continues from what is there.
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        course: the steps where they were corrected since; None: those of the recipe.
        profile: whether some steps are profiled into `folder`; it changes no weight.
        scans: unlabelled scans by name, prepared, that previews show beside the recipe's cases.
        beginning: a bundle whose weights it begins with, and the names of the channels.
        ranks: the processes that share each batch, one a device.
        deterministic: whether operations that may give other numbers the next time are refused.
    """

    store: Store
    fold: Fold
    labels: Labels
    recipe: Recipe
    channels: int
    folder: Path
    device: str = "auto"
    course: Course | None = None
    profile: bool = False
    scans: Mapping[str, Prepared] = field(default_factory=dict)
    beginning: tuple[Beginning, tuple[str, ...]] | None = None
    ranks: Ranks = ALONE
    deterministic: bool = False


def train(
    job: TrainingJob,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
    steer: Steer = lambda moment: None,
) -> SegmentationTask:
    """Train to the last step, or on from a checkpoint in the job's folder.

    Args:
        job: what to train.
        progress: who shows how far it is.
        stop: asked after each step; once true, a checkpoint is written and the task comes back unfinished.
        steer: asked after each step but the last for another number of steps.

    Raises:
        ResourceError: the device is not there, its memory does not suffice, or a process that cuts patches was ended.
        UsageError: it was to be deterministic and cannot be.
        Stopped: a file `stop` lay in the job's folder; a checkpoint is written.
    """
    training, checkpoint, files = job.recipe.training, job.folder / "checkpoint.pt", AtomicCheckpointIO()
    task = make_task(job)
    if checkpoint.is_file():
        task.restore(files.load_checkpoint(checkpoint))
        log.info("going on after step %d of %d", task.step, task.course.steps)
    elif job.beginning is not None:
        _begin(task, job, *job.beginning)
    if task.step >= task.course.steps:
        return task
    refuse_empty_stages(job.recipe, task.course)
    curves = Curves(job.folder / "curves.csv", held_out_sampler(job), task.course.planned, training.validations)
    with (
        (progress or Silent()).stage("train", task.course.steps) as stage,
        interruptions() as interruption,
        closing(stream_of(job, task.step, training.loader_workers)) as stream,
        repeatable(job),
        job.ranks.at_work(job, task),
        _saved_where_a_rank_is_lost(task, lambda: files.save_checkpoint(task.progress(), checkpoint)),
    ):
        stage.advance(task.step)
        task.clock.start(lambda: stream.waited_s)
        pulse = Pulse(job.folder)
        callbacks: list[L.Callback] = [
            curves,
            *([Previews(job, curves)] if job.recipe.previews.every else []),
            pulse,
            Steering(steer, curves, stage),
            Stopping(lambda: stop() or interruption.came or pulse.asked),
            Telling(stage, curves),
            Checkpoints(checkpoint, training.checkpoint_minutes),
            Pace(job.ranks),
        ]
        if job.profile:
            callbacks.insert(0, Profiling(job.folder, task.course.steps - task.step, stream))
        try:
            run_trainer(make_trainer(job, callbacks, files), task, stream)
        except SystemExit:  # Lightning's own answer to SIGTERM
            if not interruption.came:
                raise
        if task.step < task.course.steps:
            files.save_checkpoint(task.progress(), checkpoint)
    if pulse.asked and task.step < task.course.steps:
        raise Stopped(
            f"{job.folder}: stopped after step {task.step} of {task.course.steps}, as `neuraxis run stop` asked. The "
            "same command again resumes."
        )
    return task


@contextmanager
def _saved_where_a_rank_is_lost(task: SegmentationTask, save: Callable[[], None]) -> Iterator[None]:
    """Save the last step that was taken; not on a GPU, which may have stepped with what a dead rank left behind."""
    try:
        yield
    except NeuraxisError:
        if task.ranks.lost and task.device.type == "cpu":
            save()
        raise


def repeatable(job: TrainingJob) -> AbstractContextManager[None]:
    """Refuse operations that may give other numbers the next time, where that was asked for."""
    if not job.deterministic:
        return nullcontext()

    def try_step() -> None:
        alone = replace(job, ranks=ALONE)
        with closing(stream_of(alone, 0, 0)) as stream:
            trainer = make_trainer(alone, [Stopping(lambda: True)], AtomicCheckpointIO())
            trainer.fit(make_task(alone), train_dataloaders=stream)

    return deterministic(find_device(job.device)[0], try_step)


def _begin(task: SegmentationTask, job: TrainingJob, beginning: Beginning, channels: tuple[str, ...]) -> None:
    """Take over a bundle's weights, and write down what became of each tensor."""
    matches = begin_with(task.network, job.recipe, beginning, Ends(channels, job.labels.outputs))
    task.running.load_state_dict(task.network.state_dict())
    write_matches(matches, job.folder / "transfer.csv")
    tell(matches, beginning.bundle)


def make_task(job: TrainingJob) -> SegmentationTask:
    """Build network, loss and optimiser of a job, untrained."""
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    task = SegmentationTask(job.recipe, job.channels, len(job.labels.outputs), bool(job.labels.regions))
    task.course, task.ranks = job.course or task.course, job.ranks
    refuse_unknown_parts(task.network, job.recipe.stage)
    if hasattr(task.network, "keep_embeddings") and job.recipe.augmentation.preset == "none":
        task.network.keep_embeddings(job.folder / EMBEDDINGS)
    return task


def held_out_sampler(job: TrainingJob) -> PatchSampler:
    """Return the sampler of the fixed held-out patches that the curves show."""
    patches = job.recipe.patches
    whole = sees_whole_slices(job.recipe)
    options = SamplerOptions(patches.shape, patches.shape, patches.batch, 1.0, HELD_OUT_SEED, whole=whole)
    return PatchSampler(job.store, job.fold.validation or job.fold.training, options)


def make_trainer(job: TrainingJob, callbacks: list[L.Callback], files: AtomicCheckpointIO) -> L.Trainer:
    """Build Lightning's Trainer: it runs the loop, until `Stopping` ends it; checkpoints and schedules are ours.

    Raises:
        ResourceError: the device is not there.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    accelerator, devices = find_device(job.device)
    return L.Trainer(
        max_steps=-1,
        max_epochs=-1,
        accelerator=accelerator,
        devices=devices,
        precision=_precision(job.recipe.training.precision, accelerator),
        callbacks=callbacks,
        plugins=[files, LightningEnvironment()],
        default_root_dir=job.folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def seconds_per_step(job: TrainingJob, wanted_s: float, most_s: float) -> tuple[float, int]:
    """Measure a training step on a copy that is thrown away.

    The first third is left out, since caches and allocators warm up; the median of the rest is what a moment of
    company on the machine changes least.

    Args:
        job: what will be trained.
        wanted_s: seconds that measuring takes, where that gives enough steps.
        most_s: seconds that it may take to come by enough of them.

    Returns:
        Seconds a step, and how many steps were timed.
    """
    times: list[float] = []
    begin = time.monotonic()

    def enough() -> bool:
        times.append(time.monotonic())
        spent, timed = times[-1] - begin, len(times) - 1
        few = timed < FEW_TIMED and spent < most_s
        return timed >= MOST_TIMED or (timed >= LEAST_TIMED and spent > wanted_s and not few)

    task = make_task(job)
    with closing(stream_of(job, 0, 0)) as stream, job.ranks.at_work(job, task):
        run_trainer(make_trainer(job, [Stopping(enough)], AtomicCheckpointIO()), task, stream)
    gaps = [after - before for before, after in pairwise(times)]
    return median(gaps[len(gaps) // 3 :]), len(gaps)


def stream_of(job: TrainingJob, first: int, workers: int) -> BatchStream[Batch]:
    """Return the batches of a job from a step on, this rank's share of each, cut by so many processes."""
    samples = job.ranks.samples(job.recipe)
    return step_stream(training_sampler(job.store, job.fold.training, job.recipe, samples), first, workers)


def run_trainer(trainer: L.Trainer, task: SegmentationTask, batches: Iterable[Batch]) -> None:
    """Run Lightning's loop over batches.

    Raises:
        ResourceError: the device's memory does not suffice.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trainer.fit(task, train_dataloaders=batches)
        except torch.OutOfMemoryError as error:
            raise ResourceError(
                "The device's memory does not hold a training step. Set memory_gb to what it has, or a smaller "
                "patches.batch."
            ) from error


def find_device(name: str) -> tuple[str, Any]:
    """Return Lightning's name and number for a device such as "auto" or "cuda:1".

    Raises:
        ResourceError: this machine does not have it.
    """
    kind, _, number = name.partition(":")
    if kind == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    there = {
        "cpu": True,
        "cuda": torch.cuda.device_count() > int(number or 0),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[kind]:
        raise ResourceError(
            f"--device {name}: this machine shows no such device. Use --device cpu, or look at: neuraxis doctor"
        )
    return ("gpu" if kind == "cuda" else kind), ([int(number)] if number.isdigit() else 1)


def _precision(wish: str, accelerator: str) -> Any:
    if wish == "auto":
        on_gpu = accelerator == "gpu" and torch.cuda.is_bf16_supported(including_emulation=False)
        has = processor_has_bf16() if accelerator == "cpu" else on_gpu
        return "bf16-mixed" if has else "32-true"
    return "bf16-mixed" if wish == "bf16" else "32-true"
