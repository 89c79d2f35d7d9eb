from __future__ import annotations

import re

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.structures import LABEL_COLOURS, Structure, default_colour, structures_from, structures_of


def test_structures_stand_by_rising_number_without_background_and_ignored_voxels() -> None:
    found = structures_of(Labels(names={"nothing": 0, "b": 4, "a": 2}, ignore=9))
    assert found == (Structure(2, "a", LABEL_COLOURS[0]), Structure(4, "b", LABEL_COLOURS[1]))
    assert found[0].rgb == (0x56, 0xB4, 0xE9)


def test_colours_of_the_labels_go_before_the_palette() -> None:
    found = structures_of(Labels(names={"a": 2, "b": 4}, colours={"a": "#010203"}))
    assert found == (Structure(2, "a", "#010203"), Structure(4, "b", LABEL_COLOURS[1]))


def test_numbers_without_a_name_get_one_and_colours_do_not_depend_on_what_a_scan_shows() -> None:
    names = {1: "one", 2: "two", 3: "three"}
    assert structures_from([0, 3, 3, 7], names, {}) == (
        Structure(3, "three", LABEL_COLOURS[2]),
        Structure(7, "label 7", LABEL_COLOURS[3]),
    )


def test_many_structures_have_colours_of_their_own() -> None:
    colours = [default_colour(place) for place in range(21)]
    assert len(set(colours)) == 21
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
