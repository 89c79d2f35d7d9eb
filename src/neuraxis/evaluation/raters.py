"""Several raters of the same cases: their consensus, how they agree, and where a model lies among them.

* Majority: a voxel is in where more than half of the raters have it.
* STAPLE (Warfield, Zou and Wells, "Simultaneous truth and performance level estimation", IEEE TMI 2004): expectation
  maximisation of the hidden truth and of each rater's sensitivity and specificity, over the whole scan; the prior is
  the raters' mean share of voxels; a voxel is in where its probability exceeds one half.
* Williams' index (Williams, "Comparing the joint agreement of several raters with another rater", Biometrics 1976):
  the model's mean Dice with the raters over the raters' mean Dice with one another. At 1 and above, the model agrees
  with the raters at least as well as they do with each other.

A rater is compared with the consensus of the *others*; so is the model, with each of these in turn, so that all of them
are held against consensuses of as many raters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from neuraxis.evaluation.overlap import count_voxels
from neuraxis.evaluation.statistics import MIN_PATIENTS, interval, mean_of, patient_draws

MODEL = "model"
_ROUNDS, _STILL = 200, 1e-7
Consensus = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Staple:
    """The estimated truth and what it says of the raters.

    Attributes:
        probability: of each voxel to be in, 0 to 1, in the shape of a mask.
        sensitivity: of each rater, (R,).
        specificity: of each rater, (R,).
    """

    probability: np.ndarray
    sensitivity: np.ndarray
    specificity: np.ndarray


@dataclass(frozen=True)
class RaterRow:
    """How two agree in one structure of one case.

    Attributes:
        case: its id.
        patient: who is resampled for intervals.
        structure: the label or region.
        first: a rater, or the model.
        second: a rater, or "majority of others" or "STAPLE of others" (of the other raters, for the model of each
            choice of all raters but one, as a mean).
        dice: NaN where both are empty.
    """

    case: str
    patient: str
    structure: str
    first: str
    second: str
    dice: float


@dataclass(frozen=True)
class RaterStanding:
    """Where one rater, or the model, stands in one structure: means over cases of Dice, with intervals over patients.

    Attributes:
        structure: the label or region.
        who: a rater, or the model.
        patients: behind the cases.
        with_raters: mean Dice with the (other) raters.
        low: lower end of its 95 % interval; NaN below 5 patients.
        high: upper end of it.
        with_majority: mean Dice with the majority of the others.
        with_staple: mean Dice with the STAPLE of the others.
        rank: by `with_raters`, 1 is best.
    """

    structure: str
    who: str
    patients: int
    with_raters: float
    low: float
    high: float
    with_majority: float
    with_staple: float
    rank: int


@dataclass(frozen=True)
class WilliamsIndex:
    """The model's agreement with the raters over theirs with one another, with its interval over patients."""

    structure: str
    patients: int
    value: float
    low: float = math.nan
    high: float = math.nan


def majority(masks: np.ndarray) -> np.ndarray:
    """Return what more than half of the raters have.

    Args:
        masks: bool (R, ...).
    """
    most: np.ndarray = 2 * masks.sum(axis=0) > len(masks)
    return most


def staple(masks: np.ndarray) -> Staple:
    """Estimate the truth behind masks.

    Args:
        masks: bool (R, ...), one for each of up to 16 raters.
    """
    raters, shape = len(masks), masks.shape[1:]
    if not 1 <= raters <= 16:
        raise ValueError(f"STAPLE takes 1 to 16 raters, not {raters}.")
    code = np.zeros(shape, np.uint16)
    for bit, mask in enumerate(masks):
        code |= mask.astype(np.uint16) << bit
    counts = np.bincount(code.ravel(), minlength=2**raters).astype(np.float64)
    seen = np.flatnonzero(counts)
    votes = (seen[:, None] >> np.arange(raters)) & 1 == 1  # (patterns, raters)
    weight = counts[seen]
    prior = float((votes * weight[:, None]).sum() / (weight.sum() * raters))
    truth = np.clip(votes.mean(axis=1), 1e-6, 1 - 1e-6)
    sensitivity, specificity = np.full(raters, 0.99), np.full(raters, 0.99)
    for _ in range(_ROUNDS if 0 < prior < 1 else 0):
        within = np.where(votes, sensitivity, 1 - sensitivity).prod(axis=1) * prior
        outside = np.where(votes, 1 - specificity, specificity).prod(axis=1) * (1 - prior)
        found = within / np.maximum(within + outside, 1e-300)
        moved = float(np.abs(found - truth).max())
        truth = found
        inside, out = truth * weight, (1 - truth) * weight
        sensitivity = (inside[:, None] * votes).sum(axis=0) / max(inside.sum(), 1e-300)
        specificity = (out[:, None] * ~votes).sum(axis=0) / max(out.sum(), 1e-300)
        if moved < _STILL:
            break
    table = np.zeros(2**raters)
    table[seen] = truth if 0 < prior < 1 else prior
    return Staple(table[code], sensitivity, specificity)


def staple_mask(masks: np.ndarray) -> np.ndarray:
    """Return the voxels that STAPLE holds for more likely in than out."""
    inside: np.ndarray = staple(masks).probability > 0.5
    return inside


CONSENSUSES: dict[str, Consensus] = {"majority of others": majority, "STAPLE of others": staple_mask}


def compare_raters(
    who: tuple[str, str, str], model: np.ndarray, raters: Mapping[str, np.ndarray]
) -> tuple[RaterRow, ...]:
    """Compare a model and raters in one structure of one case.

    Args:
        who: case, patient and structure.
        model: bool (X, Y, Z).
        raters: name to mask; two or more.
    """
    rows = [
        RaterRow(*who, first, second, _dice(raters[first], raters[second])) for first, second in combinations(raters, 2)
    ]
    rows += [RaterRow(*who, MODEL, name, _dice(model, mask)) for name, mask in raters.items()]
    for title, consensus in CONSENSUSES.items():
        against = []
        for name, mask in raters.items():
            others = consensus(np.stack([other for key, other in raters.items() if key != name]))
            rows.append(RaterRow(*who, name, title, _dice(mask, others)))
            against.append(_dice(model, others))
        rows.append(RaterRow(*who, MODEL, title, mean_of(np.array(against))))
    return tuple(rows)


def standings(rows: Sequence[RaterRow]) -> tuple[RaterStanding, ...]:
    """Return where the model and each rater stand in each structure, the best first."""
    found: list[RaterStanding] = []
    for structure in dict.fromkeys(row.structure for row in rows):
        here = [row for row in rows if row.structure == structure]
        names = dict.fromkeys(row.first for row in here)
        means = []
        for name in names:
            values, patients = _with_raters(here, name)
            low, high = interval(values[:, None], patients)
            against = [
                mean_of(np.array([row.dice for row in here if (row.first, row.second) == (name, title)]))
                for title in CONSENSUSES
            ]
            mean = mean_of(values)
            means.append(RaterStanding(structure, name, len(set(patients)), mean, low, high, against[0], against[1], 0))
        means.sort(key=lambda one: (math.isnan(one.with_raters), -one.with_raters))
        found += [replace(one, rank=1 + place) for place, one in enumerate(means)]
    return tuple(found)


def williams_index(rows: Sequence[RaterRow]) -> tuple[WilliamsIndex, ...]:
    """Return Williams' index of each structure; undefined below two raters or where raters never agree."""
    found = []
    for structure in dict.fromkeys(row.structure for row in rows):
        here = [row for row in rows if row.structure == structure and row.second not in CONSENSUSES]
        patients = sorted({row.patient for row in here if not math.isnan(row.dice)})
        sums = np.zeros((len(patients), 4))  # of the model's Dice and how many, of the raters' and how many
        for row in here:
            if not math.isnan(row.dice):
                side = 0 if row.first == MODEL else 2
                sums[patients.index(row.patient), side : side + 2] += (row.dice, 1)
        value = float(_index(sums.sum(axis=0)[None])[0])
        low = high = math.nan
        if len(patients) >= MIN_PATIENTS and not math.isnan(value):
            drawn = _index(patient_draws(len(patients)).astype(np.float64) @ sums)
            low, high = (float(edge) for edge in np.nanpercentile(drawn, (2.5, 97.5)))
        found.append(WilliamsIndex(structure, len(patients), value, low, high))
    return tuple(found)


def _index(sums: np.ndarray) -> np.ndarray:
    model, models, raters, pairs = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        values: np.ndarray = np.where((models > 0) & (raters > 0), (model / models) / (raters / pairs), math.nan)
    return values


def _with_raters(rows: Sequence[RaterRow], name: str) -> tuple[np.ndarray, list[str]]:
    """Return for each case the mean Dice of one with the raters, and whose case it is."""
    by_case: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row.second not in CONSENSUSES and name in (row.first, row.second) and (name == MODEL or row.first != MODEL):
            by_case.setdefault((row.case, row.patient), []).append(row.dice)
    means = np.array([mean_of(np.array(values)) for values in by_case.values()])
    return means, [patient for _, patient in by_case]


def _dice(first: np.ndarray, second: np.ndarray) -> float:
    return count_voxels(first, second).dice
