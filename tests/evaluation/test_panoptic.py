from __future__ import annotations

import math

import numpy as np
import pytest

from neuraxis.evaluation.components import find_components
from neuraxis.evaluation.panoptic import panoptic_score


def line(*voxels: int) -> np.ndarray:
    mask = np.zeros((20, 1, 1), bool)
    mask[list(voxels)] = True
    return mask


def test_one_pair_one_missed_and_one_false() -> None:
    reference, predicted = line(1, 2, 3, 4, 10), line(2, 3, 4, 15)
    score = panoptic_score(find_components(predicted, reference))
    assert (score.pairs, score.missed, score.false) == (1, 1, 1)
    assert score.segmentation_quality == 0.75
    assert score.recognition_quality == 0.5
    assert score.quality == pytest.approx(0.375)
    assert score.quality == pytest.approx(score.segmentation_quality * score.recognition_quality)


def test_an_iou_of_one_half_is_no_pair() -> None:
    score = panoptic_score(find_components(line(1), line(1, 2)))
    assert (score.pairs, score.quality) == (0, 0.0)
    assert math.isnan(score.segmentation_quality)


def test_nothing_on_either_side_is_undefined_and_on_one_side_0() -> None:
    assert math.isnan(panoptic_score(find_components(line(), line())).quality)
    assert panoptic_score(find_components(line(3), line())).quality == 0
    assert panoptic_score(find_components(line(), line(3))).quality == 0
