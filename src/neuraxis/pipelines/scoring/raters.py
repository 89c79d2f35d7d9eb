"""Several raters' label maps of the cases that were scored, read and compared with the predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.pairs import check_grids, find_pairs, prediction_case
from neuraxis.evaluation.raters import (
    MODEL,
    RaterRow,
    RaterStanding,
    WilliamsIndex,
    compare_raters,
    standings,
    williams_index,
)
from neuraxis.evaluation.scores import Scores
from neuraxis.files import write_csv
from neuraxis.progress import Progress
from neuraxis.workers import map_in_order

Raters = Mapping[str, Path]
MOST = 16


@dataclass(frozen=True)
class RaterAgreement:
    """How raters and the model agree.

    Attributes:
        raters: their names.
        rows: each two in each structure of each case.
        standings: the model and each rater, the best first, by structure.
        williams: Williams' index of each structure.
    """

    raters: tuple[str, ...]
    rows: tuple[RaterRow, ...]
    standings: tuple[RaterStanding, ...]
    williams: tuple[WilliamsIndex, ...]

    def write_csv(self, path: Path, overwrite: bool = True) -> None:
        """Write a line for each two in each structure of each case; an undefined Dice is an empty cell."""
        names = list(RaterRow.__dataclass_fields__)
        lines = [["" if value != value else value for value in asdict(row).values()] for row in self.rows]
        write_csv(path, names, lines, overwrite)


def read_rater_folders(words: tuple[str, ...]) -> dict[str, Path]:
    """Read `NAME=FOLDER`, or a folder alone, whose own name is then taken.

    Raises:
        UsageError: fewer than two, more than 16, a name that comes twice, or a folder that is not there.
    """
    found: dict[str, Path] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        path = Path(rest if equals and not Path(word).exists() else word)
        name = name.strip() if equals and not Path(word).exists() else path.resolve().name
        if name in found or name == MODEL or not name:
            raise UsageError(f"--raters {word}: another one is called '{name}' already. Write NAME={path}")
        if not path.is_dir():
            raise UsageError(f"--raters {word}: {path} is no folder. Name the folder of a rater's label maps.")
        found[name] = path
    if found and not 2 <= len(found) <= MOST:
        raise UsageError(f"--raters: {len(found)} given. Needed are 2 to {MOST} raters' folders.")
    return found


def rater_agreement(scores: Scores, references: Path | Dataset, raters: Raters, progress: Progress) -> RaterAgreement:
    """Compare the raters with one another and with the predictions that were scored, in each case and structure.

    Args:
        scores: of the predictions; their files are read again.
        references: what they were scored against; raters' files bear the same names.
        raters: name to folder.
        progress: who shows how far it is.

    Raises:
        DataError: a rater lacks a case, or a label map lies on another grid; the message names rater and case.
    """
    cases, maps = scores.cases(), {}
    for name, folder in raters.items():
        try:
            pairs = find_pairs(folder, references, cases)
            check_grids(pairs)
        except DataError as error:
            raise DataError(f"rater {name}: {error}") from error
        maps[name] = {pair.reference.id: prediction_case(pair) for pair in pairs}
    structures = {row.structure: row.numbers for row in scores.rows}
    files = {row.case: (row.prediction_file, row.patient) for row in scores.rows}

    def compared(case: str) -> tuple[RaterRow, ...]:
        model = next(iter(maps.values()))[case].relabelled(Path(files[case][0])).read_label().array[0]
        said = {name: found[case].read_label().array[0] for name, found in maps.items()}
        rows: list[RaterRow] = []
        for structure, numbers in structures.items():
            masks = {name: np.isin(array, numbers) for name, array in said.items()}
            rows += compare_raters((case, files[case][1], structure), np.isin(model, numbers), masks)
        return tuple(rows)

    rows: list[RaterRow] = []
    with progress.stage("Comparing raters", len(cases)) as stage:
        for found in map_in_order(compared, cases):
            rows.extend(found)
            stage.advance(note=found[0].case)
    return RaterAgreement(tuple(raters), tuple(rows), standings(rows), williams_index(rows))
