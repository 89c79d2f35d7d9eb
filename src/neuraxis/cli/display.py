"""How far the work is, on stderr: one live display on a terminal, a plain line every few seconds elsewhere.

`NO_COLOR` and `TERM=dumb` are honoured. Messages of the library's loggers pass through the same display, so that
they never tear the bar.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from neuraxis.cli.options import Output, format_duration
from neuraxis.progress import Progress, Silent, Stage

LINE_EVERY_S = 5.0
_WINDOW_S = 60.0
_SAMPLES = 20

Clock = Callable[[], float]


class Screen(Progress, Protocol):
    """A `Progress` that also shows messages, and that is closed at the end."""

    def message(self, text: str) -> None:
        """Show one message above the bars."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Pace:
    """How fast a stage advances, measured over the last minute or the last steps, whichever is longer."""

    def __init__(self, total: int, clock: Clock = time.monotonic) -> None:
        """Start the clock; `total` is the number of units, 0 where it is not known."""
        self.total, self.done = total, 0
        self._clock = clock
        self.began = clock()
        self._samples = deque([(self.began, 0)])

    def advance(self, amount: int, total: int = 0) -> None:
        """Note that `amount` more units are done, now of `total`; a first leap is taken as work of an earlier run."""
        now = self._clock()
        self.total = total or self.total
        leap = self.done == 0 and amount > 1
        self.done += amount
        if leap:
            self._samples.clear()
        elif now - self._samples[-1][0] < 0.25 and len(self._samples) > 1:
            self._samples.pop()
        self._samples.append((now, self.done))
        while len(self._samples) > _SAMPLES and now - self._samples[0][0] > _WINDOW_S:
            self._samples.popleft()

    def left_s(self) -> float | None:
        """Return the seconds that are left, or None where they cannot be told yet."""
        (first, first_done), (last, last_done) = self._samples[0], self._samples[-1]
        if not self.total or last_done <= first_done or last <= first:
            return None
        left = (self.total - self.done) * (last - first) / (last_done - first_done)
        return max(0.0, left - (self._clock() - last))

    def elapsed_s(self) -> float:
        """Return the seconds since the stage began."""
        return self._clock() - self.began

    def describe(self) -> str:
        """Return what is done and left in words, such as `120 of 2000, 3 min left`."""
        count = f"{self.done} of {self.total}" if self.total else str(self.done)
        left = self.left_s()
        return count if left is None or self.done >= self.total else f"{count}, {format_duration(left)} left"


class PlainScreen:
    """Lines of text for logs and pipes: at most one every few seconds, and one at the end of a long stage."""

    def __init__(
        self, stream: TextIO | None = None, every_s: float = LINE_EVERY_S, clock: Clock = time.monotonic
    ) -> None:
        """Write to `stream` (stderr); `clock` gives the time in seconds."""
        self._stream = stream or sys.stderr
        self._every_s, self._clock = every_s, clock
        self._last = clock()
        self._lock = threading.RLock()

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Open a stage whose lines begin with `name`."""
        pace = Pace(total, self._clock)
        yield _PlainStage(self, name, pace)
        if pace.elapsed_s() >= self._every_s:
            self.message(f"{name}: {pace.done} done in {format_duration(pace.elapsed_s())}")

    def message(self, text: str) -> None:
        """Write one line."""
        with self._lock:
            self._last = self._clock()
            self._stream.write(text + "\n")
            self._stream.flush()

    def progress(self, text: Callable[[], str]) -> None:
        """Write one line, unless the last one was a moment ago."""
        with self._lock:
            if self._clock() - self._last >= self._every_s:
                self.message(text())

    def close(self) -> None:
        """Nothing is left to clear."""


class _PlainStage:
    def __init__(self, screen: PlainScreen, name: str, pace: Pace) -> None:
        self._screen, self._name, self._pace = screen, name, pace

    def advance(self, amount: int = 1, note: str = "", total: int = 0) -> None:
        self._pace.advance(amount, total)
        self._screen.progress(lambda: f"{self._name}: {self._pace.describe()}{', ' * bool(note)}{note}")


class LiveScreen:
    """Bars on a terminal, one for each open stage; a finished stage leaves one line where it was long."""

    def __init__(self, console: Any = None, keep_s: float = LINE_EVERY_S, clock: Clock = time.monotonic) -> None:
        """Draw on `console`, a rich console on stderr where left out."""
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self._console = console or Console(stderr=True, highlight=False)
        self._keep_s, self._clock = keep_s, clock
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[state]}", markup=False),
            console=self._console,
            transient=True,
            refresh_per_second=4,
            redirect_stdout=False,
        )
        self._open = 0
        self._lock = threading.RLock()

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Open a bar."""
        pace = Pace(total, self._clock)
        with self._lock:
            self._open += 1
            if self._open == 1:
                self._bars.start()
            task = self._bars.add_task(name, total=total or None, state="")
        try:
            yield _LiveStage(self._bars, task, pace)
            if pace.elapsed_s() >= self._keep_s:
                self.message(f"{name}: {pace.done} done in {format_duration(pace.elapsed_s())}")
        finally:
            with self._lock:
                self._bars.remove_task(task)
                self._open -= 1
                if self._open == 0:
                    self._bars.stop()

    def message(self, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Remove the bars and give the cursor back."""
        self._bars.stop()


class _LiveStage:
    def __init__(self, bars: Any, task: Any, pace: Pace) -> None:
        self._bars, self._task, self._pace = bars, task, pace

    def advance(self, amount: int = 1, note: str = "", total: int = 0) -> None:
        self._pace.advance(amount, total)
        state = self._pace.describe() + (f", {note}" if note else "")
        self._bars.update(self._task, completed=self._pace.done, total=self._pace.total or None, state=state)


class _QuietScreen(Silent):
    def message(self, text: str) -> None:
        sys.stderr.write(text + "\n")

    def close(self) -> None:
        pass


@contextmanager
def display(output: Output) -> Iterator[Progress]:
    """Show progress and the library's messages while a verb runs."""
    screen = choose_screen(output)
    restore = _route_messages(screen, output)
    try:
        yield screen
    finally:
        screen.close()
        restore()


def choose_screen(output: Output) -> Screen:
    """Return the silent screen for `--quiet`, the live one on a terminal, else the plain one."""
    if output.quiet:
        return _QuietScreen()
    if sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown", ""):
        return LiveScreen()
    return PlainScreen()


class _Messages(logging.Handler):
    """Shows our own messages from the level asked for, and those of other packages only where something failed."""

    def __init__(self, screen: Screen, output: Output) -> None:
        super().__init__(logging.DEBUG if output.verbose else logging.WARNING if output.quiet else logging.INFO)
        self._screen, self._verbose = screen, output.verbose
        if output.verbose:
            self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        ours = record.name.partition(".")[0] == "neuraxis"
        if not ours and not self._verbose and record.levelno < logging.ERROR:
            return
        text = self.format(record)
        warned = record.levelno >= logging.WARNING and not self._verbose
        self._screen.message(f"{record.levelname.lower()}: {text}" if warned else text)


def _route_messages(screen: Screen, output: Output) -> Callable[[], None]:
    handler = _Messages(screen, output)
    root, ours = logging.getLogger(), logging.getLogger("neuraxis")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.DEBUG if output.verbose else logging.INFO)
    logging.captureWarnings(True)

    def restore() -> None:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        ours.setLevel(level)

    return restore
