"""The recipe's branch for preparation."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from neuraxis.recipe.preparation import IntensityStatistics, PreparationRecipe

SCALE = (-2.0, -1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0)


def recipe(**changes):
    return PreparationRecipe(**{"spacing_mm": (1, 1, 1), "normalisation": {"MRI": "zscore"}} | changes)


def test_a_recipe_saved_before_labels_and_thick_slices_had_a_choice_means_what_it_meant():
    saved = recipe()
    assert (saved.label_order, saved.thick_ratio, saved.landmarks) == ("nearest", 0, {})


def test_every_decision_comes_back_from_json():
    whole = recipe(
        normalisation={"T1": "nyul", "CT": "ct"},
        landmarks={"T1": SCALE},
        intensity={"CT": IntensityStatistics(low=-100, high=300, mean=50, std=100)},
        label_order="linear",
        thick_ratio=3,
        thick_across="linear",
    )
    assert PreparationRecipe.model_validate_json(whole.model_dump_json()) == whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"spacing_mm": (1, -1, 1)}, "spacing_mm must be positive"),
        ({"normalisation": {"MRI": "ct"}}, "normalised as ct and needs preparation.intensity.MRI"),
        ({"normalisation": {"MRI": "nyul"}}, "normalised as nyul and needs preparation.landmarks.MRI"),
        ({"landmarks": {"MRI": SCALE[:-1]}}, "landmarks.MRI must be 11 ascending numbers"),
        ({"landmarks": {"MRI": SCALE[::-1]}}, "landmarks.MRI must be 11 ascending numbers"),
        ({"thick_ratio": 0.5}, r"thick_ratio must be 0 \(never\) or at least 1"),
        ({"thick_ratio": -3}, "thick_ratio must be 0"),
        ({"thick_across": "cubic"}, "'nearest' or 'linear'"),
        ({"label_order": "cubic"}, "'nearest' or 'linear'"),
    ],
)
def test_what_cannot_be_used_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        recipe(**changes)
