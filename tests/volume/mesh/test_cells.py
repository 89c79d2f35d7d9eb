from __future__ import annotations

import numpy as np

from neuraxis.volume.mesh.cells import EDGES, STEPS, triangle_table


def middles(edges: np.ndarray) -> np.ndarray:
    """Where edges are crossed, in a cell of side 1."""
    starts = np.array([[bool(corner & step) for step in STEPS] for _, corner in EDGES], float)
    return (starts + 0.5 * np.eye(3)[[axis for axis, _ in EDGES]])[edges]


def test_a_single_corner_is_cut_off_by_one_triangle_that_looks_away_from_it() -> None:
    counts, table = triangle_table()
    for corner in range(8):
        assert counts[1 << corner] == 1
        a, b, c = middles(table[1 << corner, 0])
        away = np.array([0.5 - bool(corner & step) for step in STEPS])
        assert np.cross(b - a, c - a) @ away > 0


def test_what_is_wholly_inside_or_outside_has_no_surface_and_a_wall_is_flat() -> None:
    counts, table = triangle_table()
    assert counts[0] == counts[255] == 0
    assert counts.max() == 5
    wall = middles(table[0b00001111, : counts[0b00001111]].astype(int))  # the four corners with x = 0
    assert counts[0b00001111] == 2
    assert (wall[..., 0] == 0.5).all()


def test_every_crossed_edge_is_a_corner_of_the_surface_and_no_other_is() -> None:
    counts, table = triangle_table()
    for code in range(256):
        crossed = {
            number
            for number, (axis, corner) in enumerate(EDGES)
            if (code >> corner & 1) != (code >> (corner | STEPS[axis]) & 1)
        }
        assert set(table[code, : counts[code]].ravel().tolist()) == crossed
