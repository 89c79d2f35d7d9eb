"""The record of a training's previews, `previews/previews.csv`: what was shown when, and what it cost."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from neuraxis.files import write_csv

FOLDER, RECORD = "previews", "previews.csv"


@dataclass(frozen=True)
class Shown:
    """One case at one step.

    Attributes:
        step: optimiser steps done.
        case: what its files are called.
        role: "held out", "trained on" or "unlabelled".
        plane: "axial", "coronal" or "sagittal".
        slice: which slice was drawn, counted from 1, of the prepared scan.
        extent: what was predicted, in words.
        dice: mean Dice over the structures, in what was predicted; NaN without a reference.
        seconds: what it took to predict and to draw.
    """

    step: int
    case: str
    role: str
    plane: str
    slice: int
    extent: str
    dice: float
    seconds: float


def strip_path(folder: Path, shown: Shown, kind: str) -> Path:
    """Return the place of a strip in the folder of previews; `kind` is "whole" or "tiled"."""
    return folder / f"step-{shown.step:07}" / f"{shown.case}-{kind}.png"


def read_record(folder: Path) -> list[Shown]:
    """Read the record in a folder of previews; nothing where there is none."""
    if not (folder / RECORD).is_file():
        return []
    with (folder / RECORD).open(newline="", encoding="utf-8") as stream:
        return [
            Shown(
                int(row["step"]), row["case"], row["role"], row["plane"], int(row["slice"]), row["extent"],
                float(row["dice"] or "nan"), float(row["seconds"]),
            )
            for row in csv.DictReader(stream)
        ]  # fmt: skip


def write_record(folder: Path, rows: Iterable[Shown]) -> None:
    """Write the record atomically."""
    columns = [field.name for field in fields(Shown)]
    write_csv(folder / RECORD, columns, ([_cell(value) for value in asdict(row).values()] for row in rows))


def by_case(rows: Sequence[Shown]) -> dict[str, list[Shown]]:
    """Return each case's rows by rising step, in the order in which the cases came first."""
    found: dict[str, list[Shown]] = {}
    for row in sorted(rows, key=lambda row: row.step):
        found.setdefault(row.case, []).append(row)
    return found


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and value != value else value
