"""Boxes and points, drawn from masks."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.networks.sam.prompts import (
    Jitter,
    Prompt,
    box_around,
    coarse_prompts,
    drawn_prompts,
    pieces,
    prompts_of,
)


def mask(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    found = np.zeros(shape, bool)
    for a0, b0, a1, b1 in boxes:
        found[a0:a1, b0:b1] = True
    return found


def test_a_box_holds_the_mask_and_a_margin_inside_of_the_slice() -> None:
    assert box_around(mask((3, 4, 8, 10))) == (3, 4, 8, 10)
    assert box_around(mask((3, 1, 19, 10)), margin=2) == (1, 0, 20, 12)


def test_the_last_row_and_column_are_in_the_box() -> None:
    assert box_around(mask((19, 29, 20, 30))) == (19, 29, 20, 30)


def test_each_piece_has_a_box_of_its_own_large_ones_first() -> None:
    found = prompts_of(mask((0, 0, 2, 2), (5, 5, 10, 10)))
    assert found == [Prompt((5, 5, 10, 10)), Prompt((0, 0, 2, 2))]


def test_corners_connect() -> None:
    assert len(pieces(mask((0, 0, 2, 2), (2, 2, 4, 4)))) == 1


def test_nothing_has_no_prompts() -> None:
    assert prompts_of(mask()) == []


def test_boxes_move_within_the_jitter_and_points_lie_on_the_piece() -> None:
    there = mask((5, 6, 15, 18))
    kinds = set()
    for seed in range(200):
        (prompt,), prompted = drawn_prompts(there, Jitter(0.5, 0.1, 1.0), np.random.default_rng(seed))
        kinds.add(prompt.box is None)
        assert np.array_equal(prompted, there)
        if prompt.box is not None:
            assert np.all(np.abs(np.array(prompt.box) - (4, 5, 16, 19)) <= (1.2, 1.4, 1.2, 1.4))
        for a, b, inside in prompt.points:
            assert inside
            assert there[int(a), int(b)]
    assert kinds == {True, False}


def test_without_jitter_a_box_is_that_of_the_piece() -> None:
    (prompt,), _ = drawn_prompts(mask((5, 6, 15, 18)), Jitter(0, 0, 0), np.random.default_rng(0))
    assert prompt == Prompt((5, 6, 15, 18))


def test_where_nothing_is_something_is_asked_for_inside_of_the_slice() -> None:
    for seed in range(100):
        (prompt,), prompted = drawn_prompts(mask(), Jitter(0.5), np.random.default_rng(seed))
        assert not prompted.any()
        if prompt.box is not None:
            a0, b0, a1, b1 = prompt.box
            assert 0 <= a0 < a1 <= 20
            assert 0 <= b0 < b1 <= 30


def test_of_many_pieces_no_more_are_drawn_than_asked_for() -> None:
    there = mask(*((a, 0, a + 1, 1) for a in range(0, 20, 2)))
    counts = set()
    for seed in range(50):
        prompts, prompted = drawn_prompts(there, Jitter(most=3), np.random.default_rng(seed))
        assert len(prompts) == int(prompted.sum())
        counts.add(len(prompts))
    assert counts == {1, 2, 3}


def test_a_coarse_map_covers_the_square_around_a_slice() -> None:
    cells = np.zeros((8, 8), bool)
    cells[2, 3] = cells[7, 7] = True
    assert coarse_prompts(cells, (16, 32), 1.0) == [Prompt((7, 11, 13, 17))], "a cell is 4 voxels; row 7 is outside"


def test_a_prompt_says_something() -> None:
    with pytest.raises(ValueError, match="box or a point"):
        Prompt()
