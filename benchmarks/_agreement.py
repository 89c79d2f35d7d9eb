"""How far two programs agree on the same cases, voxel by voxel, and what each scores against the manual labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.turn import Turn
from neuraxis.volume.volume import Stored, Volume

LARGE_ML = 5.0
TILT_DEG = 15.0
TURNS = {
    "RAS": Turn(),
    "LAS": Turn((0, 1, 2), (True, False, False)),
    "PIR": Turn((1, 2, 0), (True, True, False)),
    "oblique": Turn(),
}


def store(volume: Volume, how: str) -> Volume:
    """Return the same voxels as a file stores them that lies otherwise; "oblique" also tilts the world around them."""
    grid = volume.grid
    if how == "oblique":
        angle = np.deg2rad(TILT_DEG)
        tilt = np.eye(4)
        tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        grid = Grid(grid.shape, tilt @ grid.affine)
    return Volume(volume.array, grid, Stored.of(TURNS[how].grid(grid)), volume.name)


def crop_around(label: np.ndarray, size: Sequence[int]) -> tuple[slice, ...]:
    """Return a box of a size around what is labelled in (1, X, Y, Z), within the volume."""
    found = np.argwhere(label[0])
    middle = (found.min(axis=0) + found.max(axis=0) + 1) // 2
    starts = [
        int(np.clip(at - side // 2, 0, whole - side))
        for at, side, whole in zip(middle, size, label.shape[1:], strict=True)
    ]
    return tuple(slice(start, start + side) for start, side in zip(starts, size, strict=True))


def cropped(volume: Volume, box: tuple[slice, ...]) -> Volume:
    """Return a part of a volume, where it lies."""
    affine = volume.grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    array = np.ascontiguousarray(volume.array[(slice(None), *box)])
    x, y, z = array.shape[1:]
    return Volume(array, Grid((x, y, z), affine), None, volume.name)


@dataclass(frozen=True)
class Structure:
    """One structure of one case.

    Attributes:
        number: in the label map.
        ml: what nnU-Net found of it.
        dice: of both results; absent where neither found any.
        ours: Dice to the manual label; absent where both lack it.
        theirs: the same of nnU-Net.
    """

    number: int
    ml: float
    dice: float | None
    ours: float | None
    theirs: float | None


@dataclass(frozen=True)
class Case:
    """Both results of one case: voxels that are equal, voxels, structures."""

    id: str
    equal: int
    voxels: int
    structures: tuple[Structure, ...]

    @property
    def dice(self) -> float:
        """Mean Dice of the two results over what either found; NaN where that is nothing."""
        return mean(one.dice for one in self.structures)


@dataclass(frozen=True)
class Row:
    """One line of the table: cases of one kind of file, segmented in one way.

    Attributes:
        stored: how the files lie.
        mirrored: whether windows were also predicted mirrored.
        precision: "fp32", or "default", which depends on the processor.
        cases: what was compared.
    """

    stored: str
    mirrored: bool
    precision: str
    cases: tuple[Case, ...] = field(repr=False)

    @property
    def structures(self) -> list[Structure]:
        """Every structure of every case."""
        return [one for case in self.cases for one in case.structures]

    @property
    def equal(self) -> float:
        """Share of voxels that are equal."""
        return sum(case.equal for case in self.cases) / sum(case.voxels for case in self.cases)

    @property
    def dice(self) -> float:
        """Mean Dice to nnU-Net's result, over cases and structures."""
        return mean(one.dice for one in self.structures)

    @property
    def lowest(self) -> Case:
        """The case that agrees least."""
        return min(self.cases, key=lambda case: np.nan_to_num(case.dice, nan=np.inf))

    @property
    def large(self) -> list[float]:
        """Dice to nnU-Net's result of every structure above 5 mL."""
        return [one.dice for one in self.structures if one.ml > LARGE_ML and one.dice is not None]

    @property
    def ours(self) -> float:
        """Mean Dice of ours to the manual labels."""
        return mean(one.ours for one in self.structures)

    @property
    def theirs(self) -> float:
        """Mean Dice of nnU-Net's to the manual labels."""
        return mean(one.theirs for one in self.structures)

    def as_json(self) -> dict[str, Any]:
        """Return JSON-able content."""
        cases = {
            case.id: [
                case.equal,
                case.voxels,
                *([one.number, one.ml, one.dice, one.ours, one.theirs] for one in case.structures),
            ]
            for case in self.cases
        }
        return {"stored": self.stored, "mirrored": self.mirrored, "precision": self.precision, "cases": cases}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Row:
        """Read back what `as_json` gave."""
        cases = tuple(
            Case(id, equal, voxels, tuple(Structure(*one) for one in structures))
            for id, (equal, voxels, *structures) in content["cases"].items()
        )
        return cls(content["stored"], content["mirrored"], content["precision"], cases)


def compare(ours: Path, theirs: Path, manual: Path) -> Case:
    """Compare two segmentations of one case; both have to lie where its manual label lies."""
    volumes = [nifti.read(path) for path in (ours, theirs, manual)]
    for path, volume in zip((ours, theirs), volumes, strict=False):
        if not volume.grid.matches(volumes[-1].grid):
            raise SystemExit(f"{path} does not lie where {manual} does.")
    mine, other, truth = (volume.array[0].astype(np.int64) for volume in volumes)
    numbers = [
        int(number) for number in np.unique(np.concatenate([np.unique(one) for one in (mine, other, truth)])) if number
    ]
    structures = tuple(
        Structure(
            number,
            round(float((other == number).sum()) * volumes[1].grid.voxel_ml, 4),
            *(overlap(*pair, number) for pair in ((mine, other), (mine, truth), (other, truth))),
        )
        for number in numbers
    )
    return Case(theirs.name.split(".")[0], int((mine == other).sum()), int(mine.size), structures)


def overlap(first: np.ndarray, second: np.ndarray, number: int) -> float | None:
    """Return the Dice of one number in two maps, to six digits; None where neither has it."""
    one, two = first == number, second == number
    total = int(one.sum() + two.sum())
    return round(2 * int((one & two).sum()) / total, 6) if total else None


def mean(values: Iterable[float | None]) -> float:
    """Return the mean of what is there."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else float("nan")
