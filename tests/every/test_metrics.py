"""Every metric of the catalog on masks whose answers are written out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from neuraxis.evaluation.catalog import METRICS, columns, metric_names, metric_of, size_of
from neuraxis.evaluation.metrics import Comparison
from neuraxis.evaluation.probabilities import structure_reliability

SPACING_MM = (1.0, 2.0, 5.0)  # a voxel is 0.01 mL
NAN = math.nan


def cube(x: int) -> np.ndarray:
    """8 voxels, all of them surface, that begin at x."""
    mask = np.zeros((8, 6, 6), bool)
    mask[x : x + 2, 2:4, 2:4] = True
    return mask


def compared(
    predicted: np.ndarray, reference: np.ndarray, spacing_mm: tuple[float, float, float] = SPACING_MM
) -> Comparison:
    """Compare two masks whose probabilities are those of a model that is always sure of what it says."""
    reliability = structure_reliability(predicted.astype(float), (predicted, reference), spacing_mm, None)
    loss = float(np.count_nonzero(predicted != reference))  # it is computed elsewhere and handed in
    return replace(Comparison.of(predicted, reference, spacing_mm), reliability=reliability, loss=loss)


EMPTY = np.zeros((8, 6, 6), bool)
MASKS = {
    "perfect": (cube(1), cube(1)),
    "disjoint": (cube(5), cube(1)),
    "shifted": (cube(2), cube(1)),
    "both empty": (EMPTY, EMPTY),
    "reference empty": (cube(1), EMPTY),
    "prediction empty": (EMPTY, cube(1)),
}
END = 4 * math.sqrt(129) / 8 + math.sqrt(104) + math.sqrt(125) + 10  # corners, edges and face at one end along x
BELT = 2 * math.sqrt(29) + 2 * 5 + 2 * 2  # edges and faces between the two ends
NEAR = (END + BELT) / (2 * END + BELT)  # within 3 mm of the other cube, 4 mm away
ANSWERS = {  # in the order of MASKS
    "dice": (1, 0, 0.5, NAN, 0, 0),
    "iou": (1, 0, 1 / 3, NAN, 0, 0),
    "precision": (1, 0, 0.5, NAN, 0, NAN),
    "recall": (1, 0, 0.5, NAN, NAN, 0),
    "specificity": (1, 272 / 280, 276 / 280, 1, 280 / 288, 1),
    "hd95_mm": (0, 4, 1, NAN, NAN, NAN),
    "hd100_mm": (0, 4, 1, NAN, NAN, NAN),
    "assd_mm": (0, 3.5, 0.5, NAN, NAN, NAN),
    "surface_dice_1mm": (1, 0, 1, NAN, 0, 0),
    "surface_dice_3mm": (1, NEAR, 1, NAN, 0, 0),
    "surface_dice_voxels_1mm": (1, 0, 1, NAN, 0, 0),
    "surface_dice_voxels_3mm": (1, 0.5, 1, NAN, 0, 0),
    "volume_ml_reference": (0.08, 0.08, 0.08, 0, 0, 0.08),
    "volume_ml_predicted": (0.08, 0.08, 0.08, 0, 0.08, 0),
    "volume_error_ml": (0, 0, 0, 0, 0.08, -0.08),
    "volume_error_percent": (0, 0, 0, NAN, NAN, -100),
    "lesions_reference": (1, 1, 1, 0, 0, 1),
    "lesions_predicted": (1, 1, 1, 0, 1, 0),
    "lesions_found": (1, 0, 1, 0, 0, 0),
    "lesions_false": (0, 1, 0, 0, 1, 0),
    "lesion_recall": (1, 0, 1, NAN, NAN, 0),
    "lesion_false_discovery": (0, 1, 0, NAN, 1, NAN),
    "lesion_f1": (1, 0, 1, NAN, 0, 0),
    "lesions_split": (0, 0, 0, 0, 0, 0),
    "lesions_merged": (0, 0, 0, 0, 0, 0),
    "lesion_precision": (1, 0, 1, NAN, 0, NAN),
    "panoptic_quality": (1, 0, 0, NAN, 0, 0),
    "recognition_quality": (1, 0, 0, NAN, 0, 0),
    "segmentation_quality": (1, NAN, NAN, NAN, NAN, NAN),
    "lesions_reference_10_to_100mm3": (1, 1, 1, 0, 0, 1),  # 80 mm³
    "lesions_predicted_10_to_100mm3": (1, 1, 1, 0, 1, 0),
    "lesions_found_10_to_100mm3": (1, 0, 1, 0, 0, 0),
    "lesions_false_10_to_100mm3": (0, 1, 0, 0, 1, 0),
    "lesion_recall_10_to_100mm3": (1, 0, 1, NAN, NAN, 0),
    "lesion_precision_10_to_100mm3": (1, 0, 1, NAN, 0, NAN),
    "lesion_false_discovery_10_to_100mm3": (0, 1, 0, NAN, 1, NAN),
    "lesion_f1_10_to_100mm3": (1, 0, 1, NAN, 0, 0),
    "lesions_reference_from_1000mm3": (0, 0, 0, 0, 0, 0),
    "lesion_recall_from_1000mm3": (NAN,) * 6,
    "ece": (0, 16 / 288, 8 / 288, NAN, 8 / 288, 8 / 288),
    "brier": (0, 16 / 288, 8 / 288, NAN, 8 / 288, 8 / 288),
    "loss": (0, 16, 8, 0, 8, 8),
}
EVERY = columns(tuple(METRICS.entries))


def test_every_metric_of_the_catalog_has_its_answers_here() -> None:
    assert set(METRICS.entries) == {metric_of(column)[0] for column in ANSWERS}


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("masks", MASKS)
def test_every_metric_gives_the_answer_written_out(name: str, masks: str) -> None:
    expected = ANSWERS[name][list(MASKS).index(masks)]
    found = EVERY[name](compared(*MASKS[masks]))
    assert isinstance(found, float)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", EVERY)
def test_every_metric_is_one_number_on_a_single_voxel_of_a_flat_picture(name: str) -> None:
    mask = np.zeros((5, 5, 1), bool)
    mask[2, 2] = True
    if size_of(name) not in ("", "below 10 mm³"):
        return
    assert math.isfinite(EVERY[name](compared(mask, mask, (1.0, 1.0, 1.0))))


def test_names_come_in_the_order_of_the_table() -> None:
    assert metric_names()[: len(METRICS.entries)] == tuple(METRICS.entries)
    assert set(metric_names()) == set(METRICS.names())
