"""Which channels a sample lacks in training, and what stands in their place."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from neuraxis.patches.augment.missing import ChannelDropout
from neuraxis.preparation.missing import fill_missing, with_missing
from neuraxis.recipe.branches.missing import MissingRecipe
from neuraxis.recipe.branches.stages import StageRecipe
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.recipe import NetworkRecipe, PatchRecipe, Recipe

CHANNELS = ("FLAIR", "T1", "T2")
OPTIONS = {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}


def dropout(probability, fill="zeros", stages=(), seed=0):
    recipe = Recipe(
        preparation=PreparationRecipe(spacing_mm=(1, 1, 1), normalisation=dict.fromkeys(CHANNELS, "zscore")),
        patches=PatchRecipe(shape=(8, 8, 8)),
        network=NetworkRecipe(options=OPTIONS),
        missing=MissingRecipe(probability=probability, fill=fill),
        stage=stages,
        seed=seed,
    )
    return ChannelDropout(recipe)


def test_each_channel_is_missing_as_often_as_was_asked_and_one_always_stays():
    drawn = [dropout({"FLAIR": 0.2, "T2": 0.6}).present(step, sample) for step in range(500) for sample in range(4)]
    shares = 1 - np.array(drawn).mean(axis=0)
    assert shares == pytest.approx([0.2, 0.0, 0.6], abs=0.04)
    hard = [tuple(dropout(dict.fromkeys(CHANNELS, 0.9)).present(step, 0)) for step in range(1000)]
    assert all(any(present) for present in hard)
    alone = Counter(present.index(True) for present in hard if sum(present) == 1)
    assert min(alone[place] for place in range(3)) > 0.25 * sum(alone.values())


def test_a_draw_is_a_function_of_seed_step_and_sample():
    every = dict.fromkeys(CHANNELS, 0.5)
    first = [dropout(every).present(step, sample) for step in range(20) for sample in range(2)]
    again = [dropout(every).present(step, sample) for step in range(20) for sample in range(2)]
    assert first == again
    assert first != [dropout(every, seed=1).present(step, sample) for step in range(20) for sample in range(2)]
    assert len({tuple(present) for present in first}) == 7


def test_without_a_probability_images_stay_as_they_are():
    images = torch.rand(2, 3, 4, 4, 4)
    assert torch.equal(dropout({})(images.clone(), 3), images)


def test_a_stage_leaves_out_its_channels_always_and_draws_among_the_others():
    stages = (StageRecipe(share=0.5, channels=("FLAIR", "T1")), StageRecipe(share=0.5))
    drops = dropout(dict.fromkeys(CHANNELS, 0.5), stages=stages)
    first = {tuple(drops.present(step, 0, 0)) for step in range(100)}
    assert first == {(True, True, False), (True, False, False), (False, True, False)}
    assert any(drops.present(step, 0, 1)[2] for step in range(100))
    images = torch.ones(1, 3, 2, 2, 2)
    assert drops.without_absent(images, 0).sum(dim=(0, 2, 3, 4)).tolist() == [8, 8, 0]


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_a_missing_channel_is_filled_with_zeros_or_the_mean_of_the_others(kind):
    values = np.arange(24, dtype=np.float32).reshape(3, 2, 2, 2)
    zeros, mean = kind(values.copy()), kind(values.copy())
    fill_missing(zeros, (True, False, True), "zeros")
    fill_missing(mean, (True, False, True), "mean")
    assert np.array_equal(np.asarray(zeros), np.stack([values[0], 0 * values[1], values[2]]))
    assert np.array_equal(np.asarray(mean), np.stack([values[0], (values[0] + values[2]) / 2, values[2]]))


def test_what_is_there_finds_its_place_among_all_channels():
    values = np.stack([np.full((2, 2, 2), 3.0), np.full((2, 2, 2), 5.0)]).astype(np.float32)
    assert with_missing(values, ("FLAIR", "T2"), CHANNELS, "zeros")[:, 0, 0, 0].tolist() == [3, 0, 5]
    assert with_missing(values, ("FLAIR", "T2"), CHANNELS, "mean")[:, 0, 0, 0].tolist() == [3, 4, 5]
