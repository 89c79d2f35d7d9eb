"""Everything that can go wrong, and the exit code each answers with.

NeuraxisError               1
├── UsageError              2   an argument cannot be used as given
├── RecipeError             2   a recipe is wrong
│   └── UnknownName         2   also a LookupError
├── DataError               3   a scan or dataset is refused
├── BundleError             4   a bundle is missing, broken or refused
├── ResourceError           5   memory, disk or a device is lacking
├── MissingExtra            5   also an ImportError
├── QualityFlag             6   done, but a case is flagged (with --strict)
└── Stopped               143   a training ended early because it was asked to; the same call again resumes

A message says which case or file, what was found, what is needed and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NeuraxisError(Exception):
    """A problem that the user can understand and mend; the message is shown without a traceback."""

    exit_code = 1


class UsageError(NeuraxisError):
    """An argument cannot be used as given, or an output exists already."""

    exit_code = 2


class RecipeError(NeuraxisError):
    """A recipe holds a key or a value that cannot be used."""

    exit_code = 2


class UnknownName(RecipeError, LookupError):
    """A name is in none of the closed tables; the message offers the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        super().__init__(f"No {kind} is called '{name}'. {suggest(name, known)}")


class DataError(NeuraxisError):
    """A scan, a label or a dataset is refused."""

    exit_code = 3


class BundleError(NeuraxisError):
    """A bundle is missing, broken or refused."""

    exit_code = 4


class ResourceError(NeuraxisError):
    """Memory, disk or a device is lacking."""

    exit_code = 5


class MissingExtra(NeuraxisError, ImportError):
    """An optional package is not installed; the message is the line to type."""

    exit_code = 5

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"This needs '{package}', which is not installed. Type: pip install 'neuraxis[{extra}]'")


class QualityFlag(NeuraxisError):
    """The work is done, but the quality verdict flags a case."""

    exit_code = 6


class Stopped(NeuraxisError):
    """A training was asked to end (`neuraxis run stop`) and did so after its step; what it has done is kept."""

    exit_code = 143


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence that offers the nearest known name, or lists all of them.

    >>> suggest("segresnett", ["unet", "segresnet"])
    "Did you mean 'segresnet'?"
    >>> suggest("x", ["unet", "segresnet"])
    'Known: segresnet, unet.'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
