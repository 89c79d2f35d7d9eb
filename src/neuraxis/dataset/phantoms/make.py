"""A folder of phantoms of one kind, whole or not there."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from neuraxis._version import __version__
from neuraxis.dataset.phantoms.catalog import PHANTOMS
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Size
from neuraxis.errors import ResourceError, UsageError
from neuraxis.files import whole_folder, write_json
from neuraxis.progress import Progress, Silent
from neuraxis.workers import map_in_order

MOST_CASES = 9999
MOST_TILT = 30.0


@dataclass(frozen=True)
class MadePhantoms:
    """What was made.

    Attributes:
        path: the folder.
        kind: name of the kind.
        layout: name of the layout it is in.
        cases: number of subjects.
    """

    path: Path
    kind: str
    layout: str
    cases: int


def make_phantoms(
    kind: str, into: Path | str, options: MakeOptions | None = None, progress: Progress | None = None
) -> MadePhantoms:
    """Make phantoms and write them as a project of that kind keeps its scans.

    Args:
        kind: a name of the catalog of phantoms.
        into: the folder to make; it must not exist, or be empty.
        options: how many, of how many sites, of which seed and size.
        progress: who shows how far it is.

    Raises:
        UnknownName: no kind is called so.
        UsageError: an option is out of range, or the folder holds something.
        ResourceError: it cannot be written.
        MissingExtra: the kind's format needs a package that is not installed.
    """
    options = options or MakeOptions()
    made: PhantomKind = PHANTOMS.load(kind)
    _check(kind, made, options)
    into = Path(os.path.abspath(into))
    try:
        with whole_folder(into) as part:
            made.begin(part, options)
            subjects = range(1, options.cases + 1)
            with (progress or Silent()).stage("make phantoms", options.cases) as stage:
                for subject in map_in_order(lambda number: _write(made, part, options, number), subjects):
                    stage.advance(1, f"subject {subject}")
            described = {"kind": kind, "synthetic": True, "neuraxis": __version__, **asdict(options)}
            write_json(part / made.description, described)
    except OSError as error:
        raise ResourceError(f"{into}: could not be written ({error.strerror}). Choose another --into.") from error
    return MadePhantoms(into, kind, made.layout, options.cases)


def _write(made: PhantomKind, folder: Path, options: MakeOptions, subject: int) -> int:
    made.write(folder, options, subject)
    return subject


def _check(kind: str, made: PhantomKind, options: MakeOptions) -> None:
    """Refuse options that are out of range."""
    if not 1 <= options.cases <= MOST_CASES:
        raise UsageError(f"--cases {options.cases}: needed is a number from 1 to {MOST_CASES}.")
    if not 1 <= options.sites <= made.sites:
        raise UsageError(f"--sites {options.sites}: of {kind}, 1 to {made.sites} sites are known.")
    if not 0 <= options.seed < 2**63:
        raise UsageError(f"--seed {options.seed}: needed is a number from 0 to 2^63 - 1.")
    if options.size not in get_args(Size):
        raise UsageError(f"--size {options.size}: needed is one of {', '.join(get_args(Size))}.")
    if not abs(options.tilt_degrees) <= MOST_TILT:
        raise UsageError(f"--tilt {options.tilt_degrees:g}: needed is an angle from {-MOST_TILT:g} to {MOST_TILT:g}.")
    if options.tilt_degrees and not made.tilts:
        raise UsageError(f"--tilt {options.tilt_degrees:g}: {kind} has no gantry to tilt. Leave it out.")
