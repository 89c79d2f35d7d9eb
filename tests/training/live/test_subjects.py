"""Which cases are shown, and where."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.preparation.prepared import WayBack
from neuraxis.training.live.subjects import Focus, Subject, _plane, _spread, fullest
from neuraxis.volume.grid import Grid
from neuraxis.volume.turn import NO_TURN, Turn


def way(shape=(6, 5, 4), spacing=(1.0, 1.0, 1.0), turn=NO_TURN):
    return WayBack(Grid(shape, np.diag([*spacing, 1.0])), (0, 0, 0), shape, shape, turn=turn)


def subject(role="unlabelled", target=None, turn=NO_TURN, plane="axial"):
    return Subject("a", role, way(turn=turn), lambda box: (np.zeros((1, 6, 5, 4)), target), plane)


def test_the_fullest_slice_and_the_middle_of_what_is_on_it_are_found():
    label_map = np.zeros((6, 5, 4), int)
    label_map[2:5, 1, 3] = 1
    label_map[0, 0, 1] = 1

    assert fullest(label_map, 2) == Focus((3, 1, 3), 3)


def test_without_a_label_the_middle_is_shown():
    assert fullest(np.zeros((6, 5, 4), int), 2) == Focus((3, 2, 2), 0)


@pytest.mark.parametrize(("there", "slice_shown"), [(2, 1), (1, 3)])
def test_a_slice_is_kept_while_it_holds_half_as_much(there, slice_shown):
    label_map = np.zeros((6, 5, 4), int)
    label_map[0:4, 0, 3] = 1
    label_map[0:there, 0, 1] = 1

    assert fullest(label_map, 2, keep=1).voxel[2] == slice_shown


def test_a_labelled_case_is_shown_where_most_reference_is_and_stays_there():
    target = np.zeros((1, 6, 5, 4), np.uint8)
    target[0, 1, 2, 3] = 1
    shown = subject("held out", target)

    assert shown.look(Labels(names={"x": 1})) == Focus((1, 2, 3), 1)
    shown.follow(np.ones((6, 5, 4), int), (0, 0, 0))
    assert shown.focus == Focus((1, 2, 3), 1)


def test_an_unlabelled_scan_is_followed_to_where_something_is_found():
    shown = subject()
    assert shown.look(Labels(names={"x": 1})) == Focus((3, 2, 2))

    found = np.zeros((2, 2, 2), int)
    found[1, 0, 1] = 1
    shown.follow(found, (3, 2, 1))

    assert shown.focus == Focus((4, 2, 2), 1)


def test_voxels_to_ignore_are_no_foreground_and_are_shown_as_such():
    labels = Labels(names={"x": 3}, ignore=9)
    target = np.array([0, 1, 255], np.uint8).reshape(1, 3, 1, 1)

    assert labels.decode_target(target).ravel().tolist() == [0, 3, 9]


def test_of_regions_the_last_is_shown():
    labels = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2))
    target = np.array([[0, 1, 1], [0, 0, 1]], np.uint8).reshape(2, 3, 1, 1)

    assert labels.decode_target(target).ravel().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("spacing", "flat", "plane"),
    [
        ((1, 1, 1), None, "axial"),
        ((3, 1, 1), None, "sagittal"),
        ((1, 1.2, 1), None, "axial"),
        ((1, 1, 1), 1, "coronal"),
    ],
)
def test_the_plane_of_the_finest_voxels_is_shown(spacing, flat, plane):
    assert _plane(way(spacing=spacing), flat) == plane


def test_slices_are_counted_along_ras_whatever_the_networks_axes():
    turned = subject(turn=Turn((2, 1, 0), (True, False, False)))  # its X is the scan's Z, the other way round

    assert turned.across == 0
    assert turned.shown_slice((0, 2, 2)) == 5
    assert turned.shown_slice(turned.voxel_of(4)) == 4


def test_cases_are_taken_evenly_over_the_held_out_ones():
    assert _spread(list("dacb"), 2) == ["b", "d"]
    assert _spread(["a"], 3) == ["a"]
    assert _spread(["a"], 0) == []
