from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.catalog import columns
from neuraxis.evaluation.metrics import Comparison
from neuraxis.evaluation.rules import EmptyRule, ScoringRules

NAN = math.nan
DIAGONAL = math.sqrt(4**2 + 4**2 + 8**2)
METRICS = ("dice", "precision", "recall", "hd95_mm", "lesion_f1", "lesion_false_discovery", "volume_error_percent")
ANSWERS: dict[tuple[EmptyRule, str], tuple[float, ...]] = {
    ("undefined", "both empty"): (NAN,) * 7,
    ("perfect", "both empty"): (1, 1, 1, 0, 1, 0, 0),
    ("penalised", "both empty"): (1, 1, 1, 0, 1, 0, 0),
    ("zero", "both empty"): (0, 0, 0, NAN, 0, NAN, NAN),
    ("undefined", "reference empty"): (0, 0, NAN, NAN, 0, 1, NAN),
    ("perfect", "reference empty"): (0, 0, NAN, NAN, 0, 1, NAN),
    ("penalised", "reference empty"): (0, 0, 0, DIAGONAL, 0, 1, NAN),
    ("zero", "reference empty"): (0, 0, NAN, NAN, 0, 1, NAN),
    ("undefined", "prediction empty"): (0, NAN, 0, NAN, 0, NAN, -100),
    ("penalised", "prediction empty"): (0, 0, 0, DIAGONAL, 0, NAN, -100),
}


@pytest.mark.parametrize(("rule", "masks"), ANSWERS)
def test_empty_masks_count_as_the_rule_says(rule: EmptyRule, masks: str) -> None:
    empty, full = np.zeros((2, 4, 4, 4), bool)
    full[1, 1, 1] = True
    sides = {"both empty": (empty, empty), "reference empty": (full, empty), "prediction empty": (empty, full)}
    pair = Comparison.of(*sides[masks], (1.0, 1.0, 2.0), rules=ScoringRules(empty=rule))
    found = tuple(fill(pair) for fill in columns(METRICS, pair.rules).values())
    assert found == pytest.approx(ANSWERS[rule, masks], nan_ok=True)


def test_masks_that_are_not_empty_score_the_same_under_every_rule() -> None:
    mask = np.zeros((4, 4, 4), bool)
    mask[1:3, 1, 1] = True
    found = []
    for rule in ("undefined", "perfect", "penalised", "zero"):
        pair = Comparison.of(np.roll(mask, 1, 0), mask, (1.0, 1.0, 1.0), rules=ScoringRules(empty=rule))
        found.append([fill(pair) for fill in columns(METRICS, pair.rules).values()])
    assert found == [found[0]] * 4


def test_a_rule_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="Empty masks are counted as undefined, perfect, penalised, zero, not 'one'"):
        ScoringRules(empty="one")  # type: ignore[arg-type]
