"""Slices become one straight grid, and labels on it go back to the slices without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.frames import Frame
from neuraxis.volume.formats.dicom.stack import Stack, pile

SHAPE = (7, 6)


def slices(places: list[float], tilt: float = 0.0, turn: float = 0.0, aside: float = 0.0) -> list[Frame]:
    """Return slices whose table stands at these places, of a gantry that is tilted, turned about the row."""
    angle, about = np.radians(tilt), np.radians(turn)
    rotate = np.array([[1, 0, 0], [0, np.cos(about), -np.sin(about)], [0, np.sin(about), np.cos(about)]])
    row, column = rotate @ [1, 0, 0], rotate @ [0, np.cos(angle), -np.sin(angle)]
    return [
        Frame(
            path=Path("x"), index=0, position=tuple(rotate @ [aside * place, 0, place] + (5, -4, 3)),
            row=tuple(row), column=tuple(column), spacing=(0.8, 0.7), thickness=2, distance=0, slope=1, intercept=0,
            order=(float(index),),
        )
        for index, place in enumerate(places)
    ]  # fmt: skip


def labels(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 5, (count, *SHAPE)).astype(np.uint8)


@settings(deadline=None, max_examples=60)
@given(
    step=st.floats(0.5, 6),
    count=st.integers(2, 12),
    tilt=st.floats(-30, 30),
    turn=st.floats(-80, 80),
    aside=st.sampled_from([0.0, 0.3]),
)
def test_labels_of_an_even_stack_go_there_and_back(step, count, tilt, turn, aside) -> None:
    stack = pile(slices([step * index for index in range(count)], tilt, turn, aside), SHAPE, "x")
    there = stack.straighten_labels(labels(count))
    assert there.shape == stack.straight_shape
    assert np.array_equal(stack.slices_of(there), labels(count))
    assert np.array_equal(stack.straighten_labels(stack.slices_of(there)), there)


@settings(deadline=None, max_examples=60)
@example(steps=[5.0, 2.0, 2.0, 2.0], tilt=18.5)  # slices half-way between two of the grid
@given(steps=st.lists(st.sampled_from([2.0, 3.5, 5.0]), min_size=3, max_size=12), tilt=st.sampled_from([0.0, 18.5]))
def test_labels_of_an_uneven_stack_are_stable_once_written(steps, tilt) -> None:
    stack = pile(slices([0.0, *np.cumsum(steps)], tilt), SHAPE, "x")
    once = stack.slices_of(stack.straighten_labels(labels(len(steps) + 1)))
    assert np.array_equal(stack.slices_of(stack.straighten_labels(once)), once)
    if stack.step <= min(steps) + 1e-6:  # else two slices stand for one of the grid
        assert np.array_equal(once, labels(len(steps) + 1))


@settings(deadline=None, max_examples=40)
@given(tilt=st.floats(-30, 30), turn=st.floats(-80, 80))
def test_a_tilted_grid_is_straight_and_holds_every_slice_at_its_place(tilt, turn) -> None:
    frames = slices([2.5 * index for index in range(8)], tilt, turn)
    stack = pile(frames, SHAPE, "x")
    grid = stack.grid()
    axes = grid.affine[:3, :3] / np.array(grid.exact_spacing_mm)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    for index, frame in enumerate(stack.frames):
        index_in_grid = np.linalg.solve(grid.affine, np.array([*(np.array(frame.position) * (-1, -1, 1)), 1]))[:3]
        window = stack._window(index)
        assert abs(index_in_grid[2] - index) < 0.02
        assert abs(index_in_grid[1] - window[0].start) <= 0.502
        assert abs(index_in_grid[0] - window[1].start) <= 0.502


def test_an_image_is_moved_by_parts_of_a_pixel_and_its_edges_keep_their_values() -> None:
    stack = Stack(
        tuple(slices([0, 2])), (), np.array([0.0, 2.0]), np.array([[0.0, 0.0], [0.0, 1.25]]), (3, 1), 2.0, 2
    )  # fmt: skip
    values = np.array([[[10], [20], [30]], [[10], [20], [30]]], np.int16)
    assert stack.straighten(values)[:, :, 0].tolist() == [[10, 20, 30, 10, 10], [10, 10, 17.5, 27.5, 10]]


def test_slices_in_any_order_are_one_stack() -> None:
    frames = slices([6, 0, 4, 2])
    stack = pile(frames, SHAPE, "x")
    assert [frame.position[2] - 3 for frame in stack.frames] == [0, 2, 4, 6]
    assert (stack.step, stack.depth, stack.remarks) == (pytest.approx(2), 4, ())


def test_rounding_in_positions_is_no_tilt_and_no_unevenness() -> None:
    draws = np.random.default_rng(0)
    frames = [
        frame.__class__(**{**frame.__dict__, "position": tuple(np.array(frame.position) + draws.normal(0, 0.01, 3))})
        for frame in slices([3.0 * index for index in range(40)])
    ]
    stack = pile(frames, SHAPE, "x")
    assert stack.remarks == ()
    assert stack.is_even
    assert stack.is_straight


def test_one_slice_of_another_series_is_refused() -> None:
    with pytest.raises(DataError, match="400 mm lie between two neighbouring slices"):
        pile(slices([0, 2, 4, 6, 406]), SHAPE, "x")
