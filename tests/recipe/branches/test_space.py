from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.fingerprint import CaseFingerprint, Fingerprint
from neuraxis.errors import RecipeError
from neuraxis.recipe.branches.space import WorkingSpace, choose_space
from neuraxis.registration.template import Template
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

CHANNELS = ("T1", "FLAIR")
TEMPLATE = Template(
    Grid((90, 110, 90), 2 * np.eye(4)), Volume(np.ones((1, 9, 9, 9), np.uint8), Grid((9, 9, 9), 20 * np.eye(4)))
)


def case(name, shape=(200, 240, 30), spacing=(1.0, 1.0, 5.0), apart=()):
    return CaseFingerprint(name, shape, shape, spacing, {0: 1}, {}, apart=apart)


def seen(*cases):
    return Fingerprint(cases, {}, (0, 0, 0), (0, 0, 0), {}, 1.0)


def test_where_channels_share_a_grid_nothing_is_chosen():
    space, chosen = choose_space({}, seen(case("a")), CHANNELS)
    assert space == WorkingSpace()
    assert chosen == {}


def test_channels_apart_come_onto_the_one_that_label_maps_lie_on():
    _, chosen = choose_space({}, seen(case("a"), case("b", apart=("T1",))), CHANNELS)
    assert {key: value for key, (value, _) in chosen.items()} == {
        "space": "channel",
        "reference_channel": "FLAIR",
        "registration": "rigid",
    }
    assert chosen["space"][1].startswith("'T1' of b has a grid of its own")


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"space": "native"}, "preparation.space is 'native', but 'T1' of b has a grid of its own. Set 'channel' or"),
        ({"reference_channel": "T1"}, "is 'T1', but the label map of b lies on another grid. Set 'FLAIR'"),
    ],
)
def test_wishes_against_the_data_are_refused(wish, message):
    with pytest.raises(RecipeError, match=message):
        choose_space({"preparation": wish}, seen(case("b", apart=("T1",))), CHANNELS)


def test_label_maps_on_grids_of_different_channels_are_refused():
    data = seen(case("a", apart=("FLAIR",)), case("b", apart=("T1",)))
    with pytest.raises(RecipeError, match=r"No channel lies on the grid of every label map .*'FLAIR' in a"):
        choose_space({}, data, CHANNELS)


def test_a_copy_of_a_template_is_taken_and_needs_no_file():
    wish = {"space": "template", "template": "gone.nii.gz", "template_copy": TEMPLATE.to_text()}
    space, chosen = choose_space({"preparation": wish}, seen(case("a")), CHANNELS)
    assert space.template.matches(TEMPLATE.grid)
    assert "template_copy" not in chosen
    assert chosen["registration"][0] == "affine"
    with pytest.raises(RecipeError, match=r"template_copy: is no copy of a template, or damaged\. Leave it out"):
        choose_space({"preparation": {**wish, "template_copy": "x"}}, seen(case("a")), CHANNELS)


def test_in_a_template_every_case_has_its_shape_and_a_brain_its_box():
    space = WorkingSpace(TEMPLATE.grid, brain=True)
    assert space.shapes((200, 240, 30), (180, 200, 30), (1.0, 1.0, 5.0)) == (
        (90, 110, 90),
        (75, 95, 78),
        (2.0, 2.0, 2.0),
    )


def test_a_size_makes_every_case_that_size_at_the_median_extent():
    data = seen(case("a", (100, 100, 20)), case("b", (200, 300, 20)), case("c", (300, 400, 20)))
    first, *_ = replace(WorkingSpace(), size=(100, 100, 0)).seen(data).cases
    assert first.cropped_shape == (100, 100, 20)
    assert first.spacing_mm == (2.0, 3.0, 5.0)
