"""Is one column of scores better than another on the same cases, by how much, and how sure is that.

The test is Wilcoxon's signed-rank test over patients (Wilcoxon 1945), two-sided and exact: the distribution of the rank
sum is computed, not approximated, also where differences tie (mid-ranks) or are zero (ranked, then left out, as Pratt
1959 proposes). A patient with several cases counts once, by the mean of their differences. Several tests are corrected
together (Holm 1979). Effects are the mean difference with its bootstrap interval over patients, the rank-biserial
correlation (Kerby 2014) and Cohen's d of paired differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neuraxis.evaluation.catalog import metric_of
from neuraxis.evaluation.statistics import MIN_PATIENTS, interval, mean_of

Better = Literal["higher", "lower", "nearer 0"]
_BETTER: dict[Better, frozenset[str]] = {
    "higher": frozenset(
        {"dice", "iou", "precision", "recall", "specificity", "surface_dice", "surface_dice_voxels", "lesions_found",
         "lesion_recall", "lesion_precision", "lesion_f1", "panoptic_quality", "recognition_quality",
         "segmentation_quality", "lesion_recall_by_size", "lesion_precision_by_size", "lesion_f1_by_size"}
    ),
    "lower": frozenset(
        {"hd95_mm", "hd100_mm", "assd_mm", "lesions_false", "lesions_split", "lesions_merged", "lesion_false_discovery",
         "lesion_false_discovery_by_size", "ece", "brier", "loss"}
    ),
    "nearer 0": frozenset({"volume_error_ml", "volume_error_percent"}),
}  # fmt: skip


@dataclass(frozen=True)
class PairedDifference:
    """How two columns of scores differ on the same cases; what is undefined in either column is left out.

    Attributes:
        cases: in which both are defined.
        patients: behind them.
        undefined: cases that were left out.
        mean: of first less second, over cases.
        ci_low: lower end of its 95 % bootstrap interval over patients; NaN below 5 patients.
        ci_high: upper end of it.
        p: of the signed-rank test; NaN below 5 patients.
        rank_biserial: from -1 (second larger in every patient) to 1; NaN where no patient differs.
        cohens_d: mean of the patients' differences over their SD; NaN where that is 0 or below 2 patients.
        first_larger: patients in whom the first is larger.
        second_larger: patients in whom the second is.
    """

    cases: int
    patients: int
    undefined: int
    mean: float
    ci_low: float
    ci_high: float
    p: float
    rank_biserial: float
    cohens_d: float
    first_larger: int
    second_larger: int


def better(column: str) -> Better | None:
    """Return which values of a metric are better; None where that is not known, or none are.

    >>> better("surface_dice_2mm"), better("volume_ml_predicted")
    ('higher', None)
    """
    metric = metric_of(column)[0]
    return next((way for way, names in _BETTER.items() if metric in names), None)


def paired_difference(first: np.ndarray, second: np.ndarray, patients: Sequence[str]) -> PairedDifference:
    """Compare two tables of scores of the same cases.

    Args:
        first: scores (cases, structures), NaN where undefined; several structures are one mean for each case.
        second: the same of the other.
        patients: whose case it is.

    >>> scores = np.array([[0.8], [0.7], [0.9], [0.6], [0.9]])
    >>> found = paired_difference(scores, scores - 0.1, ["a", "b", "c", "d", "e"])
    >>> round(found.mean, 3), found.p, found.rank_biserial
    (0.1, 0.0625, 1.0)
    """
    if first.shape != second.shape or first.ndim != 2 or len(patients) != len(first):
        raise ValueError(f"Tables of one shape and a patient a case are needed, not {first.shape}, {second.shape}.")
    differences = np.round(first - second, 12)  # so that sums in another order do not make equal scores differ
    per_case = np.array([mean_of(row) for row in differences])
    defined = ~np.isnan(per_case)
    by_patient = patient_means(per_case, patients)
    low, high = interval(differences, patients) if len(differences) else (math.nan, math.nan)
    enough = len(by_patient) >= MIN_PATIENTS
    spread = float(by_patient.std(ddof=1)) if len(by_patient) > 1 else 0.0
    return PairedDifference(
        cases=int(defined.sum()),
        patients=len(by_patient),
        undefined=int((~defined).sum()),
        mean=mean_of(np.array([mean_of(column) for column in differences.T])),
        ci_low=low,
        ci_high=high,
        p=signed_rank_p(by_patient) if enough else math.nan,
        rank_biserial=_rank_biserial(by_patient),
        cohens_d=float(by_patient.mean()) / spread if spread > 1e-9 else math.nan,
        first_larger=int((by_patient > 0).sum()),
        second_larger=int((by_patient < 0).sum()),
    )


def patient_means(values: np.ndarray, patients: Sequence[str]) -> np.ndarray:
    """Return the mean of each patient's defined values, in the order of their names; without any, none.

    Args:
        values: (cases,), NaN where undefined.
        patients: whose case it is.
    """
    means = [mean_of(values[[name == one for name in patients]]) for one in sorted(set(patients))]
    return np.array([mean for mean in means if not math.isnan(mean)])


def signed_rank_p(differences: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, exact for any number, ties and zeros included.

    Args:
        differences: (n,), one for each patient. Where all are 0 the p is 1.
    """
    ranks = mid_ranks(np.abs(differences))
    kept = differences != 0
    doubled = np.rint(2 * ranks[kept]).astype(np.int64)  # mid-ranks are halves
    observed = int(doubled[differences[kept] > 0].sum())
    chances = np.ones(1)
    for rank in doubled:  # each sign is as likely as the other
        grown = np.zeros(len(chances) + rank)
        grown[: len(chances)] = chances / 2
        grown[rank:] += chances / 2
        chances = grown
    tail = min(chances[: observed + 1].sum(), chances[observed:].sum())
    return float(min(1.0, 2 * tail))


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Return the ranks from 1 on; equal values share the mean of theirs.

    >>> mid_ranks(np.array([0.3, 0.1, 0.3]))
    array([2.5, 1. , 2.5])
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: np.ndarray = (last - (counts - 1) / 2)[place]
    return ranks


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values corrected together; NaN (no test) stays and does not count.

    >>> holm([0.01, 0.04, 0.03, float("nan")])
    (0.03, 0.06, 0.06, nan)
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    corrected, largest = list(p_values), 0.0
    for done, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - done) * p))
        corrected[place] = largest
    return tuple(float(p) for p in corrected)


def _rank_biserial(differences: np.ndarray) -> float:
    """Return what part of the ranks speaks for the first, less that for the second."""
    differing = differences[differences != 0]
    if not len(differing):
        return math.nan
    ranks = mid_ranks(np.abs(differing))
    return float((ranks * np.sign(differing)).sum() / ranks.sum())
