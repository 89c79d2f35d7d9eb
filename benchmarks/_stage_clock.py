"""What the stages of a process take, as JSON; needs nothing but Python, so that it runs in any environment."""

from __future__ import annotations

import json
import time


class StageClock:
    """Wall and CPU seconds of stages that follow one another, from the moment it is made."""

    def __init__(self) -> None:
        self._spent: dict[str, list[float]] = {}
        self._last = (time.perf_counter(), time.process_time())

    def note(self, stage: str) -> None:
        """Say that a stage has ended."""
        now = (time.perf_counter(), time.process_time())
        self._spent[stage] = [after - before for before, after in zip(self._last, now, strict=True)]
        self._last = now

    def show(self) -> None:
        """Print stage to [wall, CPU] seconds on a line of its own."""
        print("\n" + json.dumps(self._spent))
