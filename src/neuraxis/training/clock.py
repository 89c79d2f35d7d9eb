"""How long a training has worked, over all its processes, and what of it was standing still. Needs no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class TrainingClock:
    """Seconds of training, those of earlier processes counted in as far as a checkpoint kept their work."""

    def __init__(self) -> None:
        self._seconds, self._waited_s = 0.0, 0.0
        self._began: float | None = None
        self._waiting: Callable[[], float] = lambda: 0.0

    def start(self, waiting: Callable[[], float]) -> None:
        """Begin to count.

        Args:
            waiting: returns the seconds for which this process stood still for want of data.
        """
        self._began, self._waiting = time.monotonic(), waiting

    @property
    def seconds(self) -> float:
        """Seconds of training."""
        return self._seconds + (0.0 if self._began is None else time.monotonic() - self._began)

    @property
    def waiting_share(self) -> float:
        """Share of the time that was spent waiting for data, in [0, 1]."""
        return min(1.0, (self._waited_s + self._waiting()) / max(self.seconds, 1e-9))

    def state(self) -> dict[str, float]:
        """Return what a later process needs to count on."""
        return {"seconds": self.seconds, "waited_s": self._waited_s + self._waiting()}

    def restore(self, state: Mapping[str, float]) -> None:
        """Count on from what `state` returned; what is missing is 0."""
        self._seconds, self._waited_s = float(state.get("seconds", 0)), float(state.get("waited_s", 0))
