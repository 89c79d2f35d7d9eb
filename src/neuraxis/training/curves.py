"""The rows of `curves.csv`: what training noted at even distances of steps. Needs no torch.

A network with experts adds a column "experts/PLACE/NUMBER" for each: its share of the tokens of the held-out patches,
in [0, 1]. Beside it lie `progress.json`, which says how far the training is, and `stop`, with which it is asked to end.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from neuraxis.files import write_csv

Row = dict[str, float]
CURVES, PROGRESS, STOP = "curves.csv", "progress.json", "stop"
COLUMNS = ("step", "seconds", "learning_rate", "loss", "validation_dice", "validation_loss")
STAGE, EXPERTS = "stage", "experts/"


def read_curves(path: Path) -> list[Row]:
    """Read the rows, each with the columns that it has; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]


def write_curves(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows atomically; stage and use of experts are columns where a training has them."""
    experts = dict.fromkeys(name for row in rows for name in row if name.startswith(EXPERTS))
    columns = [*COLUMNS, *([STAGE] if any(STAGE in row for row in rows) else []), *experts]
    write_csv(path, columns, ([row.get(name, "") for name in columns] for row in rows))
