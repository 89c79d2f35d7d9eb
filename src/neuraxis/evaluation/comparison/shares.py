"""Two ways to begin a training, each on more and more of the same cases: scores, and how they differ at each share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuraxis.evaluation.comparison.paired import holm
from neuraxis.evaluation.comparison.side_by_side import ALL, Contrast, Entry, compare_scores
from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.statistics import MIN_PATIENTS, Summary
from neuraxis.files import write_csv

TRANSFER, SCRATCH = "from the model", "from scratch"
STARTS = (TRANSFER, SCRATCH)


@dataclass(frozen=True)
class Cell:
    """One training and its scores on the held-out cases, which are the same for all.

    Attributes:
        share: of the training patients, in percent.
        start: one of `STARTS`.
        cases: that trained.
        patients: behind them.
        scores: of the held-out cases.
    """

    share: float
    start: str
    cases: int
    patients: int
    scores: Scores

    @property
    def name(self) -> str:
        """Share and start in words."""
        return f"{self.share:g} %, {self.start}"

    def summary(self, metric: str, structure: str) -> Summary:
        """Summarise a metric of one structure, or of the mean over structures (`ALL`)."""
        return self.scores.foreground(metric) if structure == ALL else self.scores.summarised(metric, structure)


@dataclass(frozen=True)
class ShareTable:
    """All trainings: for each share the one that began with the model, then the one from scratch."""

    cells: tuple[Cell, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns of scores."""
        return self.cells[0].scores.metrics

    @property
    def structures(self) -> tuple[str, ...]:
        """`ALL` where there are several structures, and each of them."""
        found = self.cells[0].scores.structures()
        return (ALL, *found) if len(found) > 1 else found

    def of(self, start: str) -> tuple[Cell, ...]:
        """Return the trainings of one start, by rising share."""
        return tuple(cell for cell in self.cells if cell.start == start)

    def differences(self, metric: str = "dice", structure: str = "") -> tuple[tuple[float, Contrast], ...]:
        """Return for each share how the model's start differs from scratch, p corrected over the shares (Holm).

        Args:
            metric: of the scores.
            structure: the first of `structures` where it is left out.
        """
        structure = structure or self.structures[0]
        found: list[tuple[float, Contrast]] = []
        for first, second in zip(self.of(TRANSFER), self.of(SCRATCH), strict=True):
            compared = compare_scores([Entry(cell.start, cell.scores) for cell in (first, second)])
            wanted = (one for one in compared.contrasts if (one.metric, one.structure) == (metric, structure))
            found.append((first.share, next(wanted)))
        corrected = holm([one.difference.p for _, one in found])
        return tuple(
            (share, Contrast(one.metric, one.structure, one.first, one.second, one.difference, p))
            for (share, one), p in zip(found, corrected, strict=True)
        )

    def notes(self) -> tuple[str, ...]:
        """Say who was scored and by which rules; what holds for all trainings, and what for some of them alone."""
        every = [cell.scores.notes for cell in self.cells]
        said = [
            "Every training has the same held-out cases, plan, number of steps and seed; patients of a smaller share "
            "are among those of a larger one. The plan, with what the model's weights need, was made from all cases.",
            "One fold and one seed: how much results differ between draws is not in the intervals.",
        ]
        if self.cells[0].summary("dice", self.structures[0]).patients >= MIN_PATIENTS:
            said.append(
                "Differences are model less scratch. p: Wilcoxon's signed-rank test over patients, two-sided, exact; "
                "Holm's correction is over the shares."
            )
        else:
            said.append(f"No test and no interval below {MIN_PATIENTS} patients; every value stands in the cases.")
        for note in dict.fromkeys(note for notes in every for note in notes):
            owners = [cell.name for cell, notes in zip(self.cells, every, strict=True) if note in notes]
            said.append(note if len(owners) == len(every) else f"{'; '.join(owners)}: {note}")
        return tuple(said)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each training, metric and structure."""
        for cell in self.cells:
            for metric in self.metrics:
                for structure in self.structures:
                    yield {
                        "share_percent": cell.share,
                        "start": cell.start,
                        "training_patients": cell.patients,
                        "training_cases": cell.cases,
                        "metric": metric,
                        "structure": structure,
                        **asdict(cell.summary(metric, structure)),
                    }

    def write(self, folder: Path) -> None:
        """Write `table.csv`, `differences.csv` and `cases.csv`; what is undefined is an empty cell."""
        rows = [*self.rows()]
        write_csv(folder / "table.csv", list(rows[0]), [[*map(_cell, row.values())] for row in rows])
        tests = [
            {"share_percent": share, "metric": one.metric, "structure": one.structure, **asdict(one.difference)}
            | {"p_holm": one.p_holm}
            for structure in self.structures
            for share, one in self.differences(structure=structure)
        ]
        write_csv(folder / "differences.csv", list(tests[0]), [[*map(_cell, row.values())] for row in tests])
        header = ["case", "subject", "site", "structure", "metric", *(cell.name for cell in self.cells)]
        write_csv(folder / "cases.csv", header, self._case_lines())

    def _case_lines(self) -> Iterator[Sequence[object]]:
        tables = [{(row.case, row.structure): row.values for row in cell.scores.rows} for cell in self.cells]
        for row in self.cells[0].scores.rows:
            for metric in self.metrics:
                values = [_cell(table[row.case, row.structure][metric]) for table in tables]
                yield [row.case, row.subject, row.site, row.structure, metric, *values]


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value
