"""Every metric of the catalog on masks whose answers are written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.catalog import METRICS, metric_names
from neuraxis.evaluation.metrics import Comparison

SPACING_MM = (1.0, 2.0, 5.0)  # a voxel is 0.01 mL
NAN = math.nan


def cube(x: int) -> np.ndarray:
    """8 voxels, all of them surface, that begin at x."""
    mask = np.zeros((8, 6, 6), bool)
    mask[x : x + 2, 2:4, 2:4] = True
    return mask


EMPTY = np.zeros((8, 6, 6), bool)
MASKS = {
    "perfect": (cube(1), cube(1)),
    "disjoint": (cube(5), cube(1)),
    "shifted": (cube(2), cube(1)),
    "both empty": (EMPTY, EMPTY),
    "reference empty": (cube(1), EMPTY),
    "prediction empty": (EMPTY, cube(1)),
}
ANSWERS = {  # in the order of MASKS
    "dice": (1, 0, 0.5, NAN, 0, 0),
    "iou": (1, 0, 1 / 3, NAN, 0, 0),
    "precision": (1, 0, 0.5, NAN, 0, NAN),
    "recall": (1, 0, 0.5, NAN, NAN, 0),
    "hd95_mm": (0, 4, 1, NAN, NAN, NAN),
    "volume_ml_reference": (0.08, 0.08, 0.08, 0, 0, 0.08),
    "volume_ml_predicted": (0.08, 0.08, 0.08, 0, 0.08, 0),
    "volume_error_ml": (0, 0, 0, 0, 0.08, -0.08),
    "volume_error_relative": (0, 0, 0, NAN, NAN, -1),
    "lesions_reference": (1, 1, 1, 0, 0, 1),
    "lesions_predicted": (1, 1, 1, 0, 1, 0),
    "lesions_found": (1, 0, 1, 0, 0, 0),
    "lesions_false": (0, 1, 0, 0, 1, 0),
    "lesion_recall": (1, 0, 1, NAN, NAN, 0),
    "lesion_false_discovery": (0, 1, 0, NAN, 1, NAN),
    "lesion_f1": (1, 0, 1, NAN, 0, 0),
}


def test_every_metric_of_the_catalog_has_its_answers_here() -> None:
    assert set(METRICS.entries) == set(ANSWERS)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("masks", MASKS)
def test_every_metric_gives_the_answer_written_out(name: str, masks: str) -> None:
    expected = ANSWERS[name][list(MASKS).index(masks)]
    found = METRICS.load(name)(Comparison.of(*MASKS[masks], SPACING_MM))
    assert isinstance(found, float)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", METRICS.names())
def test_every_metric_is_one_number_on_a_single_voxel_of_a_flat_picture(name: str) -> None:
    mask = np.zeros((5, 5, 1), bool)
    mask[2, 2] = True
    assert math.isfinite(METRICS.load(name)(Comparison.of(mask, mask, (1.0, 1.0, 1.0))))


def test_names_come_in_the_order_of_the_table() -> None:
    assert metric_names()[: len(METRICS.entries)] == tuple(METRICS.entries)
    assert set(metric_names()) == set(METRICS.names())
