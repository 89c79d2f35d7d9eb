"""A table of scores: a row for each case and structure, with the rules it was made by.

>>> rows = [Score(f"case-{n}", "", "", "lesion", {"dice": value}) for n, value in enumerate((0.5, 0.75, math.nan))]
>>> scores = Scores.of(rows)
>>> scores.mean("dice")
0.625
>>> scores.notes[0]
'n = 3 cases of 3 patients. No interval below 5 patients.'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.evaluation import notes, tables
from neuraxis.evaluation.calibration import Reliability
from neuraxis.evaluation.overlap import Counts
from neuraxis.evaluation.rules import USUAL, ScoringRules
from neuraxis.evaluation.statistics import Summary, mean_of, summarise, summarise_structures


@dataclass(frozen=True)
class Score:
    """The scores of one structure in one case.

    Attributes:
        case: the case's id.
        subject: the patient; empty where unknown, then each case counts as its own patient.
        site: where it was acquired; empty where unknown.
        structure: name of the label or region.
        values: metric name to value, NaN where undefined.
        counts: the voxel counts behind them.
        numbers: the label numbers that make up the structure.
        prediction_file: what was scored.
        reference_file: against what.
        reliability: how its probabilities agree with the reference; None without any.
        oracle: whether the prediction used the reference: its prompts came from there.
    """

    case: str
    subject: str
    site: str
    structure: str
    values: dict[str, float]
    counts: Counts | None = None
    numbers: tuple[int, ...] = ()
    prediction_file: str = ""
    reference_file: str = ""
    reliability: Reliability | None = None
    oracle: bool = False

    @property
    def patient(self) -> str:
        """Who is resampled for intervals: the subject, or the case where no subject is known."""
        return self.subject or self.case


@dataclass(frozen=True)
class Scores:
    """Rows of scores and what must be said beside them.

    Attributes:
        rows: one for each case and structure.
        metrics: names of the columns, in order.
        notes: n, the rules for empty cases and how often they applied, definitions.
        selected_on_these_cases: whether these cases chose anything of the model (checkpoint, stopping, threshold).
        rules: by which masks were compared.
        left_out: ids of cases that were left out on purpose; the notes name them.
    """

    rows: tuple[Score, ...]
    metrics: tuple[str, ...]
    notes: tuple[str, ...] = ()
    selected_on_these_cases: bool = False
    rules: ScoringRules = USUAL
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        rows: Iterable[Score],
        selected_on_these_cases: bool = False,
        further_notes: Sequence[str] = (),
        rules: ScoringRules = USUAL,
        left_out: Sequence[str] = (),
    ) -> Scores:
        """Gather rows into a table and write its notes."""
        rows = tuple(rows)
        metrics = tuple(dict.fromkeys(name for row in rows for name in row.values))
        said = [*notes.notes_of(rows, metrics, rules), *further_notes]
        if selected_on_these_cases:
            said.insert(0, "Selected on these cases: the scores are too good for new ones.")
        if told := sum(row.oracle for row in rows):
            said.insert(0, f"Oracle: the prompts of {told} of {len(rows)} rows came from the reference.")
        if left_out:
            said.insert(0, notes.left_out_on_purpose(left_out, len({row.case for row in rows})))
        return cls(rows, metrics, tuple(said), selected_on_these_cases, rules, tuple(left_out))

    def structures(self) -> tuple[str, ...]:
        """Return the names of the structures, in the order of their first rows."""
        return tuple(dict.fromkeys(row.structure for row in self.rows))

    def shown(self, structure: str) -> str:
        """Return how a structure is named in a table: with the word oracle where the reference was used."""
        return label_of(structure, any(row.oracle for row in self.rows if row.structure == structure))

    def cases(self) -> tuple[str, ...]:
        """Return the ids of the cases, in the order of their first rows."""
        return tuple(dict.fromkeys(row.case for row in self.rows))

    def values(self, metric: str, structure: str) -> dict[str, float]:
        """Return each case's value of one metric and structure, NaN where undefined.

        Raises:
            KeyError: there is no such metric or structure.
        """
        if metric not in self.metrics or structure not in self.structures():
            raise KeyError(f"No column '{metric}' of '{structure}': there are {self.metrics} of {self.structures()}.")
        return {row.case: row.values.get(metric, math.nan) for row in self.rows if row.structure == structure}

    def mean(self, metric: str, structure: str | None = None) -> float:
        """Return the mean of a metric over cases, undefined values left out; NaN where all are.

        Without a structure: the mean over structures of their means (nnU-Net's "foreground mean").
        """
        if structure is not None:
            return mean_of(np.array(list(self.values(metric, structure).values())))
        return mean_of(np.array([self.mean(metric, name) for name in self.structures()]))

    def summarised(self, metric: str, structure: str) -> Summary:
        """Return mean, SD, median and 95 % interval of one metric and structure."""
        return summarise(list(self.values(metric, structure).values()), self._patients(structure))

    def summary(self) -> dict[str, dict[str, Summary]]:
        """Return mean, SD, median and 95 % interval of every structure and metric."""
        return {
            structure: {metric: self.summarised(metric, structure) for metric in self.metrics}
            for structure in self.structures()
        }

    def foreground(self, metric: str) -> Summary:
        """Summarise a metric over all structures; its mean is `mean(metric)`, with an interval over patients."""
        columns = {structure: self.values(metric, structure) for structure in self.structures()}
        patients = {row.case: row.patient for row in self.rows}
        table = [[column.get(case, math.nan) for column in columns.values()] for case in patients]
        return summarise_structures(np.array(table).reshape(len(patients), len(columns)), list(patients.values()))

    def write_csv(self, path: Path | str, overwrite: bool = True) -> None:
        """Write a row for each case and structure: case, subject, site, structure, the metrics, the counts behind.

        Undefined values are empty cells; numbers are written so that `read_csv` gives exactly the same. How lesions
        were matched and empty masks counted, and which cases were left out on purpose, are columns where there is
        something unusual to say.

        Raises:
            UsageError: the file exists and `overwrite` is false.
        """
        tables.write(Path(path), self, overwrite)

    def write_parquet(self, path: Path | str, overwrite: bool = True) -> None:
        """Write the same rows as a Parquet file: text, whole numbers and floats; undefined values are NaN.

        Raises:
            UsageError: the file exists and `overwrite` is false.
        """
        tables.write_parquet_table(Path(path), self, overwrite)

    @classmethod
    def read_csv(cls, path: Path | str) -> Scores:
        """Read what `write_csv` wrote; the notes are written anew from the rows.

        Raises:
            DataError: the file is missing or is no such table.
        """
        rows, made = tables.read(Path(path))
        return cls.of([Score(**fields) for fields in rows], **made)

    def nnunet_summary(self) -> dict[str, Any]:
        """Return the table with the keys of nnU-Net's `summary.json`, its label numbers as keys.

        Undefined values are NaN (`files.write_json` makes them null); means leave them out.

        Raises:
            ValueError: the rows have no counts or no label numbers.
        """
        return tables.nnunet_summary(self)

    def _patients(self, structure: str) -> list[str]:
        return list({row.case: row.patient for row in self.rows if row.structure == structure}.values())


def label_of(name: str, oracle: bool) -> str:
    """Return how an entry is named wherever it is shown.

    >>> label_of("boxed", oracle=True)
    'boxed (oracle)'
    """
    return f"{name} (oracle)" if oracle else name
