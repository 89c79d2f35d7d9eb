"""What a column of scores says about patients: mean, spread, and how sure the mean is.

Intervals are percentile bootstrap intervals (Efron and Tibshirani, "An introduction to the bootstrap", 1993) over
patients, not over scans: a resample draws as many patients as there are, with replacement, and each brings all of
its scans along, so that several time points of one patient do not feign certainty. The draws depend on nothing but
the number of patients and a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MIN_PATIENTS = 5
RESAMPLES = 5000
_SEED = 20_240_229
_CHUNK = 250


@dataclass(frozen=True)
class Summary:
    """A column of scores in numbers; undefined (NaN) scores are left out of all of them.

    Attributes:
        n: number of defined scores.
        mean: their mean; NaN where n is 0.
        sd: their standard deviation (n - 1 in the denominator); NaN below 2.
        median: their median.
        ci_low: lower end of the 95 % interval of the mean; NaN below 5 patients.
        ci_high: upper end of it.
        patients: number of patients with a defined score.
    """

    n: int
    mean: float
    sd: float
    median: float
    ci_low: float
    ci_high: float
    patients: int = 0


def summarise(values: Sequence[float], patients: Sequence[str]) -> Summary:
    """Summarise a column of scores.

    Args:
        values: one score a scan; NaN is left out.
        patients: whose scan it is, in the same order.

    >>> summarise([0.5, 0.75, float("nan"), 1.0], ["a", "b", "c", "d"])
    Summary(n=3, mean=0.75, sd=0.25, median=0.75, ci_low=nan, ci_high=nan, patients=3)
    """
    table = np.asarray(values, dtype=np.float64)[:, None]
    defined = table[~np.isnan(table)]
    low, high = interval(table, patients)
    return Summary(
        n=len(defined),
        mean=float(defined.mean()) if len(defined) else math.nan,
        sd=float(defined.std(ddof=1)) if len(defined) > 1 else math.nan,
        median=float(np.median(defined)) if len(defined) else math.nan,
        ci_low=low,
        ci_high=high,
        patients=len(_patients_with_scores(table, patients)),
    )


def summarise_structures(table: np.ndarray, patients: Sequence[str]) -> Summary:
    """Summarise several structures as one: the mean over structures of their means.

    Mean and interval are those of that statistic. SD, median and n are those of the scans' own means over the
    structures that are defined there.

    Args:
        table: scores (scans, structures), NaN where undefined.
        patients: whose scan it is.
    """
    per_scan = [mean_of(row) for row in table]
    low, high = interval(table, patients)
    scans = summarise(per_scan, patients)
    overall = mean_of(np.array([mean_of(column) for column in table.T]))
    return Summary(scans.n, overall, scans.sd, scans.median, low, high, scans.patients)


def interval(table: np.ndarray, patients: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean over structures of the means over scans.

    Args:
        table: scores (scans, structures), NaN where undefined.
        patients: whose scan it is; resampled as a whole.

    Returns:
        NaN twice where fewer than 5 patients have a score.

    Raises:
        ValueError: there is not one patient for each scan.
    """
    if len(patients) != len(table):
        raise ValueError(f"{len(table)} scores need as many patients, found {len(patients)}.")
    kept = _patients_with_scores(table, patients)
    if len(kept) < MIN_PATIENTS:
        return math.nan, math.nan
    place = {patient: row for row, patient in enumerate(kept)}
    rows = np.array([place.get(patient, -1) for patient in patients])
    scored = rows >= 0
    sums, counts = np.zeros((2, len(kept), table.shape[1]))
    np.add.at(sums, rows[scored], np.nan_to_num(table[scored]))
    np.add.at(counts, rows[scored], ~np.isnan(table[scored]))
    means = []
    for start in range(0, RESAMPLES, _CHUNK):
        times = patient_draws(len(kept))[start : start + _CHUNK].astype(np.float64)
        means.append(_means_over_columns(times @ sums, times @ counts))
    low, high = np.nanpercentile(np.concatenate(means), (2.5, 97.5))
    return float(low), float(high)


def mean_of(values: np.ndarray) -> float:
    """Return the mean of the defined values, NaN where none is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else math.nan


def _patients_with_scores(table: np.ndarray, patients: Sequence[str]) -> list[str]:
    has_score = ~np.isnan(table).all(axis=1)
    return sorted({patient for patient, kept in zip(patients, has_score, strict=True) if kept})


def _means_over_columns(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return for each resample the mean of the columns' means; a column that was not drawn is left out."""
    drawn = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=drawn)
    columns = drawn.sum(axis=1)
    result = np.full(len(sums), np.nan)
    np.divide(means.sum(axis=1), columns, out=result, where=columns > 0)
    return result


@lru_cache(maxsize=4)
def patient_draws(patients: int) -> np.ndarray:
    """Return how often each patient is drawn in each resample, uint16 (RESAMPLES, patients)."""
    generator = np.random.Generator(np.random.Philox(key=np.array([_SEED, patients], dtype=np.uint64)))
    rows = [np.bincount(generator.integers(0, patients, size=patients), minlength=patients) for _ in range(RESAMPLES)]
    return np.array(rows, dtype=np.uint16)
