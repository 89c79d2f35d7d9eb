"""Which vertebra each body is: the assignment that contradicts the network least, found by dynamic programming.

From head to feet the levels rise by one from body to body; by more only where the gap is wide enough for the vertebrae
between. A body that the network took for its neighbour costs 1, for one two levels away 2, and so on up to `FARTHEST`.
Levels before the first and after the last name are there too, so that a body too many is not forced into a name; they
cost `OUTSIDE` more, as the network saw a vertebra of the list. Where another assignment of a body would cost hardly
more, nobody can know, and the body is unknown.
"""

from __future__ import annotations

import numpy as np

FARTHEST = 3.0
OUTSIDE = 2.0
MARGIN = 0.5
ROOM = 0.4  # a jump over one needs a gap of 2 - ROOM usual ones
WIDEST_MM = 35.0  # between neighbours of a large adult; for two bodies alone
_NEIGHBOURS = 3


def order(votes: np.ndarray, gaps_mm: np.ndarray) -> np.ndarray:
    """Return the level of each body, from 0 on; -1 where it is unknown.

    Args:
        votes: how many voxels of each body have which label, (N, L), both in the order of the spine.
        gaps_mm: distances from each body to the next, (N - 1,).

    >>> permuted = np.eye(5)[[0, 2, 1, 3]]
    >>> order(permuted, np.full(3, 18.0)).tolist()
    [0, 1, 2, 3]
    >>> doubled = np.eye(5)[[1, 1]]
    >>> order(doubled, np.array([18.0])).tolist()
    [-1, -1]
    """
    bodies, names = votes.shape
    if not bodies:
        return np.zeros(0, np.int64)
    levels = np.arange(-bodies, names + bodies)
    costs = _disagreement(votes, levels)
    steps = _steps(gaps_mm, len(levels))
    above, below = _costs_from(costs, steps), _costs_from(costs[::-1], steps[::-1].swapaxes(1, 2))[::-1]
    total = above + below - costs
    best = total.argmin(axis=1)
    others = total.copy()
    others[np.arange(bodies), best] = np.inf
    sure = others.min(axis=1) - total.min(axis=1) >= MARGIN
    found = levels[best]
    return np.where(sure & (found >= 0) & (found < names), found, -1)


def usual_gaps(gaps_mm: np.ndarray) -> np.ndarray:
    """Return the distance that two neighbours should have at each gap: the median of the gaps around it."""
    if len(gaps_mm) == 1:
        return np.array([WIDEST_MM])
    around = []
    for place in range(len(gaps_mm)):
        low, high = max(0, place - _NEIGHBOURS), place + _NEIGHBOURS + 1
        around.append(float(np.median(np.concatenate([gaps_mm[low:place], gaps_mm[place + 1 : high]]))))
    return np.array(around)


def _disagreement(votes: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return what it costs to give each body each level, (N, levels)."""
    shares = votes / votes.sum(axis=1, keepdims=True)
    distance = np.abs(np.arange(votes.shape[1])[:, None] - levels[None])
    outside = (levels < 0) | (levels >= votes.shape[1])
    costs: np.ndarray = shares @ np.minimum(distance, FARTHEST) + OUTSIDE * outside
    return costs


def _steps(gaps_mm: np.ndarray, count: int) -> np.ndarray:
    """Return what it costs to go from one level to another at each gap, (N - 1, levels, levels)."""
    level = np.arange(count)
    step = level[None, :] - level[:, None]
    costs = []
    for gap, usual in zip(gaps_mm, usual_gaps(gaps_mm) if len(gaps_mm) else [], strict=True):
        wide = gap / usual
        room = (step == 1) | ((step > 1) & (wide >= step - ROOM))
        costs.append(np.where(room, np.maximum(0.0, np.abs(step - max(wide, 1.0)) - ROOM), np.inf))
    return np.array(costs).reshape(-1, count, count)


def _costs_from(costs: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return the least cost of all bodies up to each, for each of its levels, (N, levels)."""
    least = [costs[0]]
    for here, step in zip(costs[1:], steps, strict=True):
        least.append(here + (least[-1][:, None] + step).min(axis=0))
    return np.array(least)
