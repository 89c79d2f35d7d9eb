"""The score against the number of cases that trained: runs of several folds and seeds, joined to points of a curve."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.comparison.paired import holm
from neuraxis.evaluation.comparison.side_by_side import ALL, Contrast, Entry, compare_scores, joint_notes
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.evaluation.statistics import MIN_PATIENTS, Summary, mean_of
from neuraxis.files import write_csv

ALIKE = 0.1
_LISTED = 8


@dataclass(frozen=True)
class TrainedRun:
    """One training.

    Attributes:
        name: for tables; unique.
        cases: that trained it.
        patients: behind them.
        fold: which one was held out.
        seed: of the training.
        scores: of the cases that were held out.
    """

    name: str
    cases: int
    patients: int
    fold: int
    seed: int
    scores: Scores


@dataclass(frozen=True)
class CurvePoint:
    """Trainings on about as many cases, and each held-out case's mean score over those that held it out.

    Attributes:
        runs: the trainings, by rising number of cases.
        scores: of the cases, the same in all points.
    """

    runs: tuple[TrainedRun, ...]
    scores: Scores

    @property
    def cases(self) -> float:
        """Mean number of cases that trained."""
        return sum(run.cases for run in self.runs) / len(self.runs)

    @property
    def label(self) -> str:
        """The number of cases in words: "18" or "18 to 19"."""
        return _span([run.cases for run in self.runs])

    @property
    def patients(self) -> str:
        """The number of patients in words."""
        return _span([run.patients for run in self.runs])

    def summary(self, metric: str, structure: str) -> Summary:
        """Summarise a metric over the held-out cases, of one structure or of the mean over structures (`ALL`)."""
        return self.scores.foreground(metric) if structure == ALL else self.scores.summarised(metric, structure)

    def of_runs(self, metric: str, structure: str) -> tuple[float, float]:
        """Return the lowest and the highest mean of a single run; NaN where it is undefined in all."""
        means = [mean_of_run(run, metric, structure) for run in self.runs]
        known = [mean for mean in means if not math.isnan(mean)]
        return (min(known), max(known)) if known else (math.nan, math.nan)


@dataclass(frozen=True)
class LearningCurve:
    """Points by rising number of training cases, and what a reader must know."""

    points: tuple[CurvePoint, ...]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns of scores that all runs have."""
        return self.points[0].scores.metrics

    @property
    def structures(self) -> tuple[str, ...]:
        """`ALL` where there are several structures, and each of them."""
        found = self.points[0].scores.structures()
        return (ALL, *found) if len(found) > 1 else found

    def gains(self, metric: str = "dice", structure: str = "") -> tuple[Contrast, ...]:
        """Return what each point has over the one before, p corrected over these steps (Holm).

        Args:
            metric: of the scores; one that has no better way gives nothing.
            structure: the first of `structures` where it is left out.
        """
        structure, found = structure or self.structures[0], []
        for less, more in zip(self.points, self.points[1:], strict=False):
            entries = [Entry(f"{point.label} cases", point.scores) for point in (more, less)]
            compared = compare_scores(entries).contrasts
            found += [one for one in compared if (one.metric, one.structure) == (metric, structure)]
        corrected = holm([one.difference.p for one in found])
        return tuple(replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield a row for each point, metric and structure."""
        for point in self.points:
            for metric in self.metrics:
                for structure in self.structures:
                    low, high = point.of_runs(metric, structure)
                    yield {
                        "training_cases": round(point.cases, 2),
                        "training_patients": point.patients,
                        "runs": len(point.runs),
                        "metric": metric,
                        "structure": structure,
                        **asdict(point.summary(metric, structure)),
                        "lowest_run": low,
                        "highest_run": high,
                    }

    def content(self) -> dict[str, Any]:
        """Return everything as plain dicts and lists, for JSON."""
        return {
            "points": [*self.rows()],
            "gains": [asdict(one) for structure in self.structures for one in self.gains(structure=structure)],
            "runs": [
                {"name": run.name, "training_cases": run.cases, "training_patients": run.patients, "fold": run.fold,
                 "seed": run.seed, "held_out": len(run.scores.cases())}
                for point in self.points for run in point.runs
            ],
            "notes": list(self.notes),
        }  # fmt: skip

    def write_points(self, path: Path, overwrite: bool = True) -> None:
        """Write a line for each point, metric and structure; what is undefined is an empty cell."""
        rows = [*self.rows()]
        write_csv(path, list(rows[0]), [[*map(_cell, row.values())] for row in rows], overwrite)

    def write_cases(self, path: Path, overwrite: bool = True) -> None:
        """Write a line for each held-out case, structure and metric, with a column for each run."""
        runs = [run for point in self.points for run in point.runs]
        tables = [{(row.case, row.structure): row.values for row in run.scores.rows} for run in runs]
        header = ["case", "subject", "site", "structure", "metric", *(f"{run.name} ({run.cases})" for run in runs)]
        lines = [
            [row.case, row.subject, row.site, row.structure, metric,
             *(_cell(table.get((row.case, row.structure), {}).get(metric, math.nan)) for table in tables)]
            for row in self.points[0].scores.rows for metric in self.metrics
        ]  # fmt: skip
        write_csv(path, header, lines, overwrite)


def mean_of_run(run: TrainedRun, metric: str, structure: str) -> float:
    """Return the mean of a metric over the cases that a run held out, of one structure or of all (`ALL`)."""
    return run.scores.mean(metric, None if structure == ALL else structure)


def learning_curve_of(runs: Sequence[TrainedRun], common: bool = False, notes: Sequence[str] = ()) -> LearningCurve:
    """Join trainings to a curve.

    Runs whose numbers of cases differ by at most a tenth are one point, such as the folds of one dataset. In each point
    a case counts once, by its mean over the runs that held it out.

    Args:
        runs: trainings, of different names.
        common: whether the cases that every point scored are enough.
        notes: further sentences for the reader.

    Raises:
        UsageError: there are not two numbers of cases, or structures, metrics or rules differ.
        DataError: points scored other cases.
    """
    ordered = sorted(runs, key=lambda run: (run.cases, run.name))
    _refuse_other_tables(ordered)
    groups: list[list[TrainedRun]] = []
    for run in ordered:
        if groups and run.cases <= (1 + ALIKE) * groups[-1][0].cases:
            groups[-1].append(run)
        else:
            groups.append([run])
    if len(groups) < 2:
        trained = f" ({_span([run.cases for run in ordered])} cases)" if ordered else ""
        raise UsageError(
            f"A learning curve needs runs of two numbers of training cases, found {len(groups)}{trained}. Train with "
            "fewer: neuraxis fit DATASET --set splits.share=0.5 --into runs/half"
        )
    held = [frozenset(row.case for run in group for row in run.scores.rows) for group in groups]
    shared, every = held[0].intersection(*held), held[0].union(*held)
    lacking = [
        f"{_span([run.cases for run in group])} training cases: {_listed(every - cases)} not scored"
        for group, cases in zip(groups, held, strict=True) if every - cases
    ]  # fmt: skip
    if lacking and (not common or not shared):
        raise DataError(
            f"{'; '.join(lacking)}. Every number needs the same held-out cases: train the same folds, or compare the "
            "cases that all have with --common."
        )
    metrics = [name for name in ordered[0].scores.metrics if all(name in run.scores.metrics for run in ordered)]
    points = tuple(CurvePoint(tuple(group), _joined(group, shared, metrics)) for group in groups)
    return LearningCurve(points, (*_notes(points, lacking), *notes))


def _refuse_other_tables(runs: Sequence[TrainedRun]) -> None:
    for run in runs[1:]:
        here, there = run.scores, runs[0].scores
        if here.structures() != there.structures():
            found, needed = ", ".join(here.structures()), ", ".join(there.structures())
            raise UsageError(f"{run.name}: has scores of {found}, {runs[0].name} of {needed}. Name runs of one task.")
        if here.rules != there.rules:
            raise UsageError(f"{run.name}: was scored by other rules than {runs[0].name}. Score both the same way.")


def _joined(runs: Sequence[TrainedRun], cases: frozenset[str], metrics: Sequence[str]) -> Scores:
    """Return a row for each case and structure with its mean over runs."""
    found: dict[tuple[str, str], list[Score]] = {}
    for run in runs:
        for row in run.scores.rows:
            if row.case in cases:
                found.setdefault((row.case, row.structure), []).append(row)
    order = {structure: place for place, structure in enumerate(runs[0].scores.structures())}
    rows = []
    for key in sorted(found, key=lambda key: (key[0], order[key[1]])):
        each = found[key]
        values = {name: mean_of(np.array([row.values.get(name, math.nan) for row in each])) for name in metrics}
        one = each[0]
        rows.append(Score(one.case, one.subject, one.site, one.structure, values, numbers=one.numbers))
    chose = any(run.scores.selected_on_these_cases for run in runs)
    return Scores.of(rows, chose, rules=runs[0].scores.rules)


def _notes(points: Sequence[CurvePoint], lacking: Sequence[str]) -> list[str]:
    alone = all(len(point.runs) == 1 for point in points)
    said = [
        "Each point is the mean over the held-out cases, which are the same at every point; a case counts once, by its "
        "mean over the runs that held it out. The interval is over patients.",
        "One run a point: how much results differ between draws of training cases and seeds is not in the intervals."
        if alone
        else "Lowest and highest run are means over each run's own held-out cases; of folds these are other patients.",
    ]
    patients = {row.patient for row in points[0].scores.rows}
    if len(patients) >= MIN_PATIENTS:
        said.append(
            "Gains are each point less the one before. p: Wilcoxon's signed-rank test over patients, two-sided, exact; "
            "Holm's correction is over the steps of the curve."
        )
    else:
        said.append(f"No test and no interval below {MIN_PATIENTS} patients; every value stands in the cases.")
    said += [f"Left out by --common: {one}." for one in lacking]
    return [*said, *joint_notes({f"{point.label} cases": point.scores.notes for point in points})]


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def _listed(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"{len(names)} case{'' if len(names) == 1 else 's'} ({shown})"


def _cell(value: Any) -> Any:
    return "" if isinstance(value, float) and math.isnan(value) else value
