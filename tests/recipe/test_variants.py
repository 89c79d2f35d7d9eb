from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.cli.options import DecidedData
from neuraxis.errors import RecipeError, UnknownName
from neuraxis.pipelines.fit import FitOptions, request_of
from neuraxis.recipe.wishes import book, book_and_variants, look_up, read_wishes, split_variant

MINE = """
name = "mine"
summary = "Mine."

[training]
steps = 100
learning_rate = 1e-3

[network]
name = "flexible-unet"
options = { dropout = 0.1 }

[loss]
name = "tversky"
options = { beta = 0.8 }

[variant.published]
summary = "Slower."
training.learning_rate = 1e-5

[variant.plain]
summary = "Another network and another loss."
network.name = "unet"
loss.name = "dice_ce"
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "mine.toml").write_text(MINE)
    return tmp_path / "mine.toml"


def test_a_variant_goes_over_the_recipe_and_settings_go_over_both(mine: Path) -> None:
    plain = read_wishes(mine)
    wishes = read_wishes(f"{mine}:published", ["training.steps=200"])
    assert (plain["name"], wishes["name"]) == ("mine", "mine-published")
    assert look_up(plain, "training.learning_rate") == 1e-3
    assert (look_up(wishes, "training.learning_rate"), look_up(wishes, "training.steps")) == (1e-5, 200)
    assert "variant" not in plain
    assert "variant" not in wishes


@pytest.mark.parametrize(
    ("recipe", "settings"),
    [(":plain", []), ("", ["network.name=unet", "loss.name=dice_ce"])],
)
def test_another_network_or_loss_does_not_take_the_options_of_the_first(mine: Path, recipe: str, settings) -> None:
    wishes = read_wishes(f"{mine}{recipe}", settings)
    assert wishes["network"] == {"name": "unet"}
    assert wishes["loss"] == {"name": "dice_ce"}


def test_the_same_network_keeps_its_options(mine: Path) -> None:
    wishes = read_wishes(mine, ["network.name=flexible-unet", "network.options.dilation=2"])
    assert wishes["network"]["options"] == {"dropout": 0.1, "dilation": 2}


def test_a_misspelt_variant_is_answered_with_the_nearest_one(mine: Path) -> None:
    with pytest.raises(UnknownName, match=r"No variant of 'mine' is called 'publshed'\. Did you mean 'published'\?"):
        read_wishes(f"{mine}:publshed")


def test_a_variant_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text("name = 'odd'\nvariant = { published = 3 }\n")
    with pytest.raises(RecipeError, match=r"odd\.toml: variant: needed is a table for each variant"):
        read_wishes(f"{tmp_path / 'odd.toml'}:published")


@pytest.mark.parametrize(
    ("recipe", "name", "variant"),
    [
        ("auto", "auto", ""),
        ("auto:published", "auto", "published"),
        ("C:/data/mine.toml", "C:/data/mine.toml", ""),
        ("C:\\data\\mine.toml:published", "C:\\data\\mine.toml", "published"),
        ("a:b.toml", "a:b.toml", ""),
    ],
)
def test_the_variant_stands_after_the_last_colon(recipe: str, name: str, variant: str) -> None:
    assert split_variant(recipe) == (name, variant)


def test_every_variant_of_the_book_has_a_summary_and_only_known_keys() -> None:
    assert set(book()) <= set(book_and_variants())
    for name, summary in book_and_variants().items():
        assert summary.endswith("."), name
        assert read_wishes(name)["name"] == name.replace(":", "-")


def test_the_option_variant_chooses_it_too() -> None:
    assert DecidedData(recipe="ms-flair-2d", variant="published").chosen_recipe == "ms-flair-2d:published"


def test_a_run_knows_the_file_and_the_variant_that_it_was_asked_for(mine: Path) -> None:
    asked = [request_of((), FitOptions(mine.parent, recipe)) for recipe in (str(mine), f"{mine}:published")]
    assert asked[0]["recipe_hash"] == asked[1]["recipe_hash"] is not None
    assert asked[0] != asked[1]
