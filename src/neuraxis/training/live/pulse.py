"""How far a training is, in a small file for others to read, and whether somebody asked it to stop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L

from neuraxis.training.curves import PROGRESS, STOP

EVERY_S = 1.0


class Pulse(L.Callback):
    """Writes `progress.json` at most once a second, and looks as often for a file `stop` beside it.

    The file is renamed into place but not synced to disk: after a power cut nobody asks how far the training was.

    Attributes:
        asked: whether the file `stop` was there.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self.asked = folder, False
        self._clock, self._next = clock, 0.0

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Say where the training begins."""
        self._beat(trainer, task)

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write and look, unless the last time was a moment ago."""
        if self._clock() >= self._next or task.step >= task.course.steps:
            self._beat(trainer, task)

    def _beat(self, trainer: L.Trainer, task: Any) -> None:
        self._next = self._clock() + EVERY_S
        self.asked = self.asked or (self.folder / STOP).exists()
        content = {
            "step": task.step,
            "steps": task.course.steps,
            "first_step": task.first_step,
            "seconds": round(task.clock.seconds, 1),
            "loss": round(task.loss_sum / task.loss_count, 6) if task.loss_count else None,
            "learning_rate": task.rate_at(task.step),
            "device": str(task.device),
            "precision": str(trainer.precision),
            "time": time.time(),
        }
        part = self.folder / f".part-{PROGRESS}"
        try:
            part.write_text(json.dumps(content), encoding="utf-8")
            os.replace(part, self.folder / PROGRESS)
        except OSError:  # a full disk ends the training where something is lost, at its next checkpoint
            part.unlink(missing_ok=True)
