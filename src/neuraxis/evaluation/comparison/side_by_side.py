"""The scores of several entries on the same cases: differences with tests, ranks, and the rules in words.

An entry is whatever made segmentations: a run, a bundle, another program. One whose predictions used the reference in
any way (a box drawn round it, say) is an oracle: it bears the word wherever its name stands and is not ranked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.evaluation.comparison.paired import (
    PairedDifference,
    better,
    holm,
    mid_ranks,
    paired_difference,
    patient_means,
)
from neuraxis.evaluation.scores import Score, Scores, label_of
from neuraxis.evaluation.statistics import MIN_PATIENTS, RESAMPLES, mean_of, patient_draws
from neuraxis.files import write_csv

ALL = "all (mean)"


@dataclass(frozen=True)
class Expense:
    """What an entry costs; None where nothing tells.

    Attributes:
        parameters: of the networks that predict a case.
        window_gflops: floating-point operations of these in one window, in 1e9, not mirrored.
        window: voxels of that window.
        cpu_seconds: median over cases of the processor's seconds, read here while it predicted.
        training_minutes: of the training, of all folds of a run together, on whichever machine it ran.
    """

    parameters: int | None = None
    window_gflops: float | None = None
    window: str = ""
    cpu_seconds: float | None = None
    training_minutes: float | None = None


@dataclass(frozen=True)
class Entry:
    """One column of a comparison.

    Attributes:
        name: short and unique.
        scores: of its segmentations, on the cases that all entries share.
        oracle: whether its predictions used the reference.
        kind: what it is, in a word or two.
        expense: what it costs.
    """

    name: str
    scores: Scores
    oracle: bool = False
    kind: str = "predictions"
    expense: Expense = Expense()

    @property
    def label(self) -> str:
        """The name as it is shown everywhere."""
        return label_of(self.name, self.oracle)


@dataclass(frozen=True)
class Contrast:
    """Two entries in one metric and structure.

    Attributes:
        metric: column of the scores; of signed errors the absolute values are compared.
        structure: of the scores, or `ALL` for the mean over structures.
        first: label of an entry.
        second: label of the other.
        difference: first less second.
        p_holm: its p, corrected together with all others of the metric.
    """

    metric: str
    structure: str
    first: str
    second: str
    difference: PairedDifference
    p_holm: float

    @property
    def winner(self) -> str:
        """The label of the entry that is better on the mean; empty where they are equal or nothing is known."""
        way = better(self.metric)
        if way is None or not math.isfinite(self.difference.mean) or self.difference.mean == 0:
            return ""
        return self.first if (self.difference.mean > 0) == (way == "higher") else self.second


@dataclass(frozen=True)
class Standing:
    """Where an entry stands among those that are no oracle, in the mean over structures of one metric.

    Attributes:
        metric: column of the scores.
        entry: its label.
        patients: in whom every entry has a value.
        mean_rank: over them; 1 is best, ties share a rank.
        first_share: share of the bootstrap resamples of patients in which its mean is the best, in [0, 1]; NaN below
            5 patients, as all that follows.
        rank_low: lower end of the 95 % interval of the rank of its mean over the resamples.
        rank_high: upper end of it.
        stability: of the whole ranking: mean of Kendall's tau between the ranking of the means and that of a resample,
            -1 to 1; at 1 every resample ranks the same.
    """

    metric: str
    entry: str
    patients: int
    mean_rank: float
    first_share: float
    rank_low: float = math.nan
    rank_high: float = math.nan
    stability: float = math.nan


@dataclass(frozen=True)
class SideBySide:
    """Entries, how they differ, how they rank, and what a reader must know."""

    entries: tuple[Entry, ...]
    contrasts: tuple[Contrast, ...]
    standings: tuple[Standing, ...]
    notes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the columns of scores, in order."""
        return self.entries[0].scores.metrics

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the structures that were scored."""
        return self.entries[0].scores.structures()

    def rows(self) -> Iterator[tuple[Score, tuple[Score, ...]]]:
        """Yield for each case and structure the first entry's row, and that of every entry in their order."""
        tables = [{(row.case, row.structure): row for row in entry.scores.rows} for entry in self.entries]
        for row in self.entries[0].scores.rows:
            yield row, tuple(table[row.case, row.structure] for table in tables)

    def content(self) -> dict[str, Any]:
        """Return everything as plain dicts and lists, for JSON."""
        return {
            "entries": [
                {
                    "name": entry.name,
                    "label": entry.label,
                    "oracle": entry.oracle,
                    "kind": entry.kind,
                    "selected_on_these_cases": entry.scores.selected_on_these_cases,
                    "expense": asdict(entry.expense),
                    "summary": {
                        structure: {metric: asdict(summary) for metric, summary in metrics.items()}
                        for structure, metrics in entry.scores.summary().items()
                    },
                }
                for entry in self.entries
            ],
            "contrasts": [{**asdict(one), "winner": one.winner} for one in self.contrasts],
            "standings": [asdict(one) for one in self.standings],
            "notes": list(self.notes),
            "cases": [
                {
                    "case": row.case,
                    "subject": row.subject,
                    "site": row.site,
                    "structure": row.structure,
                    "values": {entry.label: one.values for entry, one in zip(self.entries, each, strict=True)},
                }
                for row, each in self.rows()
            ],
        }

    def write_cases(self, path: Path, overwrite: bool = True) -> None:
        """Write a line for each case, structure and metric, with a column for each entry; undefined cells are empty."""
        header = ["case", "subject", "site", "structure", "metric", *(entry.label for entry in self.entries)]
        lines = [
            [row.case, row.subject, row.site, row.structure, metric, *(_cell(one.values[metric]) for one in each)]
            for row, each in self.rows()
            for metric in self.metrics
        ]
        write_csv(path, header, lines, overwrite)

    def write_tests(self, path: Path, overwrite: bool = True) -> None:
        """Write a line for each contrast; what is not known, such as p below 5 patients, is an empty cell."""
        names = list(PairedDifference.__dataclass_fields__)
        header = ["metric", "structure", "first", "second", *names, "p_holm"]
        lines = [
            [one.metric, one.structure, one.first, one.second, *map(_cell, asdict(one.difference).values()),
             _cell(one.p_holm)]
            for one in self.contrasts
        ]  # fmt: skip
        write_csv(path, header, lines, overwrite)


def compare_scores(entries: Sequence[Entry], notes: Sequence[str] = ()) -> SideBySide:
    """Compare entries that were scored on the same cases, structures and metrics.

    Args:
        entries: two or more, of different names.
        notes: further sentences for the reader.

    Raises:
        ValueError: names come twice, or cases, structures or metrics differ.
    """
    entries = tuple(entries)
    if len({entry.name for entry in entries}) < max(2, len(entries)):
        raise ValueError("A comparison needs two entries or more, of different names.")
    keys = [([(row.case, row.structure) for row in entry.scores.rows], entry.scores.metrics) for entry in entries]
    if any(key != keys[0] for key in keys):
        raise ValueError("Entries are compared on the same cases, structures and metrics alone.")
    metrics = [metric for metric in keys[0][1] if better(metric)]
    contrasts = tuple(one for metric in metrics for one in _contrasts(entries, metric))
    standings = tuple(one for metric in metrics for one in _standings(entries, metric))
    return SideBySide(entries, contrasts, standings, (*_notes(entries, contrasts), *notes))


def _contrasts(entries: Sequence[Entry], metric: str) -> list[Contrast]:
    patients = _patients(entries[0].scores)
    structures = entries[0].scores.structures()
    columns = {name: [place] for place, name in enumerate(structures)}
    if len(structures) > 1:
        columns = {ALL: list(range(len(structures))), **columns}
    found = []
    for structure, places in columns.items():
        for first, second in combinations(entries, 2):
            here, there = (_table(entry.scores, metric)[:, places] for entry in (first, second))
            difference = paired_difference(here, there, patients)
            found.append(Contrast(metric, structure, first.label, second.label, difference, math.nan))
    corrected = holm([one.difference.p for one in found])
    return [replace(one, p_holm=p) for one, p in zip(found, corrected, strict=True)]


def _standings(entries: Sequence[Entry], metric: str) -> list[Standing]:
    """Rank the entries in every patient, and by their means in every resample of patients."""
    ranked = [entry for entry in entries if not entry.oracle]
    if len(ranked) < 2:
        return []
    patients = _patients(ranked[0].scores)
    per_case = np.array([[mean_of(row) for row in _table(entry.scores, metric)] for entry in ranked])
    complete = ~np.isnan(per_case).any(axis=0)
    kept = [patient for patient, whole in zip(patients, complete, strict=True) if whole]
    values = np.array([patient_means(row[complete], kept) for row in per_case])  # (entries, patients)
    count = values.shape[1]
    if not count:
        return []
    worse = -1 if better(metric) == "higher" else 1
    ranks = np.array([mid_ranks(np.round(worse * column, 12)) for column in values.T])
    steady: list[tuple[float, ...]] = [(math.nan,) * 4] * len(ranked)
    if count >= MIN_PATIENTS:
        steady = rank_stability(np.round(worse * values, 12))
    return [
        Standing(metric, entry.label, count, float(mean), *told)
        for entry, mean, told in zip(ranked, ranks.mean(axis=0), steady, strict=True)
    ]


def rank_stability(values: np.ndarray) -> list[tuple[float, ...]]:
    """Return how often each entry is first, the ends of its rank's interval, and Kendall's tau of the ranking.

    Args:
        values: (entries, patients), lower is better.
    """
    count = values.shape[1]
    means = np.round(patient_draws(count).astype(np.float64) @ values.T / count, 12)  # (resamples, entries)
    best = means == means.min(axis=1, keepdims=True)
    shares = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
    above = np.sign(means[:, :, None] - means[:, None, :])  # whom each one is ranked behind, by resample
    ranks = 1 + (above > 0).sum(axis=2)
    low, high = np.percentile(ranks, (2.5, 97.5), axis=0, method="inverted_cdf")
    whole = np.round(values.mean(axis=1), 12)
    order = np.sign(whole[:, None] - whole[None, :])
    pairs = len(whole) * (len(whole) - 1)
    tau = float((above * order).sum(axis=(1, 2)).mean() / pairs)
    return [(float(share), float(one), float(other), tau) for share, one, other in zip(shares, low, high, strict=True)]


def _table(scores: Scores, metric: str) -> np.ndarray:
    """Return the scores of a metric as (cases, structures); of errors that are best at 0 their size."""
    columns = [scores.values(metric, structure) for structure in scores.structures()]
    table = np.array([[column.get(case, math.nan) for column in columns] for case in scores.cases()])
    return np.abs(table) if better(metric) == "nearer 0" else table


def _patients(scores: Scores) -> list[str]:
    return list({row.case: row.patient for row in scores.rows}.values())


def _notes(entries: Sequence[Entry], contrasts: Sequence[Contrast]) -> list[str]:
    """Say who was scored, how it was tested, and for each entry what was left out."""
    patients = set(_patients(entries[0].scores))
    said = [
        f"{entry.label}: its predictions used the reference; it is no segmenter and is not ranked."
        for entry in entries
        if entry.oracle
    ]
    said += [
        f"{entry.label}: every segmentation equals its reference. If it used the reference, declare it with --oracle."
        for entry in entries
        if not entry.oracle and _is_perfect(entry.scores)
    ]
    who = next(note for note in entries[0].scores.notes if note.startswith("n = "))
    said.append(who)
    if len(patients) < MIN_PATIENTS:
        said.append(f"No test below {MIN_PATIENTS} patients. Every value stands in the table of cases.")
    else:
        sizes = [len(list(group)) for _, group in groupby(contrasts, lambda one: one.metric)]
        tests = f"the {sizes[0]} tests" if sizes and sizes[0] > 1 else "the one test"
        said.append(
            "Differences are first less second, of volume errors those of their sizes. p: Wilcoxon's signed-rank test "
            "over patients, two-sided, exact; a patient's cases count once, by their mean difference. Holm's "
            f"correction is over {tests} of each metric, not over metrics."
        )
        said.append(
            f"Ranks: over patients in whom every entry has a value, oracles left out; first in: share of {RESAMPLES} "
            "bootstrap resamples of patients in which the mean is the best; the rank's interval and Kendall's tau "
            "are over the same resamples."
        )
    told = joint_notes({entry.label: entry.scores.notes for entry in entries})
    return [*said, *(note for note in told if note != who)]


def _is_perfect(scores: Scores) -> bool:
    """Tell whether every Dice is exactly 1, as only the reference itself has it."""
    values = [row.values.get("dice", math.nan) for row in scores.rows]
    known = [value for value in values if not math.isnan(value)]
    return bool(known) and min(known) == 1


def joint_notes(notes: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the notes of several tables: once what holds for all, else under the names it holds for.

    >>> joint_notes({"a": ["n = 2", "Rule."], "b": ["n = 3", "Rule."]})
    ('a: n = 2', 'Rule.', 'b: n = 3')
    """
    found = []
    for note in dict.fromkeys(note for each in notes.values() for note in each):
        owners = [name for name, each in notes.items() if note in each]
        found.append(note if len(owners) == len(notes) else f"{', '.join(owners)}: {note}")
    return tuple(found)


def _cell(value: float) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else repr(value)
