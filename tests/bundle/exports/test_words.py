"""The steps in words follow the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.exports.words import FLOOR, SHARE, describe_rule, describe_steps
from neuraxis.dataset.labels import Labels
from neuraxis.patches.merge import gaussian_weight
from neuraxis.recipe.preparation import IntensityStatistics, PreparationRecipe

REGIONS = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(4, 2))
CASES = [
    ({}, ["(RAS+). Put the channels", "1.2 x 1.2 x 2.0 mm", "cubic B-splines", "background 0, ball 3, shell 7"]),
    (
        {"postprocessing": {"largest": ["ball"], "min_volume_mm3": {"shell": 3}}},
        ["Then remove components of shell below 3 mm3; keep the largest component of ball."],
    ),
    ({"folds": 2}, ["the network of every fold and take the mean of the probabilities"]),
    ({"labels": REGIONS}, ["whose logit is above 0, later over earlier: whole 4, core 2"]),
    ({"preparation": {"crop": "nonzero", "thick_ratio": 3}}, ["smallest box", "more than 3 times as long"]),
    (
        {
            "folds": 2,
            "preparation": {"orientation": "stored", "axes": [2, 1, 0], "clip_overshoot": True},
            "inference": {"arithmetic": "nnunet", "mirror_axes": [0, 1]},
        },
        ["as the file stores them", "order 2, 1, 0", "mirrored along every set of the axes 0, 1", "mean of the logits"],
    ),
    (
        {
            "labels": REGIONS,
            "preparation": {"keeps": "centres", "normalise_on": "resampled", "crop": "positive", "image_order": 1},
            "inference": {"arithmetic": "monai", "weight": "constant", "padding": "edge"},
        },
        [
            "which is above 0 in any channel",
            "as MONAI's Spacing does",
            "repeat the voxels at its ends",
            "at every multiple of max(1, floor(w * (1 - 0.5)))",
            "over the windows that cover it.",
            "Bring the probabilities (a sigmoid of each output)",
            "whose probability is above 0.5",
        ],
    ),
]


@pytest.mark.parametrize(("wanted", "said"), CASES)
def test_every_decision_is_said(
    wanted: dict[str, Any], said: list[str], tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    steps = describe_steps(nx.open_bundle(write_model(tmp_path / "toy.nxb", **wanted)))
    text = "\n".join(steps)
    assert [words for words in said if words not in text] == []
    assert all(step.endswith(".") and step[0].isupper() for step in steps)


def test_every_rule_is_said_with_its_numbers() -> None:
    scale = tuple(float(number) for number in range(11))
    rules = ["zscore", "zscore_nonzero", "zscore_head", "ct", "percentile", "nyul", "range", "picture", "none"]
    recipe = PreparationRecipe(
        spacing_mm=(1, 1, 1),
        normalisation={rule: rule for rule in rules},
        intensity={"ct": IntensityStatistics(low=-10.5, high=20, mean=3.25, std=4)},
        landmarks={"nyul": scale},
    )
    said = {rule: describe_rule(recipe, rule) for rule in rules}
    assert len(set(said.values())) == len(rules)
    assert said["ct"] == "clip to -10.5 .. 20.0, subtract 3.25, divide by 4.0"
    assert "onto 0.0, 1.0, 2.0" in said["nyul"]


def test_the_weights_that_are_told_are_those_of_the_predictor() -> None:
    window = (24, 16, 10)
    assert np.array_equal(gaussian_weight(window), gaussian_weight(window, SHARE, FLOOR))
