"""Spines of balls whose names the network mixed up in one way or another."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.inference.vertebrae.bodies import find_spine, places_along
from neuraxis.inference.vertebrae.naming import name_in_order
from neuraxis.inference.vertebrae.ordering import order
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid

NAMES = (*(f"C{number}" for number in range(1, 8)), *(f"T{number}" for number in range(1, 13)))
LABELS = Labels(names={"background": 0, **{name: n for n, name in enumerate(NAMES, 1)}, "cord": 30}, ignore=99)
GRID = Grid((24, 40, 100), np.diag([2.0, 2.0, 2.0, 1.0]))
APART = 9  # voxels, 18 mm


def centres(count: int, top: float = 92.0) -> list[tuple[float, float, float]]:
    """Centres of balls from the head down, along a bent line, in voxels."""
    return [(12.0, 20 + 6 * np.sin(number / 3), top - APART * number) for number in range(count)]


def balls(numbers, places=None, radius=3.2):
    """Return a label map with a ball of each number."""
    label_map = np.zeros(GRID.shape, np.uint8)
    voxels = np.stack(np.indices(GRID.shape))
    for number, place in zip(numbers, places or centres(len(numbers)), strict=True):
        label_map[((voxels - np.array(place)[:, None, None, None]) ** 2).sum(axis=0) < radius**2] = number
    return label_map


def at(label_map, places):
    return [int(label_map[tuple(round(value) for value in place)]) for place in places]


def named(numbers, places=None):
    """Return the numbers of balls after naming, and what came of it."""
    places = places or centres(len(numbers))
    found = name_in_order(balls(numbers, places), LABELS, NAMES, GRID)
    return at(found.label_map, places), found


@pytest.mark.parametrize(
    ("said", "right"),
    [
        pytest.param([1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7], id="right already"),
        pytest.param([3, 5, 4, 6, 7], [3, 4, 5, 6, 7], id="two changed places"),
        pytest.param([7, 2, 3, 4, 5, 6, 1], [1, 2, 3, 4, 5, 6, 7], id="first and last changed places"),
        pytest.param([1, 2, 3, 3, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7], id="doubled"),
        pytest.param([2, 3, 4, 5, 5, 5, 8, 9], [2, 3, 4, 5, 6, 7, 8, 9], id="thrice"),
        pytest.param([1, 2, 3, 5, 6], [1, 2, 3, 4, 5], id="jumped"),
        pytest.param([5, 6, 7, 8, 9], [5, 6, 7, 8, 9], id="from neck to back"),
        pytest.param([1, 1, 2, 3, 4, 5, 6], [99, 1, 2, 3, 4, 5, 6], id="nothing lies above the first"),
        pytest.param([4, 4], [99, 99], id="one too many of two"),
        pytest.param([4, 5, 5, 6], [99, 99, 99, 99], id="two halves that contradict one another alike"),
        pytest.param([6], [6], id="one alone"),
    ],
)
def test_each_vertebra_bears_the_name_that_its_order_allows(said, right) -> None:
    found, result = named(said)
    assert found == right
    assert (99 in right) == any("could not be named" in warning for warning in result.warnings)


def test_names_rise_by_one_whatever_the_network_said() -> None:
    draws, named, right = np.random.default_rng(0), 0, 0
    for _ in range(200):
        count = int(draws.integers(1, 12))
        first = int(draws.integers(0, len(NAMES) - count + 1))
        said = np.clip(
            first + np.arange(count) + draws.choice([-1, 0, 1], count, p=[0.15, 0.7, 0.15]), 0, len(NAMES) - 1
        )
        votes = np.eye(len(NAMES))[said] + draws.uniform(0, 0.03, (count, len(NAMES)))
        levels = order(votes, draws.uniform(15, 22, count - 1))
        places = np.flatnonzero(levels >= 0)
        assert (np.diff(levels[places]) == np.diff(places)).all()
        named += len(places)
        right += int((levels[places] == first + places).sum())
    assert right > 0.8 * named > 500


def test_the_cheapest_assignment_is_found() -> None:
    draws = np.random.default_rng(1)
    for _ in range(50):
        votes = draws.dirichlet(np.full(5, 0.3), 4)
        found = order(votes, np.full(3, 18.0))
        tried = {}
        for first in range(-4, 9):
            levels = range(first, first + 4)
            cost = sum(
                votes[body] @ np.minimum(abs(np.arange(5) - level), 3) + 2 * (not 0 <= level < 5)
                for body, level in enumerate(levels)
            )
            tried[first] = cost
        best = sorted(tried, key=lambda first: tried[first])
        sure = tried[best[1]] - tried[best[0]] >= 0.5 and tried[best[0]] <= 4
        expected = [level if sure and 0 <= level < 5 else -1 for level in range(best[0], best[0] + 4)]
        assert found.tolist() == expected


def test_a_wide_gap_is_room_for_a_vertebra_that_was_not_segmented() -> None:
    places = centres(7)
    del places[3]
    found, result = named([1, 2, 3, 5, 6, 7], places)
    assert found == [1, 2, 3, 5, 6, 7]
    assert "not segmented between them: C4" in result.warnings[0]


def test_two_vertebrae_that_touch_under_one_name_are_unknown_and_the_others_keep_theirs() -> None:
    label_map = balls([1, 2, 4, 4, 5, 6, 7])
    y, between = int(centres(7)[2][1]), slice(int(centres(7)[3][2]), int(centres(7)[2][2]))
    label_map[11:14, y : y + 3, between] = 4
    found = name_in_order(label_map, LABELS, NAMES, GRID)
    assert at(found.label_map, centres(7)) == [1, 2, 99, 99, 5, 6, 7]


def test_what_the_network_says_at_random_is_not_named() -> None:
    found, result = named([9, 2, 14, 5, 1, 17, 3])
    assert set(found) == {99}
    assert "7 of 7 vertebrae could not be named" in result.warnings[0]


@pytest.mark.data
def test_vertebrae_of_a_real_scan_whose_names_were_exchanged_or_doubled_get_them_back(shared_data) -> None:
    right = any_format.read(shared_data / "spine-ct" / "labels" / "sub-verse014.nii.gz")
    lumbar = {f"L{number}": 19 + number for number in range(1, 6)}
    labels, truth = Labels(names={"background": 0, **lumbar}, ignore=99), right.array[0].astype(np.uint8)

    def renamed(said: dict[int, int]) -> np.ndarray:
        label_map = truth.copy()
        for number, other in said.items():
            label_map[truth == number] = other
        return name_in_order(label_map, labels, tuple(lumbar), right.grid).label_map

    assert (renamed({}) == truth).all()
    assert (renamed({21: 22, 22: 21}) == truth).all()
    doubled = renamed({21: 22})
    assert set(np.unique(doubled[np.isin(truth, (21, 22))])) == {99}
    assert (doubled[~np.isin(truth, (21, 22))] == truth[~np.isin(truth, (21, 22))]).all()


def test_two_halves_of_one_vertebra_become_one() -> None:
    label_map = balls([1, 2, 3, 4, 5])
    lower_half = np.zeros(GRID.shape, bool)
    lower_half[:, :, : int(centres(5)[2][2])] = True
    label_map[(label_map == 3) & lower_half] = 4
    found = name_in_order(label_map, LABELS, NAMES, GRID).label_map
    assert (found == balls([1, 2, 3, 4, 5])).all()


def test_a_crumb_joins_the_vertebra_that_it_touches_and_goes_where_it_touches_none() -> None:
    right, label_map = balls([1, 2, 3, 4, 5]), balls([1, 2, 3, 4, 5])
    label_map[12, 23:25, 92 - 9] = 6  # the rim of C2
    label_map[2, 2, 2] = 4
    result = name_in_order(label_map, LABELS, NAMES, GRID)
    assert set(np.unique(result.label_map)) == {0, 1, 2, 3, 4, 5}
    assert result.label_map[2, 2, 2] == 0
    assert (result.label_map[right > 0] == right[right > 0]).all()
    assert result.facts["crumbs_removed"] == 1


def test_what_is_no_vertebra_stays_as_it_is() -> None:
    label_map = balls([2, 4, 3])
    label_map[20:22, :, :] = 30
    found = name_in_order(label_map, LABELS, NAMES, GRID).label_map
    assert ((found == 30) == (label_map == 30)).all()
    assert at(found, centres(3)) == [2, 3, 4]


@pytest.mark.parametrize("said", [[], [30]])
def test_a_scan_without_vertebrae_says_nothing(said) -> None:
    _, result = named(said)
    assert result.warnings == ()
    assert result.facts["vertebrae"] == []


def test_a_partial_field_of_view_is_stated() -> None:
    _, result = named([3, 4, 5, 6], centres(4, top=98.0))
    assert result.warnings[0].startswith("Vertebrae C3 to C6 were found; C1 to C2 lie above the field of view")
    assert "C7 to T12 were not found below" in result.warnings[0]
    assert "C3 may be cut by the scan's border" in result.warnings[0]
    assert [body["at_border"] for body in result.facts["vertebrae"]] == [True, False, False, False]


def test_the_order_does_not_depend_on_how_the_scan_lies() -> None:
    label_map = balls([1, 3, 2, 4, 5])
    turn = np.array([[0, 0, 2.0, 0], [0, 2.0, 0, 0], [-2.0, 0, 0, 300.0], [0, 0, 0, 1.0]])
    lying = Grid((100, 40, 24), turn)
    found = name_in_order(np.ascontiguousarray(label_map[:, :, ::-1].transpose(2, 1, 0)), LABELS, NAMES, lying)
    upright = name_in_order(label_map, LABELS, NAMES, GRID)
    assert (found.label_map.transpose(2, 1, 0)[:, :, ::-1] == upright.label_map).all()


def test_without_a_number_to_ignore_what_is_unknown_becomes_background() -> None:
    labels = LABELS.model_copy(update={"ignore": None})
    assert not name_in_order(balls([4, 4]), labels, NAMES, GRID).label_map.any()


def test_places_follow_the_bend_of_the_spine() -> None:
    angles = np.linspace(0, 1.2, 7)
    bent = np.stack([np.zeros(7), 100 * np.cos(angles), -100 * np.sin(angles)], axis=1)
    places = places_along(bent)
    assert np.allclose(np.diff(places), 20, atol=1.5)


def test_the_bodies_of_a_spine_lie_where_they_were_put() -> None:
    spine = find_spine(balls([3, 4, 5]), range(1, 20), GRID)
    assert np.allclose([body.centre_mm for body in spine.bodies], 2 * np.array(centres(3)), atol=0.5)


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        (PostprocessingRecipe(ordered=("C1", "C9")), "no structure is called 'C9'"),
        (PostprocessingRecipe(ordered=("C1", "C2", "C1")), "ordered names 'C1' twice"),
        (PostprocessingRecipe(ordered=NAMES), ""),
    ],
)
def test_rules_of_order_are_held_against_the_labels(rules, problem: str) -> None:
    found = rules.problem(LABELS.scored)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
    assert rules.rules == 1
    assert "in order along the spine" in rules.in_words()[0]
