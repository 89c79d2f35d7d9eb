"""From prepared cases to weights."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.splits import Fold
from neuraxis.errors import ResourceError
from neuraxis.hardware import processor_has_bf16, usable_cores
from neuraxis.patches.sampler import PatchSampler, SamplerOptions
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.recipe import Recipe
from neuraxis.training.callbacks import Checkpoints, Curves, Stopping, Telling
from neuraxis.training.checkpoints import AtomicCheckpointIO
from neuraxis.training.data import step_loader, training_sampler
from neuraxis.training.interruption import interruptions
from neuraxis.training.task import SegmentationTask

HELD_OUT_SEED = 2**31 - 1


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
    """

    store: Store
    fold: Fold
    labels: Labels
    recipe: Recipe
    channels: int
    folder: Path
    device: str = "auto"


def train(
    job: TrainingJob, progress: Progress | None = None, stop: Callable[[], bool] = lambda: False
) -> SegmentationTask:
    """Train to the recipe's last step, or on from a checkpoint in the job's folder.

    Args:
        job: what to train.
        progress: who shows how far it is.
        stop: asked after each step; once true, a checkpoint is written and the task comes back unfinished.

    Raises:
        ResourceError: the device is not there or its memory does not suffice.
    """
    recipe = job.recipe
    steps = recipe.training.steps
    task = make_task(job)
    checkpoint = job.folder / "checkpoint.pt"
    files = AtomicCheckpointIO()
    curves = Curves(job.folder / "curves.csv", held_out_sampler(job), steps, recipe.training.validations)
    if checkpoint.is_file():
        task.restore(files.load_checkpoint(checkpoint))
    if task.first_step >= steps:
        return task
    loader = step_loader(
        training_sampler(job.store, job.fold.training, recipe), task.first_step, steps, recipe.training.loader_workers
    )
    with (progress or Silent()).stage("train", steps) as stage:
        stage.advance(task.first_step)
        with interruptions() as interruption:
            callbacks = [curves, Stopping(lambda: stop() or interruption.came), Telling(stage, curves)]
            callbacks.append(Checkpoints(checkpoint, recipe.training.checkpoint_minutes, steps))
            trainer = make_trainer(job, steps - task.first_step, callbacks, files)
            try:
                _run(trainer, task, loader)
            except SystemExit:  # Lightning's own answer to SIGTERM
                if not interruption.came:
                    raise
            if task.step < steps:
                files.save_checkpoint(task.progress(), checkpoint)
    return task


def make_task(job: TrainingJob) -> SegmentationTask:
    """Build network, loss and optimiser of a job, untrained."""
    torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
    return SegmentationTask(job.recipe, job.channels, len(job.labels.outputs), bool(job.labels.regions))


def held_out_sampler(job: TrainingJob) -> PatchSampler:
    """Return the sampler of the fixed held-out patches that the curves show."""
    patches = job.recipe.patches
    options = SamplerOptions(patches.shape, patches.shape, patches.batch, 1.0, HELD_OUT_SEED)
    return PatchSampler(job.store, job.fold.validation or job.fold.training, options)


def make_trainer(job: TrainingJob, steps: int, callbacks: list[L.Callback], files: AtomicCheckpointIO) -> L.Trainer:
    """Build Lightning's Trainer: it runs the loop; checkpoints, curves and schedules are ours.

    Raises:
        ResourceError: the device is not there.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    accelerator, devices = find_device(job.device)
    return L.Trainer(
        max_steps=steps,
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


def seconds_per_step(job: TrainingJob, at_most: float) -> tuple[float, int]:
    """Measure a training step on a copy that is thrown away.

    Args:
        job: what will be trained.
        at_most: seconds that measuring may take.

    Returns:
        The mean of the later steps in seconds, and how many steps were timed.
    """
    times: list[float] = []
    begin = time.monotonic()

    class Timing(L.Callback):
        def on_train_batch_start(self, *_: Any) -> None:
            times.append(time.monotonic())

    def enough() -> bool:
        return len(times) > 3 and time.monotonic() - begin > at_most

    task = make_task(job)
    sampler = training_sampler(job.store, job.fold.training, job.recipe)
    trainer = make_trainer(job, 200, [Timing(), Stopping(enough)], AtomicCheckpointIO())
    _run(trainer, task, step_loader(sampler, 0, 200, 0))
    gaps = [after - before for before, after in pairwise(times)]
    return mean(gaps[len(gaps) // 3 :]), len(times)


def _run(trainer: L.Trainer, task: SegmentationTask, loader: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trainer.fit(task, train_dataloaders=loader)
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
