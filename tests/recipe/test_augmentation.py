"""Presets of augmentation: what they set, what goes before them, and what is refused."""

import importlib.util
import tomllib
from pathlib import Path

import pytest

from neuraxis.errors import RecipeError, UnknownName
from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.recipe.augmentation import PRESETS, AugmentationRecipe
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import read_wishes, resolve

NEEDED = {
    "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T1": "zscore"}},
    "patches": {"shape": [32, 32, 32]},
    "network": {"options": {"features": [8, 16], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}},
}


def resolved(**augmentation):
    return resolve({**NEEDED, "augmentation": augmentation})


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_what_it_states_and_leaves_the_rest_as_in_light(name):
    recipe, light = AugmentationRecipe(preset=name), AugmentationRecipe()

    for key in AugmentationRecipe.model_fields.keys() - {"preset"}:
        assert getattr(recipe, key) == PRESETS[name].get(key, getattr(light, key))


def test_light_is_what_recipes_of_earlier_versions_mean():
    light = AugmentationRecipe()

    assert light.preset == "light"
    assert light.affine_probability == 0.3
    on = {key for key in AugmentationRecipe.model_fields if key.endswith("_probability") and getattr(light, key) > 0}
    assert on == {f"{kind}_probability" for kind in ("affine", "noise", "blur", "brightness", "contrast", "gamma")}
    assert light.channel_share == 1
    assert not light.keep_zeros


def test_none_switches_everything_off():
    none = AugmentationRecipe(preset="none")

    assert none.mirror_axes == ()
    assert all(getattr(none, key) == 0 for key in AugmentationRecipe.model_fields if key.endswith("_probability"))


def test_a_value_that_is_set_goes_before_the_preset():
    recipe = resolved(preset="nnunet", noise=0.5, mirror_axes=[1]).augmentation

    assert (recipe.noise, recipe.mirror_axes, recipe.zoom) == (0.5, (1,), (0.7, 1.4))


def test_after_resolution_every_value_is_written_out():
    recipe = resolved(preset="mri-artefacts")

    again = Recipe.model_validate(tomllib.loads(recipe.to_toml()))

    assert tomllib.loads(recipe.to_toml())["augmentation"].keys() == AugmentationRecipe.model_fields.keys()
    assert again == recipe


def test_a_misspelt_preset_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match=r"No augmentation preset is called 'nnunett'. Did you mean 'nnunet'\?"):
        read_wishes("auto", ["augmentation.preset=nnunett"])
    with pytest.raises(RecipeError, match=r"Did you mean 'picture'\?"):
        resolved(preset="pictur")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elastic_mm": 20.0}, r"could fold the image: take at most 0.4 of elastic_spacing_mm, here 12.8"),
        ({"barrel": [-1.0, 1.0]}, r"barrel needs values in -0.99..0.99"),
        ({"low_resolution": [0.5, 1.0]}, r"low_resolution needs values from 1 up"),
        ({"ghosting_period": [1, 4]}, r"ghosting_period needs values from 2 up"),
        ({"cutout": [0.5, 0.1]}, r"augmentation.cutout: a range needs low <= high"),
        ({"zoom": [0, 1]}, r"augmentation.zoom: a range of factors needs 0 < low <= high"),
        ({"bias_probability": 1.5}, r"augmentation.bias_probability"),
        ({"low_resolution_axes": "two"}, r"augmentation.low_resolution_axes"),
        ({"preset": 5}, r"augmentation.preset"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(changes, message):
    with pytest.raises(RecipeError, match=message):
        resolved(**changes)


def test_nnunets_rates_are_those_of_its_trainer():
    """As nnU-Net 2.8.1 trains: probabilities a sample; where it draws channels one by one, ours times the share."""
    recipe = AugmentationRecipe(preset="nnunet")

    assert recipe.low_resolution_probability * recipe.channel_share == 0.25 * 0.5
    assert recipe.blur_probability == 0.2 * 0.5
    assert recipe.gamma_probability == pytest.approx(1 - (1 - 0.1) * (1 - 0.3))


def test_the_page_of_augmentations_shows_the_presets_as_they_are_and_every_kind():
    root = Path(__file__).parents[2]
    script = importlib.util.spec_from_file_location("presets", root / "docs" / "augmentation_presets.py")
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    page = (root / "docs" / "reference" / "augmentations.md").read_text("utf-8")

    assert module.with_table(page) == page, "run: python docs/augmentation_presets.py docs/reference/augmentations.md"
    kinds = page.partition("## Kinds")[2]
    assert not [name for name in AUGMENTATIONS.entries if f"| `{name}` |" not in kinds]
