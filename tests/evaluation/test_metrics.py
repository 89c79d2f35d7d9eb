from __future__ import annotations

import numpy as np
import pytest

from neuraxis.evaluation import lesions, metrics
from neuraxis.evaluation.metrics import Comparison


def test_masks_are_cut_out_and_the_rest_counts_as_true_negatives() -> None:
    reference, predicted = np.zeros((2, 30, 20, 10), bool)
    reference[3:5, 3, 3] = True
    predicted[4:7, 3, 4] = True
    pair = Comparison.of(predicted, reference, (1.0, 1.0, 1.0))
    assert pair.predicted.shape == (4, 1, 2)
    assert pair.counts.true_negatives == 6000 - 5


def test_lesions_are_counted_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*masks: np.ndarray) -> lesions.LesionScore:
        calls.append(masks)
        return lesions.score_lesions(*masks)

    monkeypatch.setattr(metrics, "score_lesions", counting)
    mask = np.ones((2, 2, 2), bool)
    pair = Comparison.of(mask, mask, (1.0, 1.0, 1.0))
    assert (metrics.lesions_found(pair), metrics.lesion_f1(pair), metrics.lesions_false(pair)) == (1, 1, 0)
    assert len(calls) == 1


def test_a_voxel_of_half_by_two_by_three_mm_is_three_thousandths_of_a_millilitre() -> None:
    mask = np.ones((1, 1, 1), bool)
    assert Comparison.of(mask, mask, (0.5, 2.0, 3.0)).voxel_ml == pytest.approx(0.003)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Comparison.of(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool), (1.0, 1.0, 1.0))
