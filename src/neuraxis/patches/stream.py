"""Batches in the order of their steps, cut ahead while the last ones are worked on.

A batch is a function of its step, so who cuts it, and how far ahead, changes no number.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np

from neuraxis.patches.cutting import Cutters
from neuraxis.patches.sampler import PatchSampler

Batch = TypeVar("Batch")
AHEAD = 2


class BatchStream(Generic[Batch]):
    """The batches of steps `first`, `first` + 1, … without end; close it.

    Args:
        sampler: cuts them.
        first: the first step.
        workers: processes that cut; 0 cuts in a thread of this process.
        finish: makes of images, targets and step what is handed out; it runs in that thread as well.

    Attributes:
        waited_s: seconds for which the consumer stood still; those for the first batch, which nothing could cut ahead,
            are left out.
    """

    def __init__(
        self, sampler: PatchSampler, first: int, workers: int, finish: Callable[[np.ndarray, np.ndarray, int], Batch]
    ) -> None:
        self.waited_s = 0.0
        self._sampler, self._first, self._workers, self._finish = sampler, first, workers, finish
        self._cutters: Cutters | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="neuraxis-batches")

    def __iter__(self) -> Iterator[Batch]:
        """Hand out the batches.

        Raises:
            ResourceError: a process that cuts was ended from outside, or memory ran out in it.
        """
        if self._workers:
            self._cutters = Cutters(self._sampler, self._first, self._workers)
        steps = itertools.count(self._first)
        ahead = deque(self._cut(next(steps)) for _ in range(AHEAD))
        yield ahead.popleft().result()
        while True:
            ahead.append(self._cut(next(steps)))
            began = time.monotonic()
            batch = ahead.popleft().result()
            self.waited_s += time.monotonic() - began
            yield batch

    def close(self) -> None:
        """End the thread and the processes."""
        if self._cutters is not None:
            self._cutters.stop()
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._cutters is not None:
            self._cutters.close()

    def _cut(self, step: int) -> Future[Batch]:
        return self._thread.submit(self._finished, step)

    def _finished(self, step: int) -> Batch:
        images, targets = self._sampler.batch(step) if self._cutters is None else self._cutters.batch()
        return self._finish(images, targets, step)
