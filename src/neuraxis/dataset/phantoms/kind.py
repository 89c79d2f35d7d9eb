"""What a kind of phantom is: how a subject is made, and how its files are laid out.

Every draw is a function of (seed, subject), so one subject is the same however many are made beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

VARIETY = 1.45  # of brains that are written as datasets: at coarse voxels, fewer differences would look like copies
MARGIN_MM = 16.0  # of room around them, since they differ more
Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class MakeOptions:
    """What is made.

    Attributes:
        cases: number of subjects, at most 9999.
        sites: number of scanners that the subjects come from, in turn.
        seed: of every random draw, in [0, 2**63).
        size: how fine the voxels are: "small" for tests, "large" about as scanners have them.
        tilt_degrees: gantry tilt of CT series, in [-30, 30]; other kinds have none.
    """

    cases: int = 6
    sites: int = 1
    seed: int = 0
    size: Size = "medium"
    tilt_degrees: float = 0.0


@dataclass(frozen=True, eq=False)
class Specimen:
    """One subject's scan and answer as arrays.

    Attributes:
        images: (C, X, Y, Z); 0 is outside of what is looked at.
        labels: (X, Y, Z) whole numbers.
        channels: names of the C images.
        structures: name to the numbers of the label map that it joins.
    """

    images: np.ndarray
    labels: np.ndarray
    channels: tuple[str, ...]
    structures: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class PhantomKind:
    """One kind of phantom.

    Attributes:
        layout: name of the layout it is written in.
        sites: number of scanners that are known.
        begin: writes what describes all subjects into a folder.
        write: writes one subject, numbered from 1, into the folder.
        specimen: returns one subject as arrays, the same voxels that `write` stores.
        tilts: whether `tilt_degrees` means something.
        description: the file that says what was asked for.
    """

    layout: str
    sites: int
    begin: Callable[[Path, MakeOptions], None]
    write: Callable[[Path, MakeOptions, int], None]
    specimen: Callable[[MakeOptions, int], Specimen]
    tilts: bool = False
    description: str = "phantoms.json"


def site_number(options: MakeOptions, subject: int) -> int:
    """Return which scanner a subject comes from, counted from 0; subjects are dealt in turn."""
    return (subject - 1) % options.sites
