"""Pictures of chosen cases while the network learns: strips as PNG, in TensorBoard, and a record of what was shown.

A preview watches: it draws no random number and leaves the network as it was, so the weights are bit for bit those of a
training without it. Where one fails, the training goes on.
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from typing import TYPE_CHECKING, Any

import lightning as L

from neuraxis.dataset.structures import structures_of
from neuraxis.inference.tiling import Tiling
from neuraxis.report.previews.record import FOLDER, Shown, read_record, strip_path, write_record
from neuraxis.report.previews.strip import StripPainter, save_png
from neuraxis.training.callbacks import Curves
from neuraxis.training.live.drawing import draw
from neuraxis.training.live.looking import LiveRuntime, choose_extent, look
from neuraxis.training.live.subjects import Focus, Subject, choose_subjects

if TYPE_CHECKING:
    from neuraxis.training.train import TrainingJob

log = logging.getLogger("neuraxis")
FREE_S = 2.0
BACKWARD = 3.0


class Previews(L.Callback):
    """Shows chosen cases at every so many rows of the curves and after the last step.

    They take at most the recipe's share of the training time, or 2 s where that is more. What is left of it is dealt
    evenly to the cases; one that it does not suffice for is shown in part, and none where nothing is left but after
    the last step.

    Args:
        job: what is trained.
        curves: whose rows they follow, whose TensorBoard they use, and whose time theirs is counted with.
    """

    def __init__(self, job: TrainingJob, curves: Curves) -> None:
        self.job, self.curves, self.folder = job, curves, job.folder / FOLDER
        self.record: list[Shown] = []
        self.subjects: list[Subject] = []
        self._window_s, self._failed = 0.0, False

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Choose the cases, and drop the previews that a resumed run will make again."""
        try:
            self._begin(task)
        except Exception as error:
            self._warn(error)

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Show every case when a preview is due."""
        if not self.subjects or not self._is_due(task):
            return
        began = time.monotonic()
        try:
            self._show_all(trainer, task)
        except Exception as error:
            self._warn(error)
        self.curves.spent_s += time.monotonic() - began

    def _begin(self, task: Any) -> None:
        recipe, flat = self.job.recipe, self.job.recipe.network.options.get("flat_axis")
        self.subjects = choose_subjects(recipe.previews, self.job.store, self.job.fold, self.job.scans, flat)
        self._painter = StripPainter(structures_of(self.job.labels), self.job.labels.ignore)
        self._tiling = Tiling(recipe.patches.shape, self.job.labels, recipe.inference, "the network in training")
        rows = read_record(self.folder)
        self.record = [row for row in rows if row.step <= task.first_step]
        for step in {row.step for row in rows} - {row.step for row in self.record}:
            shutil.rmtree(self.folder / f"step-{step:07}", ignore_errors=True)
        for subject in self.subjects:
            before = [row.slice for row in self.record if row.case == subject.id and subject.role == "unlabelled"]
            if before:
                subject.focus = Focus(subject.voxel_of(before[-1] - 1))

    def _is_due(self, task: Any) -> bool:
        every = self.curves.every * self.job.recipe.previews.every
        return task.step >= task.course.steps or (every > 0 and task.step % every == 0)

    def _show_all(self, trainer: L.Trainer, task: Any) -> None:
        is_last = task.step >= task.course.steps
        allowed_s = max(FREE_S, self.job.recipe.previews.share * task.clock.seconds)
        left_s = allowed_s - sum(row.seconds for row in self.record)
        if left_s <= 0 and not is_last:
            return
        runtime = LiveRuntime(task.shipped_network(), task.device, trainer.precision == "bf16-mixed")
        step_s = (task.clock.seconds - self.curves.spent_s) / max(1, task.step)
        self._window_s = self._window_s or step_s / BACKWARD / self.job.recipe.patches.batch
        for place, subject in enumerate(self.subjects):
            began = time.monotonic()
            try:
                self._show(subject, runtime, task, left_s / (len(self.subjects) - place))
            except Exception as error:
                self._warn(error, f"{subject.id}: ")
            left_s -= time.monotonic() - began
        if runtime.passes:
            self._window_s = runtime.seconds / runtime.passes
        write_record(self.folder, self.record)

    def _show(self, subject: Subject, runtime: LiveRuntime, task: Any, seconds: float) -> None:
        """Show one case in about so many seconds."""
        began = time.monotonic()
        focus = subject.look(self.job.labels)
        passes = max(0.0, seconds) / max(self._window_s, 1e-6)
        extent = choose_extent(subject.way.shape, self._tiling, focus, subject.across, passes)
        seen = look(subject, extent, focus, self._tiling, runtime)
        strips = draw(seen, subject, focus, self._painter, f"step {task.step} of {task.course.steps}")
        row = Shown(
            task.step, subject.id, subject.role, subject.plane, subject.shown_slice(focus.voxel) + 1, extent.words,
            seen.dice if math.isnan(seen.dice) else round(seen.dice, 4), 0.0,
        )  # fmt: skip
        for kind, pixels in strips.items():
            save_png(pixels, strip_path(self.folder, row, kind))
        self.curves.show_picture(f"preview/{subject.id}", strips["whole"], task.step)
        subject.follow(seen.label_map, extent.corner)
        self.record.append(Shown(**{**vars(row), "seconds": round(time.monotonic() - began, 3)}))

    def _warn(self, error: Exception, where: str = "") -> None:
        """Say once that a preview failed; later ones are tried all the same."""
        level = logging.DEBUG if self._failed else logging.WARNING
        text = "%sa preview could not be made (%s: %s). Training goes on; no weight depends on it."
        log.log(level, text, where, type(error).__name__, error)
        self._failed = True
