"""A centre-line: one place in each slice, as likely as can be and never far from that of the slice before.

It is found by dynamic programming over all slices (Viterbi 1967), as spinal cord centre-lines are (Gros et al. 2018,
Medical Image Analysis 44:215).
"""

from __future__ import annotations

import itertools

import numpy as np

REACH, COST = 3, 0.5


def centre_line(logits: np.ndarray) -> list[tuple[int, int]]:
    """Find the line.

    Args:
        logits: (N, G, H), how likely the structure is in each cell of each slice.

    Returns:
        The cell (row, column) in each slice.

    >>> logits = np.full((3, 4, 4), -5.0); logits[0, 1, 1] = logits[1, 1, 2] = logits[2, 2, 2] = 5
    >>> centre_line(logits)
    [(1, 1), (1, 2), (2, 2)]
    """
    gains = -np.logaddexp(0, -logits.astype(np.float64))
    shifts = list(itertools.product(range(-REACH, REACH + 1), repeat=2))
    best, came = gains[0], []
    for gain in gains[1:]:
        reached = np.stack([_shifted(best, a, b) - COST * (a * a + b * b) ** 0.5 for a, b in shifts])
        came.append(reached.argmax(axis=0))
        best = reached.max(axis=0) + gain
    row, column = (int(place) for place in np.unravel_index(int(best.argmax()), best.shape))
    line = [(row, column)]
    for steps in reversed(came):
        a, b = shifts[int(steps[row, column])]
        row, column = row - a, column - b
        line.append((row, column))
    return line[::-1]


def _shifted(values: np.ndarray, a: int, b: int) -> np.ndarray:
    """Return values moved by (a, b); what comes from outside is out of reach."""
    rows, columns = values.shape
    moved = np.full(values.shape, -np.inf)
    moved[max(0, a) : rows + min(0, a), max(0, b) : columns + min(0, b)] = values[
        max(0, -a) : rows + min(0, -a), max(0, -b) : columns + min(0, -b)
    ]
    return moved
