"""Ctrl-C, SIGTERM and SIGUSR1 while training: the step in hand is finished and saved before they take effect."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGUSR1] if hasattr(signal, "SIGUSR1") else []))


@dataclass
class Interruption:
    """Whether a signal came; a second one takes effect at once."""

    number: int = 0

    @property
    def came(self) -> bool:
        """Tell whether to stop after the step in hand."""
        return self.number != 0


@contextmanager
def interruptions() -> Iterator[Interruption]:
    """Hold back the first signal until the context ends, then hand it to whoever handled it before."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def take(number: int, frame: FrameType | None) -> None:
        if interruption.came:
            _hand_on(before[signal.Signals(number)], number, frame)
        interruption.number = number

    for number in SIGNALS:
        signal.signal(number, take)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if interruption.came:
        _hand_on(before[signal.Signals(interruption.number)], interruption.number, None)


def _hand_on(handler: Any, number: int, frame: FrameType | None) -> None:
    if callable(handler):
        handler(number, frame)
    elif handler == signal.SIG_DFL:
        signal.raise_signal(number)
