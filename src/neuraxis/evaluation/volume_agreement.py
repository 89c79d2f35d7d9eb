"""Do predicted volumes agree with those of the reference: bias, limits of agreement, intraclass correlation.

* Bias and limits (Bland and Altman, "Statistical methods for assessing agreement between two methods of clinical
  measurement", Lancet 1986): the mean of predicted less reference volume over cases, and this mean ± 1.96 SD.
* ICC(A,1) of McGraw and Wong ("Forming inferences about some intraclass correlation coefficients", Psychological
  Methods 1996), which is ICC(2,1) of Shrout and Fleiss: two-way, absolute agreement, single measurement. A constant
  bias lowers it, as it does not lower a correlation.

Intervals are bootstrap intervals over patients, as everywhere. Below five patients there are neither limits nor ICC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.statistics import MIN_PATIENTS, interval, patient_draws

PREDICTED, REFERENCE = "volume_ml_predicted", "volume_ml_reference"


@dataclass(frozen=True)
class VolumeAgreement:
    """How the volumes of one structure agree; volumes in mL.

    Attributes:
        structure: of the scores.
        cases: that have both volumes; every one has, empty masks count as 0 mL.
        patients: behind them.
        bias_ml: mean of predicted less reference; above 0 where too much is predicted.
        bias_low_ml: lower end of its 95 % interval over patients; NaN below 5 patients, as all that follows.
        bias_high_ml: upper end of it.
        limit_low_ml: lower limit of agreement.
        limit_high_ml: upper limit of agreement.
        icc: ICC(A,1), at most 1; NaN where all volumes are equal.
        icc_low: lower end of its 95 % interval over patients.
        icc_high: upper end of it.
    """

    structure: str
    cases: int
    patients: int
    bias_ml: float
    bias_low_ml: float = math.nan
    bias_high_ml: float = math.nan
    limit_low_ml: float = math.nan
    limit_high_ml: float = math.nan
    icc: float = math.nan
    icc_low: float = math.nan
    icc_high: float = math.nan


def volume_agreement(scores: Scores) -> tuple[VolumeAgreement, ...]:
    """Return the agreement of each structure; none where volumes were not scored."""
    if not {PREDICTED, REFERENCE} <= set(scores.metrics):
        return ()
    return tuple(_of(scores, structure) for structure in scores.structures())


def icc(first: np.ndarray, second: np.ndarray) -> float:
    """Return ICC(A,1) of two measurements of the same cases; NaN below two cases or where nothing varies.

    >>> one = np.array([1.0, 2.0, 3.0, 4.0])
    >>> icc(one, one), round(icc(one, one + 1), 3)
    (1.0, 0.769)
    """
    return float(_icc(_sums(first, second)[None])[0])


def _of(scores: Scores, structure: str) -> VolumeAgreement:
    rows = [row for row in scores.rows if row.structure == structure]
    predicted, reference = (np.array([row.values[name] for row in rows]) for name in (PREDICTED, REFERENCE))
    patients = [row.patient for row in rows]
    difference = predicted - reference
    plain = VolumeAgreement(structure, len(rows), len(set(patients)), float(difference.mean()))
    if plain.patients < MIN_PATIENTS:
        return plain
    bias = interval(difference[:, None], patients)
    spread = 1.96 * float(difference.std(ddof=1))
    places = {patient: place for place, patient in enumerate(sorted(set(patients)))}
    sums = np.zeros((len(places), 6))
    for patient, one, other in zip(patients, predicted, reference, strict=True):
        sums[places[patient]] += _sums(np.array([one]), np.array([other]))
    resampled = _icc(patient_draws(len(places)).astype(np.float64) @ sums)
    low, high = np.nanpercentile(resampled, (2.5, 97.5)) if np.isfinite(resampled).any() else (math.nan, math.nan)
    limits = plain.bias_ml - spread, plain.bias_ml + spread
    whole = float(_icc(sums.sum(axis=0)[None])[0])
    return VolumeAgreement(
        structure, plain.cases, plain.patients, plain.bias_ml, *bias, *limits, whole, float(low), float(high)
    )


def _sums(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return n and the sums of x, y, x², y², xy."""
    squares = (first * first).sum(), (second * second).sum(), (first * second).sum()
    return np.array([len(first), first.sum(), second.sum(), *squares], dtype=np.float64)


def _icc(sums: np.ndarray) -> np.ndarray:
    """Return ICC(A,1) for each row of sums (N, 6): rows are cases, the two measurements are columns."""
    n, x, y, xx, yy, xy = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        within = [(whole - one * other / n) / (n - 1) for whole, one, other in ((xx, x, x), (yy, y, y), (xy, x, y))]
        rows = (within[0] + within[1] + 2 * within[2]) / 2
        rest = np.maximum((within[0] + within[1] - 2 * within[2]) / 2, 0)
        columns = (x - y) ** 2 / n / 2
        whole = rows + rest + 2 / n * (columns - rest)
        values: np.ndarray = np.where((n > 1) & (whole > 1e-12), (rows - rest) / whole, math.nan)
    return values
