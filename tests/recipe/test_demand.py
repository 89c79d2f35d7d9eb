"""What the user asks, and what excludes one another."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import RecipeError
from neuraxis.recipe.demand import Demand, read_demand
from neuraxis.recipe.wishes import read_wishes


def asked(*settings: str) -> Demand:
    labels = Labels(names={"background": 0, "thing": 1})
    dataset = Dataset("toy", Path("toy"), "nnunet", ("scan",), {"scan": "MRI"}, labels, ())
    return read_demand(read_wishes("auto", settings), dataset)


def test_nothing_asked_leaves_all_open() -> None:
    found = asked()
    assert (found.configuration, found.network, found.patch, found.batch) == ("auto", "unet", None, None)
    assert (found.channels, found.outputs, found.memory_gb) == (1, 2, 8.0)


def test_volumes_are_trained_in_3d_and_single_slices_in_2d() -> None:
    assert asked().settled((10, 10, 10)).configuration == "3d"
    assert asked().settled((10, 1, 10)).configuration == "2d"
    assert asked("configuration=2d").settled((10, 10, 10)).configuration == "2d"


@pytest.mark.parametrize("setting", ["patches.shape=[64,1,64]", "network.options.flat_axis=1"])
def test_a_flat_patch_asks_for_2d_along_its_axis(setting: str) -> None:
    assert asked(setting).configuration == "2d"
    assert asked(setting).flat_axis((64, 64, 64), (1, 1, 9)) == 1


def test_slices_are_looked_at_across_the_longest_voxels_and_else_across_z() -> None:
    assert asked().flat_axis((64, 64, 64), (3, 1, 1)) == 0
    assert asked().flat_axis((64, 64, 64), (1, 1, 1)) == 2
    assert asked().flat_axis((1, 64, 64), (1, 1, 9)) == 0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("configuration=3d", "patches.shape=[64,64,1]"), "the patch is one voxel thick"),
        (("configuration=2d", "patches.shape=[64,64,32]"), "the patch is 64 x 64 x 32 voxels. Set one side to 1."),
        (("network.options.flat_axis=2", "patches.shape=[64,64,32]"), "shape[2] is 32"),
    ],
)
def test_what_excludes_one_another_is_refused_in_a_line(settings: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        asked(*settings)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_3d_of_single_slices_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"configuration is '3d_low', but the cases have one slice along Z\. Set '2d'\."
    ):
        asked("configuration=3d_low").settled((10, 10, 1))


def test_the_cascade_is_answered_with_what_can_be_trained() -> None:
    with pytest.raises(RecipeError) as caught:
        asked("configuration=cascade")
    assert str(caught.value).startswith(
        "configuration: the second stage of the cascade cannot be trained yet. Set '3d_low'"
    )


def test_another_configuration_is_answered_with_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="'auto', '2d', '3d' or '3d_low'"):
        asked("configuration=4d")
