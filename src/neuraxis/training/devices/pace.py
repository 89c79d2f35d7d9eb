"""How long a step takes that several ranks share, and when they compare their weights."""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from statistics import median
from typing import Any

import lightning as L

from neuraxis.training.devices.ranks import Ranks

KEPT, EVERY = 301, 100


class Pace(L.Callback):
    """Notes the median time from step to step over the last 300, and has weights compared in each 100th.

    Args:
        ranks: of the training; of a single one nothing is noted.
    """

    def __init__(self, ranks: Ranks) -> None:
        self.ranks, self._times = ranks, deque[float](maxlen=KEPT)

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Have weights compared in the first step."""
        self.ranks.compare = self.ranks.count > 1

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look at the clock."""
        self._times.append(time.monotonic())
        self.ranks.compare = self.ranks.count > 1 and task.step % EVERY == 0

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Sum up."""
        gaps = [after - before for before, after in pairwise(self._times)]
        if gaps and self.ranks.count > 1:
            self.ranks.step_s = median(gaps)
