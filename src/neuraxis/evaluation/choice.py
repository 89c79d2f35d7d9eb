"""Choosing among candidates by their scores on held-out cases: the simplest that is as good as the best.

A candidate is a base (a model, or several whose probabilities are averaged) and rules of post-processing. Its score is
the mean over patients of what their cases score, all structures weighing the same.

Candidates that score alike up to noise are not told apart by it: taken is the simplest whose loss against the best,
patient by patient, is at most one standard error of that loss (the one-standard-error rule of Breiman et al.,
"Classification and Regression Trees", 1984, here on paired differences). Fewer models are simpler, then fewer rules,
then what came first.

What was chosen on cases scores too well on them. `cross_fit` chooses on all folds but one, for every fold, and so tells
how such a choice does on cases that had no part in it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe

NO_RULES = PostprocessingRecipe()
SCORES = ("dice", "iou", "surface_dice", "lesion_f1")


@dataclass(frozen=True, eq=False)
class Base:
    """What is scored before any rule, and with each rule alone.

    Attributes:
        name: for tables.
        models: how many models it joins.
        plain: scores (cases, structures), none undefined.
        ruled: for each structure, its tried rules, simpler ones first, with the scores that they give.
    """

    name: str
    models: int
    plain: np.ndarray
    ruled: Mapping[str, Sequence[tuple[PostprocessingRecipe, np.ndarray]]]


@dataclass(frozen=True)
class Pick:
    """A base by its name, and rules."""

    base: str
    rules: PostprocessingRecipe = NO_RULES


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pick with its scores (cases, structures)."""

    pick: Pick
    models: int
    values: np.ndarray

    @property
    def simplicity(self) -> tuple[int, int]:
        """Fewer models, then fewer rules."""
        return self.models, self.pick.rules.rules


def alternatives(structure: str, volumes_mm3: Sequence[float]) -> tuple[PostprocessingRecipe, ...]:
    """Return the rules that are tried for a structure, simpler ones first.

    >>> [rules.in_words() for rules in alternatives("cord", (3.0,))][2:4]
    [('keep the largest component of cord',), ('fill holes of cord', 'remove components of cord below 3 mm3')]
    """
    sizes = [PostprocessingRecipe(min_volume_mm3={structure: volume}) for volume in sorted(volumes_mm3)]
    single = [PostprocessingRecipe(fill_holes=(structure,)), *sizes, PostprocessingRecipe(largest=(structure,))]
    return (*single, *(joined([single[0], other]) for other in single[1:]))


def joined(rules: Iterable[PostprocessingRecipe]) -> PostprocessingRecipe:
    """Return the rules of several, each of which names other structures or does something else."""
    rules = tuple(rules)
    return PostprocessingRecipe(
        fill_holes=tuple(name for one in rules for name in one.fill_holes),
        min_volume_mm3={name: volume for one in rules for name, volume in one.min_volume_mm3.items()},
        largest=tuple(name for one in rules for name in one.largest),
    )


def choose(bases: Sequence[Base], patients: Sequence[str], among: np.ndarray | None = None) -> Pick:
    """Choose a base and rules for it.

    Rules are chosen structure by structure, each by what it changes alone; then the bases with and without their rules
    stand against each other.

    Args:
        bases: simpler or preferred ones first.
        patients: whose case each row of the scores is.
        among: which cases count, (cases,) bool; None: all.

    Raises:
        ValueError: no case counts.
    """
    chosen = simplest_of_the_best(finalists(bases, patients, among), patients, among)
    return chosen.pick


def finalists(bases: Sequence[Base], patients: Sequence[str], among: np.ndarray | None = None) -> list[Candidate]:
    """Return each base as it is and, where rules help, with these."""
    found = []
    for base in bases:
        found.append(Candidate(Pick(base.name), base.models, base.plain))
        rules, values = _rules_for(base, patients, among)
        if rules.rules:
            found.append(Candidate(Pick(base.name, rules), base.models, values))
    return found


def simplest_of_the_best(
    candidates: Sequence[Candidate], patients: Sequence[str], among: np.ndarray | None = None
) -> Candidate:
    """Return the simplest candidate whose loss against the best is within one standard error of that loss.

    >>> near, far = np.full((4, 1), 0.5), np.array([[0.9], [0.8], [0.9], [0.8]])
    >>> plain, best = Candidate(Pick("2d"), 1, near), Candidate(Pick("2d+3d"), 2, far)
    >>> simplest_of_the_best([plain, best], "abcd").pick.base
    '2d+3d'
    >>> best = Candidate(Pick("2d+3d"), 2, near + [[0.2], [-0.2], [0.1], [0.0]])
    >>> simplest_of_the_best([plain, best], "abcd").pick.base
    '2d'
    """
    scores = [by_patient(candidate.values, patients, among) for candidate in candidates]
    best = max(range(len(candidates)), key=lambda place: (scores[place].mean(), -place))
    good = [place for place in range(len(candidates)) if _is_as_good(scores[place], scores[best])]
    return candidates[min(good, key=lambda place: (candidates[place].simplicity, place))]


def by_patient(values: np.ndarray, patients: Sequence[str], among: np.ndarray | None = None) -> np.ndarray:
    """Return the mean score of each patient, (patients,), structures weighing the same.

    Raises:
        ValueError: no case counts.
    """
    each: dict[str, list[float]] = {}
    for place, (patient, row) in enumerate(zip(patients, values, strict=True)):
        if among is None or among[place]:
            each.setdefault(patient, []).append(float(row.mean()))
    if not each:
        raise ValueError("Without a case nothing can be chosen.")
    return np.array([np.mean(scores) for scores in each.values()])


def loss_and_error(values: np.ndarray, best: np.ndarray) -> tuple[float, float]:
    """Return how much less than another a candidate scores on the mean over patients, and its standard error.

    The error is NaN for a single patient.
    """
    lost = best - values
    error = float(lost.std(ddof=1) / math.sqrt(len(lost))) if len(lost) > 1 else math.nan
    return float(lost.mean()), error


def cross_fit(bases: Sequence[Base], patients: Sequence[str], fold_of: Sequence[int]) -> dict[int, Pick]:
    """Return for each fold what is chosen on the cases of all others.

    Args:
        bases: see `choose`.
        patients: whose case each row is.
        fold_of: the fold that holds out each row.
    """
    folds = np.array(fold_of)
    return {int(fold): choose(bases, patients, folds != fold) for fold in np.unique(folds)}


def _rules_for(
    base: Base, patients: Sequence[str], among: np.ndarray | None
) -> tuple[PostprocessingRecipe, np.ndarray]:
    """Return the rules that help a base, and its scores with all of them, as the sum of what each changes alone."""
    taken, values = [], base.plain.copy()
    for tried in base.ruled.values():
        plain = Candidate(Pick(base.name), base.models, base.plain)
        options = [Candidate(Pick(base.name, rules), base.models, scores) for rules, scores in tried]
        found = simplest_of_the_best([plain, *options], patients, among)
        if found.pick.rules.rules:
            taken.append(found.pick.rules)
            values += found.values - base.plain
    return joined(taken), values


def _is_as_good(values: np.ndarray, best: np.ndarray) -> bool:
    lost, error = loss_and_error(values, best)
    return lost <= 0 or lost <= (0.0 if math.isnan(error) else error)
