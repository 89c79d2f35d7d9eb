"""The rows of `curves.csv`: what training noted at even distances of steps. Needs no torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from neuraxis.files import write_text

Row = dict[str, float]
COLUMNS = ("step", "seconds", "learning_rate", "loss", "validation_dice")


def read_curves(path: Path) -> list[Row]:
    """Read the rows; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]


def write_curves(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())
