"""How long work tells how far it is, without knowing who shows it.

Functions take a `Progress` and open a stage for each long step; `cli` shows it on the terminal, `Silent` ignores it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Stage(Protocol):
    """One long step under way."""

    def advance(self, amount: int = 1, note: str = "", total: int = 0) -> None:
        """Report that `amount` more units are done, out of now `total` where that changed; `note` stands beside."""


class Progress(Protocol):
    """Whoever shows progress."""

    def stage(self, name: str, total: int) -> AbstractContextManager[Stage]:
        """Open a stage of `total` units; leaving the context ends it."""


class Silent:
    """A `Progress` that shows nothing."""

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Stage]:
        """Open a stage that nobody sees."""
        yield _SilentStage()


class _SilentStage:
    def advance(self, amount: int = 1, note: str = "", total: int = 0) -> None:
        """Do nothing."""
