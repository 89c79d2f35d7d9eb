"""Scores parted by where a case was acquired, and lesions of all cases together parted by their size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from neuraxis.evaluation.catalog import metric_of, size_of
from neuraxis.evaluation.overlap import ratio
from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.statistics import MIN_PATIENTS, patient_draws

_COUNTED = ("lesions_reference", "lesions_found", "lesions_predicted", "lesions_false")


@dataclass(frozen=True)
class Share:
    """A ratio of lesions of all cases together, with its 95 % bootstrap interval over patients.

    Attributes:
        value: 0 to 1; NaN where there is no lesion.
        low: lower end; NaN below 5 patients with such lesions.
        high: upper end.
    """

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class SizeRow:
    """The lesions of one size, of all cases.

    Attributes:
        structure: of the scores.
        size: in words, such as "10 to 100 mm³"; "all" for every lesion.
        reference: number of the reference's.
        found: of these, found.
        predicted: number of the predicted ones of that size.
        false: of these, false.
        patients: who have any lesion of that size, real or predicted.
        recall: found of the reference's (LTPR).
        precision: what is not false of the predicted (PPV).
        f1: 2 found / (2 found + missed + false).
    """

    structure: str
    size: str
    reference: int
    found: int
    predicted: int
    false: int
    patients: int
    recall: Share
    precision: Share
    f1: Share


def by_site(scores: Scores) -> dict[str, Scores]:
    """Return the rows of each site; none where fewer than two are known."""
    sites = sorted({row.site for row in scores.rows if row.site})
    if len(sites) < 2:
        return {}
    groups = {site: tuple(row for row in scores.rows if row.site == site) for site in sites}
    if without := tuple(row for row in scores.rows if not row.site):
        groups["unknown"] = without
    return {site: replace(scores, rows=rows) for site, rows in groups.items()}


def lesions_by_size(scores: Scores) -> tuple[SizeRow, ...]:
    """Return a row for each structure and size, then one for all sizes; none where lesions by size were not counted."""
    columns: dict[str, dict[str, str]] = {}
    for column in scores.metrics:
        base = metric_of(column)[0].removesuffix("_by_size")
        if base in _COUNTED and size_of(column):
            columns.setdefault(size_of(column), {})[base] = column
    if set(_COUNTED) <= set(scores.metrics):
        columns["all"] = {name: name for name in _COUNTED}
    whole = {size: found for size, found in columns.items() if len(found) == len(_COUNTED)}
    if set(whole) <= {"all"}:
        return ()
    return tuple(_row(scores, structure, size, whole[size]) for structure in scores.structures() for size in whole)


def _row(scores: Scores, structure: str, size: str, columns: dict[str, str]) -> SizeRow:
    counts: dict[str, np.ndarray] = {}
    for row in scores.rows:
        if row.structure == structure:
            values = np.array([row.values.get(columns[name], 0.0) for name in _COUNTED])
            counts[row.patient] = counts.get(row.patient, np.zeros(len(_COUNTED))) + np.nan_to_num(values)
    table = np.array([values for values in counts.values() if values.any()]).reshape(-1, len(_COUNTED))
    total = table.sum(axis=0)
    drawn = patient_draws(len(table)).astype(np.float64) @ table if len(table) >= MIN_PATIENTS else None
    reference, found, predicted, false = (round(float(value)) for value in total)
    recall, precision, f1 = (_share(total, drawn, place) for place in range(3))
    return SizeRow(structure, size, reference, found, predicted, false, len(table), recall, precision, f1)


def _share(total: np.ndarray, drawn: np.ndarray | None, place: int) -> Share:
    value = ratio(*(float(one[0]) for one in _parts(total[None], place)))
    if drawn is None or math.isnan(value):
        return Share(value)
    part, whole = _parts(drawn, place)
    defined = whole > 0
    low, high = np.percentile(part[defined] / whole[defined], (2.5, 97.5))
    return Share(value, float(low), float(high))


def _parts(counts: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is divided by what for recall, precision and F1, of rows of counts (N, 4)."""
    reference, found, predicted, false = counts.T
    if place == 0:
        return found, reference
    if place == 1:
        return predicted - false, predicted
    return 2 * found, found + reference + false
