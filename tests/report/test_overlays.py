"""Tests of `neuraxis.report.overlays`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.report.overlays import Overlay, chamfered, outline, slices, straightened

ONE = Labels(names={"background": 0, "lesion": 1})


def area_inside(lines: list[np.ndarray]) -> float:
    """Signed area within the lines (shoelace formula): holes count against it."""
    return sum(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2 for x, y in (line.T for line in lines))


def small(reference: np.ndarray | None, predicted: np.ndarray, labels: Labels = ONE) -> Overlay:
    return Overlay("a", "", np.zeros(predicted.shape, np.float32), reference, predicted, (1.0, 1.0, 1.0), labels)


def test_one_pixel_is_outlined_by_its_four_corners() -> None:
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    (line,) = outline(mask)
    assert {tuple(point) for point in line} == {(2, 1), (3, 1), (3, 2), (2, 2)}


def test_nothing_has_no_outline() -> None:
    assert outline(np.zeros((4, 4), bool)) == []


def test_a_mask_that_reaches_the_border_is_closed_there() -> None:
    (line,) = outline(np.ones((2, 3), bool))
    assert len(line) == 2 * (2 + 3)
    assert area_inside([line]) == 6


def test_a_ring_has_an_outer_and_an_inner_line() -> None:
    mask = np.ones((5, 5), bool)
    mask[2, 2] = False
    lines = outline(mask)
    assert sorted(len(line) for line in lines) == [4, 20]
    assert area_inside(lines) == 24


def test_pixels_that_touch_at_a_corner_have_lines_of_their_own() -> None:
    lines = outline(np.eye(2, dtype=bool))
    assert [len(line) for line in lines] == [4, 4]
    assert area_inside(lines) == 2


def test_any_mask_is_enclosed_exactly() -> None:
    mask = np.random.default_rng(0).random((20, 30)) > 0.5
    lines = outline(mask)
    assert area_inside(lines) == mask.sum()
    assert area_inside([straightened(line) for line in lines]) == mask.sum()
    steps = np.concatenate([np.abs(np.roll(line, -1, 0) - line).sum(1) for line in lines])
    assert set(steps) == {1.0}


def test_straight_runs_are_two_points_and_cut_corners_four_more() -> None:
    (line,) = outline(np.ones((4, 6), bool))
    assert len(straightened(line)) == 4
    assert len(straightened(chamfered(line))) == 8
    assert area_inside([chamfered(line)]) == 24 - 4 * 0.125


def test_slices_are_hung_with_right_on_the_left_front_and_head_up() -> None:
    label = np.zeros((8, 8, 8), np.uint8)
    label[6, 7, 7] = 1  # right, front, head
    planes = {one.plane: one for one in slices(small(label, label))}
    assert {name: one.ends for name, one in planes.items()} == {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
    assert np.argwhere(planes["axial"].predicted).tolist() == [[0, 1]]
    assert np.argwhere(planes["coronal"].predicted).tolist() == [[0, 1]]
    assert np.argwhere(planes["sagittal"].predicted).tolist() == [[0, 0]]


def test_each_plane_is_taken_where_there_is_most_label() -> None:
    label = np.zeros((6, 6, 9), np.uint8)
    label[2, 2, 3] = 1
    label[1:4, 4, 7] = 1
    axial, coronal, sagittal = slices(small(label, np.zeros_like(label)))
    assert (axial.index, coronal.index, sagittal.index) == (8, 5, 3)
    assert (axial.count, coronal.count, sagittal.count) == (9, 6, 6)


def test_without_any_label_the_middle_of_the_whole_scan_is_shown() -> None:
    nothing = np.zeros((6, 8, 10), np.uint8)
    axial = slices(small(nothing, nothing))[0]
    assert axial.index == 6
    assert axial.grey.shape == (8, 6)


def test_a_picture_has_one_plane_and_three_planes_need_four_voxels() -> None:
    flat = np.ones((9, 9, 1), np.uint8)
    assert [one.plane for one in slices(small(flat, flat))] == ["axial"]
    tiny = np.ones((2, 2, 2), np.uint8)
    assert [one.plane for one in slices(small(tiny, tiny))] == ["axial"]


def test_a_small_structure_in_a_large_scan_is_cut_out_with_a_margin() -> None:
    label = np.zeros((100, 120, 80), np.uint8)
    label[50:54, 60:64, 40:44] = 1
    axial = slices(small(label, label))[0]
    assert axial.grey.shape == (34, 34)
    rows, columns = np.nonzero(axial.predicted)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 18, 15, 18)


def test_the_margin_is_counted_in_mm() -> None:
    label = np.zeros((100, 100, 30), np.uint8)
    label[50:54, 50:54, 14:16] = 1
    overlay = replace(small(label, label), spacing_mm=(0.5, 0.5, 5.0))
    axial, coronal, _ = slices(overlay)
    assert axial.grey.shape == (64, 64)
    assert coronal.grey.shape == (8, 64)
    assert coronal.size_mm == (0.5, 5.0)


def test_every_voxel_is_found_missed_false_or_given_another_structure() -> None:
    reference = np.array([1, 1, 2, 0, 0], np.uint8).repeat(25).reshape(5, 5, 5)
    predicted = np.array([1, 0, 1, 1, 0], np.uint8).repeat(25).reshape(5, 5, 5)
    labels = Labels(names={"background": 0, "a": 1, "b": 2})
    axial = slices(small(reference, predicted, labels))[0]
    first = {name: mask[0].astype(int).tolist() for name, mask in axial.agreement().items()}
    assert first == {
        "found": [0, 0, 0, 0, 1],
        "missed": [0, 0, 0, 1, 0],
        "false": [0, 1, 0, 0, 0],
        "confused": [0, 0, 1, 0, 0],
    }


def test_ignored_voxels_are_neither_outlined_nor_judged() -> None:
    labels = Labels(names={"background": 0, "a": 1}, ignore=9)
    reference = np.full((5, 5, 5), 9, np.uint8)
    reference[2] = 1
    axial = slices(small(reference, np.ones((5, 5, 5), np.uint8), labels))[0]
    assert axial.predicted.sum() == 5
    assert {name: int(mask.sum()) for name, mask in axial.agreement().items()} == {
        "found": 5,
        "missed": 0,
        "false": 0,
        "confused": 0,
    }


def test_without_a_reference_nothing_is_judged() -> None:
    axial = slices(small(None, np.ones((5, 5, 5), np.uint8)))[0]
    assert axial.reference is None
    assert axial.agreement() == {}


@pytest.mark.parametrize("value", [np.nan, np.inf, 7.0])
def test_an_image_without_contrast_is_black_and_no_warning(value: float, recwarn: pytest.WarningsRecorder) -> None:
    label = np.ones((5, 5, 5), np.uint8)
    overlay = replace(small(label, label), image=np.full((5, 5, 5), value, np.float32))
    assert not slices(overlay)[0].grey.any()
    assert not recwarn.list


def test_a_single_nan_does_not_darken_the_image() -> None:
    image = np.linspace(0, 100, 125, dtype=np.float32)[::-1].reshape(5, 5, 5).copy()
    label = np.ones((5, 5, 5), np.uint8)
    whole = slices(replace(small(label, label), image=image))[2].grey.astype(int)
    image[0, 0, 0] = np.nan
    holed = slices(replace(small(label, label), image=image))[2].grey.astype(int)
    assert (whole[-1, -1], holed[-1, -1]) == (255, 0)
    assert np.abs(whole - holed)[:-1].max() <= 3


def test_arrays_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="a: an overlay needs arrays"):
        small(np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 5), np.uint8))
