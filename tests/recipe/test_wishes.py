from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from neuraxis.errors import RecipeError, UnknownName
from neuraxis.recipe.recipe import LossRecipe, Recipe
from neuraxis.recipe.wishes import all_keys, book, check_keys, look_up, overlay, read_wishes, resolve

COMPLETE: dict[str, Any] = {
    "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"MRI": "zscore"}},
    "patches": {"shape": [32, 32, 32]},
    "network": {
        "options": {"features": [8, 16], "kernels": [[3, 3, 3], [3, 3, 3]], "strides": [[1, 1, 1], [2, 2, 2]]},
    },
}


def changed(key: str, value: Any) -> dict[str, Any]:
    *groups, leaf = key.split(".")
    change: dict[str, Any] = {leaf: value}
    for group in reversed(groups):
        change = {group: change}
    return overlay(COMPLETE, change)


def test_settings_are_put_over_the_book(tmp_path: Path) -> None:
    wishes = read_wishes("auto", ["training.steps=500", "training.learning_rate = 3e-4"])
    assert look_up(wishes, "name") == "auto"
    assert look_up(wishes, "training.steps") == 500
    assert look_up(wishes, "training.learning_rate") == 3e-4


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("patches.shape=[32, 32, 16]", [32, 32, 16]),
        ("loss.batch_dice=true", True),
        ("patches.foreground=0.5", 0.5),
        ('training.optimizer="adamw"', "adamw"),
        ("training.optimizer=adamw", "adamw"),
        ("summary=", ""),
        ("summary=a=b", "a=b"),
    ],
)
def test_values_are_read_as_toml_and_else_as_text(setting: str, value: Any) -> None:
    assert look_up(read_wishes("auto", [setting]), setting.split("=")[0]) == value


def test_a_recipe_file_is_read_and_settings_go_over_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nsteps = 100\nprecision = 'bf16'\n")
    wishes = read_wishes(path, ["training.steps=200"])
    assert wishes == {"training": {"steps": 200, "precision": "bf16"}}


def test_the_latest_setting_of_a_key_counts() -> None:
    assert read_wishes("auto", ["seed=1", "seed=2"])["seed"] == 2


@pytest.mark.parametrize(
    ("setting", "answer"),
    [
        ("training.stepps=5", r"No recipe has the key 'training\.stepps'\. Did you mean 'training\.steps'\?"),
        ("trainning.steps=5", r"No recipe has the key 'trainning'\. Did you mean 'training'\?"),
        ("learning_rate=5", r"No recipe has the key 'learning_rate'\. Did you mean 'training\.learning_rate'\?"),
        ("spacing=1", r"Did you mean 'preparation\.spacing_mm'\?"),
        ("patches.zzz=1", r"Known here: batch, foreground, shape\."),
        ("network.options.feature=[1]", r"Did you mean 'network\.options\.features'\?"),
        ("loss.options.gama=1", r"No recipe has the key 'loss\.options\.gama'"),
        ("training.patience=3", r"Did you mean 'training\.\w+_patience'\?"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_nearest_one(setting: str, answer: str) -> None:
    with pytest.raises(RecipeError, match=answer):
        read_wishes("auto", [setting])


def test_a_misspelt_network_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"No network is called 'unett'\. Did you mean 'unet'\?"):
        read_wishes("auto", ["network.name=unett"])


def test_options_of_a_loss_are_checked_as_its_own() -> None:
    wishes = read_wishes("auto", ["loss.name=focal_tversky", "loss.options.gamma=1.3"])
    assert wishes["loss"]["options"] == {"gamma": 1.3}

    with pytest.raises(RecipeError, match=r"'loss\.options\.gama'\. Did you mean 'loss\.options\.gamma'\?"):
        read_wishes("auto", ["loss.name=focal_tversky", "loss.options.gama=1.3"])
    with pytest.raises(RecipeError, match=r"loss\.options\.beta: .*greater than 0 \(found -1\)"):
        read_wishes("auto", ["loss.name=tversky", "loss.options.beta=-1"])
    with pytest.raises(UnknownName, match=r"No loss is called 'tverski'\. Did you mean 'tversky'\?"):
        read_wishes("auto", ["loss.name=tverski"])


@pytest.mark.parametrize(
    ("loss", "answer"),
    [
        ({"dice_weight": 0, "entropy_weight": 0}, "one of them has to count"),
        ({"class_weights": (1.0, 0.0)}, "nothing would be learned"),
        ({"class_weights": (1.0, -1.0)}, "greater than or equal to 0"),
        ({"label_smoothing": 1.0}, "less than 1"),
    ],
)
def test_a_loss_of_which_nothing_could_be_learned_is_refused(loss, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        LossRecipe(**loss)


def test_a_misspelt_recipe_is_answered_with_the_nearest_one() -> None:
    with pytest.raises(UnknownName, match=r"No recipe is called 'hipocampus'\. Did you mean 'hippocampus'\?"):
        read_wishes("hipocampus")


@pytest.mark.parametrize("setting", ["training.steps", "steps", ""])
def test_a_setting_without_a_value_is_answered_with_the_form(setting: str) -> None:
    with pytest.raises(RecipeError, match=r"needed is key=value, such as training\.steps=500"):
        read_wishes("auto", [setting])


def test_a_value_is_no_group() -> None:
    with pytest.raises(RecipeError, match="'seed' is a value, not a group"):
        read_wishes("auto", ["seed=1", "seed.more=2"])


def test_recipe_files_that_cannot_be_read_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("steps = = 1")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"missing\.toml: cannot be read"):
        read_wishes(tmp_path / "missing.toml")
    for name in ("broken.toml", "binary.toml"):
        with pytest.raises(RecipeError, match=f"{name}: is not valid TOML"):
            read_wishes(tmp_path / name)


def test_every_recipe_of_the_book_has_a_summary_and_only_known_keys() -> None:
    assert {"auto", "hippocampus"} <= set(book())
    for name, summary in book().items():
        assert summary.endswith("."), name
        assert read_wishes(name)["name"] == name


def test_a_complete_recipe_resolves_with_its_defaults() -> None:
    recipe = resolve(COMPLETE)
    assert recipe.patches.shape == (32, 32, 32)
    assert recipe.patches.batch == 2
    assert recipe.network.name == "unet"
    assert recipe.network.options["convolutions"] == 2


def test_a_resolved_recipe_returns_from_its_own_toml() -> None:
    recipe = resolve(changed("summary", 'quotes " and [ brackets, ] and lines'))
    text = recipe.to_toml()
    assert resolve(tomllib.loads(text)) == recipe
    check_keys(tomllib.loads(text))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training.steps", 0, r"training\.steps: .*greater than or equal to 1 \(found 0\)"),
        ("training.optimizer", "lamb", r"training\.optimizer: .*'adamw'.*\(found 'lamb'\)"),
        ("training.learning_rate", float("nan"), r"training\.learning_rate: "),
        ("patches.shape", [32, 32, 31], r"patches\.shape\[2\] is 31.*set it to 32"),
        ("patches.shape", [32, 32], r"patches\.shape"),
        ("preparation.spacing_mm", [1, 1, -1], "spacing_mm must be positive"),
        ("preparation.normalisation", {"MRI": "ct"}, r"needs preparation\.intensity\.MRI"),
        ("network.options.strides", [[2, 2, 2], [2, 2, 2]], r"first stage keeps full resolution"),
        ("inference.overlap", 1, r"inference\.overlap: "),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_key(key: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        resolve(changed(key, value))
    assert "\n" not in str(caught.value)


def test_a_group_that_is_left_out_is_named() -> None:
    with pytest.raises(RecipeError, match=r"patches: .*required"):
        resolve({key: value for key, value in COMPLETE.items() if key != "patches"})


def test_look_up_returns_nothing_for_what_was_left_open() -> None:
    assert look_up({"training": {"steps": 5}}, "training.precision") is None
    assert look_up({"training": {"steps": 5}}, "training.steps.more") is None
    assert look_up({}, "seed") is None


def test_an_overlay_changes_neither_of_its_parts() -> None:
    base, top = {"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 9}, "d": {"e": 4}}
    assert overlay(base, top) == {"a": {"b": 9, "c": 2}, "d": {"e": 4}}
    assert base == {"a": {"b": 1, "c": 2}, "d": 3}


def test_all_keys_are_the_dotted_names_of_the_values() -> None:
    keys = set(all_keys())
    assert {"seed", "training.steps", "preparation.spacing_mm", "network.options", "network.name"} <= keys
    assert "training" not in keys
    assert all(key.split(".")[0] in Recipe.model_fields for key in keys)


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("preparation.spacing_mm=1", "preparation.spacing_mm"),
        ("patches.shape=64", "patches.shape"),
        ("patches.batch=two", "patches.batch"),
        ("memory_gb=lots", "memory_gb"),
        ("network.options.features=32", "network.options.features"),
        ("network.name=5", "network.name"),
        ("augmentation.mirror_axes=[3]", "augmentation.mirror_axes.0"),
        ("training=5", "training"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_key(setting, key):
    with pytest.raises(RecipeError, match=f"^{key.replace('.', '[.]')}.*found"):
        read_wishes("auto", [setting])
