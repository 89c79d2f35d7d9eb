from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.catalog import WITH_SIZE, columns
from neuraxis.evaluation.components import find_components
from neuraxis.evaluation.lesions import LesionScore, match_lesions
from neuraxis.evaluation.metrics import Comparison
from neuraxis.evaluation.rules import ScoringRules


def two_sizes() -> Comparison:
    """A small lesion that is missed, a large one that is found, and a small false one; a voxel is 5 mm³."""
    reference, predicted = np.zeros((2, 30, 4, 4), bool)
    reference[1, 1, 1] = reference[10:14, :, :] = True
    predicted[11:14, :, :] = predicted[25, 1, 1:3] = True
    return Comparison.of(predicted, reference, (1.0, 1.0, 5.0), rules=ScoringRules(sizes_mm3=(10.0, 200.0)))


def test_lesions_are_parted_by_their_own_size() -> None:
    found = {name: fill(two_sizes()) for name, fill in columns(WITH_SIZE, two_sizes().rules).items()}
    assert [found[f"lesions_reference_{size}"] for size in ("below_10mm3", "10_to_200mm3", "from_200mm3")] == [1, 0, 1]
    assert [found[f"lesions_predicted_{size}"] for size in ("below_10mm3", "10_to_200mm3", "from_200mm3")] == [0, 1, 1]
    assert found["lesion_recall_below_10mm3"] == 0
    assert math.isnan(found["lesion_recall_10_to_200mm3"])
    assert found["lesion_recall_from_200mm3"] == found["lesion_f1_from_200mm3"] == 1
    assert found["lesion_precision_10_to_200mm3"] == found["lesion_f1_10_to_200mm3"] == 0
    assert found["lesion_false_discovery_10_to_200mm3"] == 1


def test_the_sizes_together_are_all_lesions() -> None:
    matched = two_sizes().matched
    parts = [matched.score(*size) for size in ((0.0, 10.0), (10.0, 200.0), (200.0, math.inf))]
    sums = [sum(getattr(part, name) for part in parts) for name in ("found", "missed", "false", "predicted")]
    assert LesionScore(*sums) == matched.score() == LesionScore(found=1, missed=1, false=1, predicted=2)


def test_a_size_at_the_edge_belongs_to_the_larger_ones() -> None:
    mask = np.zeros((9, 1, 1), bool)
    mask[2:4] = True
    matched = match_lesions(find_components(mask, mask, (1.0, 1.0, 5.0)))
    assert (matched.score(0.0, 10.0).reference, matched.score(10.0, 100.0).reference) == (0, 1)


@pytest.mark.parametrize("sizes", [(10.0, 5.0), (0.0,), (5.0, 5.0), (math.inf,), (math.nan,)])
def test_sizes_that_do_not_rise_are_refused(sizes: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="Sizes of lesions rise"):
        ScoringRules(sizes_mm3=sizes)
