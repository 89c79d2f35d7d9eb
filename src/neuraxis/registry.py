"""Tables of names: a name stands for "module:attribute", imported on request.

Each folder with exchangeable parts has a `catalog.py` that holds one `Catalog`. Another package adds to it with
an entry point in the group of that kind, in the plural: `neuraxis.networks`, `neuraxis.losses`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuraxis.errors import MissingExtra, UnknownName


@dataclass(frozen=True)
class Entry:
    """One name of a catalog: where its object lives, what it is, and the extra it needs (empty: none)."""

    target: str
    summary: str
    extra: str = ""


@dataclass(frozen=True)
class Catalog:
    """A closed table of names of one kind; looking up an unknown name raises `UnknownName`.

    Attributes:
        kind: what the names are, in the singular, for messages.
        entries: name to entry.
        group: last part of the entry points' group; empty: the kind's plural.
    """

    kind: str
    entries: Mapping[str, Entry]
    group: str = ""

    def names(self) -> tuple[str, ...]:
        """Return every name, those of other packages included, sorted."""
        return tuple(sorted({*self.entries, *(point.name for point in self._entry_points())}))

    def summary(self, name: str) -> str:
        """Return the one-line description of a name (empty for names of other packages)."""
        return self.entries[name].summary if name in self.entries else ""

    def load(self, name: str) -> Any:
        """Import and return the object behind a name.

        Raises:
            UnknownName: no such name; the message offers the nearest.
            MissingExtra: its optional package is not installed.
        """
        entry = self.entries.get(name)
        if entry is None:
            for point in self._entry_points():
                if point.name == name:
                    return point.load()
            raise UnknownName(self.kind, name, self.names())
        module, _, attribute = entry.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if entry.extra and error.name and not error.name.startswith("neuraxis"):
                raise MissingExtra(error.name, entry.extra) from error
            raise

    def _entry_points(self) -> importlib.metadata.EntryPoints:
        plural = self.kind.replace(" ", "_") + ("es" if self.kind.endswith("s") else "s")
        return importlib.metadata.entry_points(group=f"neuraxis.{self.group or plural}")


def need(package: str, extra: str) -> None:
    """Make sure that an optional package is installed, without importing it.

    Raises:
        MissingExtra: it is not; the message is the line to type.
    """
    if importlib.util.find_spec(package) is None:
        raise MissingExtra(package, extra)


def import_extra(module: str, extra: str) -> Any:
    """Import a module of an optional package when it is needed.

    Raises:
        MissingExtra: the package is not installed; the message is the line to type.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(module.partition(".")[0], extra) from error
