"""What happens beside the steps: curves, checkpoints, and telling how far it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from neuraxis.losses.compared import with_background
from neuraxis.networks.experts import counted_use
from neuraxis.patches.sampler import PatchSampler
from neuraxis.progress import Stage
from neuraxis.training.curves import Row, read_curves, write_curves
from neuraxis.training.optimisation.stage_schedule import stage_at
from neuraxis.training.schedule import Moment, Steer
from neuraxis.training.task import SegmentationTask

log = logging.getLogger("neuraxis")


class Curves(L.Callback):
    """Notes loss, learning rate and the Dice on fixed held-out patches at even distances of steps, and as stages end.

    The patches are the same each time, so the curve shows the network and not the draw. It chooses nothing unless the
    recipe lets `training.watch` end training early or lower the learning rate.

    Attributes:
        every: steps from row to row.
        rows: all rows, those of earlier processes as well.
        spent_s: seconds that this process spent on rows.
        made: rows that it made.
    """

    def __init__(self, path: Path, held_out: PatchSampler, planned: int, validations: int) -> None:
        self.path, self.held_out = path, held_out
        self.every = max(1, planned // validations)
        self.rows: list[Row] = read_curves(path)
        self.spent_s, self.made = 0.0, 0

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Drop the rows that a resumed run will write again, and open TensorBoard's file."""
        self.rows = [row for row in self.rows if row["step"] <= task.first_step]
        self._board = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=task.first_step + 1)

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Close TensorBoard's file."""
        self._board.close()

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Add a row when one is due."""
        step = task.step
        stage_ends = stage_at(step, task.recipe, task.course) != task.stages.current
        if step % self.every and step != task.course.steps and not stage_ends:
            return
        began = time.monotonic()
        task.settle()
        with counted_use(task.shipped_network()) as use:
            dice, loss = held_out_scores(task, self.held_out)
        self.rows.append(
            {
                "step": step,
                "seconds": round(task.clock.seconds, 1),
                "learning_rate": task.rate_at(step - 1),
                "loss": round(task.loss_sum / max(1, task.loss_count), 6),
                "validation_dice": round(dice, 6),
                "validation_loss": round(loss, 6),
                **({"stage": task.stages.current + 1.0} if task.recipe.stage else {}),
                **use,
            }
        )
        task.loss_sum, task.loss_count = 0.0, 0
        write_curves(self.path, self.rows)
        self._show(self.rows[-1])
        if step < task.course.steps:
            task.watch.see(step, self.rows[-1])
        if task.watch.stopped_at is not None:
            task.course = task.course.ended(task.watch.stopped_at)
            log.info("%s", task.watch.reason)
        self.spent_s, self.made = self.spent_s + time.monotonic() - began, self.made + 1

    def show_picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """Put a picture, uint8 (rows, columns, 3), into TensorBoard's file."""
        self._board.add_image(name, pixels, step, dataformats="HWC")

    def _show(self, row: Row) -> None:
        for name, value in row.items():
            if name not in ("step", "seconds"):
                self._board.add_scalar(name, value, int(row["step"]))
        self._board.flush()


class Checkpoints(L.Callback):
    """Writes a checkpoint about every so many minutes and after the last step."""

    def __init__(self, path: Path, minutes: float) -> None:
        self.path, self.seconds = path, 60 * minutes
        self._last = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Save when it is time."""
        if time.monotonic() - self._last < self.seconds and task.step < task.course.steps:
            return
        trainer.strategy.checkpoint_io.save_checkpoint(task.progress(), self.path)
        self._last = time.monotonic()


class Telling(L.Callback):
    """Advances the progress display."""

    def __init__(self, stage: Stage, curves: Curves) -> None:
        self.stage, self.curves = stage, curves

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Advance by one step."""
        note = ""
        if self.curves.rows:
            last = self.curves.rows[-1]
            stage = f"stage {last['stage']:.0f}, " if "stage" in last else ""
            note = f"{stage}loss {last['loss']:.3f}, Dice {last['validation_dice']:.3f}"
        self.stage.advance(1, note, total=task.course.steps if task.step >= task.course.steps else 0)


class Steering(L.Callback):
    """Has the number of steps fixed anew where the time demands it; the decision is on disk before it takes effect."""

    def __init__(self, steer: Steer, curves: Curves, stage: Stage) -> None:
        self.steer, self.curves, self.stage = steer, curves, stage

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Ask, unless this was the last step."""
        if task.step >= task.course.steps:
            return
        curves = self.curves
        moment = Moment(task.step, task.course, task.clock.seconds, curves.spent_s, curves.made, curves.every)
        steps = self.steer(moment)
        if steps is not None:
            task.course = task.course.corrected(task.step, steps)
            self.stage.advance(0, total=steps)


class Stopping(L.Callback):
    """Ends the run after its last step, and politely after the step in which `wanted` becomes true."""

    def __init__(self, wanted: Callable[[], bool]) -> None:
        self.wanted = wanted

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Ask Lightning to stop."""
        trainer.should_stop = self.wanted() or trainer.should_stop or task.step >= task.course.steps


@torch.no_grad()
def held_out_scores(task: SegmentationTask, sampler: PatchSampler, batches: int = 8) -> tuple[float, float]:
    """Return the mean foreground Dice of the shipped weights on the first batches of a sampler, and the mean loss.

    Dice is pooled over the batches. The loss is that of the finest scale, with weights that rise at their last value.
    """
    network = task.shipped_network()
    was_training = network.training
    network.eval()
    task.one_scale.at(1.0)
    shared = total = loss = 0.0
    for step in range(batches):
        pixels, targets = sampler.batch(step)
        images = task.missing.without_absent(torch.from_numpy(pixels), task.stages.current)
        target = torch.from_numpy(targets)
        with torch.autocast(task.device.type, torch.bfloat16, enabled=task.trainer.precision == "bf16-mixed"):
            logits = network(images.to(task.device))
        loss += float(task.one_scale(logits, target.to(task.device))) / batches
        got, wanted = _masks(logits.float().cpu(), target)
        shared = shared + 2 * (got & wanted).sum(dim=(0, 2, 3, 4)).numpy()
        total = total + (got.sum(dim=(0, 2, 3, 4)) + wanted.sum(dim=(0, 2, 3, 4))).numpy()
    network.train(was_training)
    dice = np.divide(shared, total, out=np.full(np.shape(total), np.nan), where=np.asarray(total) > 0)
    return (float(np.nanmean(dice)) if np.isfinite(dice).any() else 0.0), loss


def _masks(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    classes = torch.arange(1, logits.shape[1]).view(1, -1, 1, 1, 1)
    if targets.is_floating_point():
        valid = targets[:, :1] >= 0
        if targets.shape[1] == logits.shape[1]:
            return (logits > 0) & valid, (targets > 0.5) & valid
        largest = with_background(targets).argmax(dim=1, keepdim=True)
        return (logits.argmax(dim=1, keepdim=True) == classes) & valid, (largest == classes) & valid
    valid = targets != 255
    if targets.shape[1] == logits.shape[1]:
        return (logits > 0) & valid, (targets == 1) & valid
    return (logits.argmax(dim=1, keepdim=True) == classes) & valid, (targets == classes) & valid
