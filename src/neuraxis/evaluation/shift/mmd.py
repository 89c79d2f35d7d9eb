"""Are two groups of cases drawn from one distribution: the maximum mean discrepancy, with a permutation test.

Gretton et al., "A kernel two-sample test", JMLR 13:723-773 (2012): the unbiased estimate of MMD² with a Gauss kernel,
whose width is the median distance of all cases to one another. It is 0 on average where both groups are alike, and can
be below 0. p is the share of random regroupings with an MMD² at least as large, the one observed among them. Where both
groups hold the same patients (the same heads on two scanners, or two channels of one scan), each patient's two rows
are exchanged or not; else all rows are dealt anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PERMUTATIONS = 2000
_SEED = 20_240_301
_CHUNK = 250


@dataclass(frozen=True)
class Discrepancy:
    """How far two groups are apart.

    Attributes:
        mmd2: the unbiased estimate of MMD²; about 0 where they are alike.
        p: of the permutation test, in (0, 1].
        width: of the kernel.
    """

    mmd2: float
    p: float
    width: float


def discrepancy(first: np.ndarray, second: np.ndarray, paired: bool = False) -> Discrepancy:
    """Compare two groups of rows.

    Args:
        first: (m, features), m at least 2.
        second: (n, features), n at least 2.
        paired: whether row k of both is of one patient; then m = n.

    >>> rows = np.arange(6.0)[:, None]
    >>> found = discrepancy(rows, rows + 100)
    >>> found.mmd2 > 0.5, found.p < 0.01
    (True, True)
    """
    if len(first) < 2 or len(second) < 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(f"Two rows of the same features are needed in each group, not {first.shape}, {second.shape}.")
    if paired and len(first) != len(second):
        raise ValueError(f"Pairs need as many rows on both sides, not {len(first)} and {len(second)}.")
    rows = np.concatenate([first, second]).astype(np.float64)
    squares = squared_distances(rows)
    width = median_distance(squares)
    kernel = np.exp(-squares / (2 * width**2))
    in_first = np.zeros(len(rows), dtype=bool)
    in_first[: len(first)] = True
    observed = float(mmd2_of(kernel, in_first[None])[0])
    chance = _regrouped(kernel, len(first), paired)
    p = (1 + int((chance >= observed - 1e-12).sum())) / (1 + len(chance))
    return Discrepancy(observed, p, width)


def mmd2_of(kernel: np.ndarray, in_first: np.ndarray) -> np.ndarray:
    """Return the unbiased MMD² of several groupings (Gretton et al., equation 3).

    Args:
        kernel: (N, N), of all rows with one another.
        in_first: (groupings, N), which rows are in the first group; the others are in the second.
    """
    inside = in_first.astype(np.float64)
    outside = 1 - inside
    m, n = inside.sum(axis=1), outside.sum(axis=1)
    off = kernel - np.diag(np.diag(kernel))
    to_first = inside @ off
    within_first = (to_first * inside).sum(axis=1) / (m * (m - 1))
    within_second = ((outside @ off) * outside).sum(axis=1) / (n * (n - 1))
    between = (to_first * outside).sum(axis=1) / (m * n)
    result: np.ndarray = within_first + within_second - 2 * between
    return result


def squared_distances(rows: np.ndarray) -> np.ndarray:
    """Return the squared Euclidean distances of all rows (N, features) to one another, (N, N), never below 0."""
    centred = rows - rows.mean(axis=0)
    sizes = (centred**2).sum(axis=1)
    squares: np.ndarray = np.maximum(sizes[:, None] + sizes - 2 * centred @ centred.T, 0.0)
    np.fill_diagonal(squares, 0.0)
    return squares


def median_distance(squares: np.ndarray) -> float:
    """Return the median distance of different rows; 1 where all are the same."""
    median = float(np.median(np.sqrt(squares[np.triu_indices(len(squares), 1)])))
    return median if median > 0 else 1.0


def _regrouped(kernel: np.ndarray, size: int, paired: bool) -> np.ndarray:
    """Return MMD² of random groupings; the draws depend on the sizes and a fixed seed alone."""
    count = len(kernel)
    key = np.array([_SEED, (count << 32) + 2 * size + paired], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key))
    found = []
    for _ in range(0, PERMUTATIONS, _CHUNK):
        if paired:
            swapped = generator.integers(0, 2, (_CHUNK, size)).astype(bool)
            groups = np.concatenate([~swapped, swapped], axis=1)
        else:
            groups = np.argsort(generator.random((_CHUNK, count)), axis=1) < size
        found.append(mmd2_of(kernel, groups))
    return np.concatenate(found)
