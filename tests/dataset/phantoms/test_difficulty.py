"""Phantoms must not be easy (DESIGN §7): no threshold solves them."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset.phantoms.difficulty import LabelledImages, threshold_scores
from neuraxis.dataset.phantoms.ms_brain import make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.workers import map_in_order


def scans(seed: int, numbers: tuple[int, ...]) -> list[LabelledImages]:
    wanted = [(site, 1000 * position + number) for position, site in enumerate(SITES) for number in numbers]
    made = map_in_order(lambda pair: make_phantom(pair[0], seed, pair[1]), wanted)
    return [(phantom.images.array, phantom.label.array[0]) for phantom in made]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_threshold_on_the_best_channel_scores_at_most_045_on_unseen_phantoms(seed: int) -> None:
    found = threshold_scores(scans(seed, (1,)), scans(seed, (501,)))
    assert set(found) >= {"FLAIR above", "FLAIR z-score above", "T1 z-score below", "T2 above"}
    assert max(found.values()) <= 0.45, found
    assert found["FLAIR z-score above"] > 0.05  # FLAIR does tell something: the measure works


def test_a_threshold_solves_a_scan_whose_lesions_alone_are_bright() -> None:
    label = np.zeros((4, 4, 4), np.uint8)
    label[1:3, 1:3, 1] = 1
    image = np.where(label, 90, 50)[None].astype(np.int16)
    found = threshold_scores([(image, label)], [(image, label)])
    assert found["FLAIR above"] == 1.0
    assert found["FLAIR below"] == pytest.approx(2 * 4 / (64 + 4))  # everything is the best that dark can do


def test_the_threshold_is_chosen_on_training_scans_and_scored_on_the_unseen() -> None:
    label = np.zeros((1, 1, 10), np.uint8)
    label[..., :5] = 1
    training = np.array([9, 9, 9, 9, 9, 1, 1, 1, 1, 1], np.int16).reshape(1, 1, 1, 10)
    unseen = np.array([3, 3, 3, 3, 9, 1, 1, 1, 1, 9], np.int16).reshape(1, 1, 1, 10)
    found = threshold_scores([(training, label)], [(unseen, label)])
    assert found["FLAIR above"] == pytest.approx(2 * 1 / (2 + 5))
