from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neuraxis.evaluation import components, lesion_metrics, metrics, surface, surfels
from neuraxis.evaluation.distances import SurfaceDistances
from neuraxis.evaluation.metrics import Comparison, Scan
from neuraxis.evaluation.rules import LesionMatching, ScoringRules


def test_masks_are_cut_out_and_the_rest_counts_as_true_negatives() -> None:
    reference, predicted = np.zeros((2, 30, 20, 10), bool)
    reference[3:5, 3, 3] = True
    predicted[4:7, 3, 4] = True
    pair = Comparison.of(predicted, reference, (1.0, 1.0, 1.0))
    assert pair.predicted.shape == (4, 1, 2)
    assert pair.counts.true_negatives == 6000 - 5


def test_lesions_are_counted_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def counting(*masks: object) -> components.Components:
        calls.append(masks)
        return components.find_components(*masks)

    monkeypatch.setattr(metrics, "find_components", counting)
    mask = np.ones((2, 2, 2), bool)
    pair = Comparison.of(mask, mask, (1.0, 1.0, 1.0))
    found = lesion_metrics.lesions_found(pair), lesion_metrics.lesion_f1(pair), lesion_metrics.panoptic_quality(pair)
    assert found == (1, 1, 1)
    assert len(calls) == 1


def test_distances_are_measured_once_for_all_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def watched(name: str, measure: Callable[..., SurfaceDistances]) -> Callable[..., SurfaceDistances]:
        def watching(*arguments: object) -> SurfaceDistances:
            measured.append(name)
            return measure(*arguments)

        return watching

    monkeypatch.setattr(surface, "surface_distances", watched("voxels", surface.surface_distances))
    monkeypatch.setattr(metrics, "surfel_distances", watched("surfels", surfels.surfel_distances))
    mask = np.ones((2, 2, 2), bool)
    pair = Comparison.of(mask, mask, (1.0, 1.0, 1.0))
    assert (metrics.hd95_mm(pair), metrics.hd100_mm(pair), metrics.assd_mm(pair)) == (0, 0, 0)
    assert metrics.surface_dice_voxels(pair, 1.0) == metrics.surface_dice_voxels(pair, 3.0) == 1
    assert metrics.surface_dice(pair, 1.0) == metrics.surface_dice(pair, 3.0) == 1
    assert measured == ["voxels", "surfels"]


def test_a_tolerance_beyond_those_that_were_measured_is_refused() -> None:
    mask = np.ones((2, 2, 2), bool)
    pair = Comparison.of(mask, mask, (1.0, 1.0, 1.0), rules=ScoringRules(tolerances_mm=(2.0,)))
    assert metrics.surface_dice(pair, 2.0) == 1
    with pytest.raises(ValueError, match=r"2\.5 mm exceeds"):
        metrics.surface_dice(pair, 2.5)


def test_lesions_are_matched_by_the_rules_of_the_comparison() -> None:
    reference, predicted = np.zeros((2, 40, 1, 1), bool)
    reference[:] = predicted[:2] = True
    found = [
        lesion_metrics.lesions_found(
            Comparison.of(predicted, reference, (1.0, 1.0, 1.0), rules=ScoringRules(lesions=rule))
        )
        for rule in (LesionMatching(), LesionMatching(0))
    ]
    assert found == [0, 1]


def test_masks_cut_out_of_a_picture_are_outlines_and_cut_out_of_a_scan_are_not() -> None:
    square = np.ones((3, 3, 1), bool)
    center = np.zeros_like(square)
    center[1, 1] = True
    as_picture = Comparison.of(center, square, (1.0, 1.0, 1.0), Scan(100, flat=(2,)))
    as_slice = Comparison.of(center, square, (1.0, 1.0, 1.0), Scan(1000))
    assert metrics.surface_dice_voxels(as_picture, 0.0) == 0
    assert metrics.surface_dice_voxels(as_slice, 0.0) == 0.2


def test_a_voxel_of_half_by_two_by_three_mm_is_three_thousandths_of_a_millilitre() -> None:
    mask = np.ones((1, 1, 1), bool)
    assert Comparison.of(mask, mask, (0.5, 2.0, 3.0)).voxel_ml == pytest.approx(0.003)


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Comparison.of(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool), (1.0, 1.0, 1.0))
