"""Which vertebra each body is: the assignment that contradicts the network least, found by dynamic programming.

From head to feet the levels rise by one from body to body; by more only where the gap is wide enough for the vertebrae
between. A body that the network took for its neighbour costs 1, for one two levels away 2, and so on up to `FARTHEST`.
Levels before the first and after the last name are there too, so that a body too many is not forced into a name; they
cost `OUTSIDE` more, as the network saw a vertebra of the list. A body about twice as large as its neighbours may be two
that touch under one name: both ways are tried.

Nobody can know, and a body is unknown, where another assignment of it would cost hardly more, where it is two, and
everywhere if the best assignment is still more than `CREDIBLE` levels away from the network on average.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

FARTHEST = 3.0
OUTSIDE = 2.0
MARGIN = 0.5
CREDIBLE = 1.0
ROOM = 0.4  # a jump over one needs a gap of 2 - ROOM usual ones
WIDEST_MM = 35.0  # between neighbours of a large adult; for two bodies alone
TWICE = 1.5  # times its neighbours' size: it may be two
MOST_DOUBLE = 3
_NEIGHBOURS = 3


@dataclass(frozen=True, eq=False)
class _Answer:
    """The best assignment for one guess of which bodies are two: levels (N,), -1 unknown, and what it costs."""

    levels: np.ndarray
    cost: float


def order(votes: np.ndarray, gaps_mm: np.ndarray, sizes: np.ndarray | None = None) -> np.ndarray:
    """Return the level of each body, from 0 on; -1 where it is unknown.

    Args:
        votes: how many voxels of each body have which label, (N, L), both in the order of the spine.
        gaps_mm: distances from each body to the next, (N - 1,).
        sizes: volume of each body in any unit, (N,); left out, all are alike.

    >>> permuted = np.eye(5)[[0, 2, 1, 3]]
    >>> order(permuted, np.full(3, 18.0)).tolist()
    [0, 1, 2, 3]
    >>> doubled = np.eye(5)[[1, 1]]
    >>> order(doubled, np.array([18.0])).tolist()
    [-1, -1]
    """
    if not len(votes):
        return np.zeros(0, np.int64)
    ratios = _to_neighbours(np.ones(len(votes)) if sizes is None else sizes)
    large = [int(body) for body in np.argsort(-ratios)[:MOST_DOUBLE] if ratios[body] >= TWICE]
    answers = []
    for guess in itertools.product((1, 2), repeat=len(large)):
        parts = np.ones(len(votes), np.int64)
        parts[large] = guess
        answers.append(_answer(votes, gaps_mm, parts, float(np.abs(ratios[large] - guess).sum())))
    best = min(answers, key=lambda answer: answer.cost)
    found = best.levels
    for other in answers:
        if other.cost < best.cost + MARGIN:
            found = np.where(other.levels == best.levels, found, -1)
    return found


def usual_gaps(gaps_mm: np.ndarray) -> np.ndarray:
    """Return the distance that two neighbours should have at each gap: the median of the gaps around it."""
    if len(gaps_mm) == 1:
        return np.array([WIDEST_MM])
    around = []
    for place in range(len(gaps_mm)):
        low, high = max(0, place - _NEIGHBOURS), place + _NEIGHBOURS + 1
        around.append(float(np.median(np.concatenate([gaps_mm[low:place], gaps_mm[place + 1 : high]]))))
    return np.array(around)


def _to_neighbours(sizes: np.ndarray) -> np.ndarray:
    """Return how many times as large as the median of its two neighbours on each side every body is."""
    found = []
    for place, size in enumerate(sizes):
        around = np.concatenate([sizes[max(0, place - 2) : place], sizes[place + 1 : place + 3]])
        found.append(float(size / np.median(around)) if len(around) else 1.0)
    return np.array(found)


def _answer(votes: np.ndarray, gaps_mm: np.ndarray, parts: np.ndarray, surprise: float) -> _Answer:
    """Assign levels where each body is so many vertebrae; of those that are two each counts half."""
    names, owner = votes.shape[1], np.repeat(np.arange(len(votes)), parts)
    levels = np.arange(-len(owner), names + len(owner))
    costs = _disagreement(votes, levels)[owner] / parts[owner][:, None]
    steps = _steps(_gaps_between(gaps_mm, parts), len(levels))
    above, below = _costs_from(costs, steps), _costs_from(costs[::-1], steps[::-1].swapaxes(1, 2))[::-1]
    total = above + below - costs
    best, least = total.argmin(axis=1), float(total.min())
    others = total.copy()
    others[np.arange(len(owner)), best] = np.inf
    sure = others.min(axis=1) - total.min(axis=1) >= MARGIN
    found, first = levels[best], np.searchsorted(owner, np.arange(len(votes)))
    named = sure & (found >= 0) & (found < names) & (parts[owner] == 1)
    is_credible = costs[np.arange(len(owner)), best].sum() <= CREDIBLE * len(votes)
    return _Answer(np.where(named & is_credible, found, -1)[first], least + surprise)


def _gaps_between(gaps_mm: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return the gaps between all vertebrae, where a body of two has its halves as far apart as usual."""
    halves = (parts[:-1] + parts[1:]) / 2  # usual gaps from one body's centre to the next one's
    single = gaps_mm / halves
    between: list[float] = []
    for body, count in enumerate(parts.tolist()):
        beside = single[max(0, body - 1) : body + 1]
        between += [float(beside.mean()) if len(beside) else WIDEST_MM] * (count - 1)
        between += [float(single[body])] if body < len(single) else []
    return np.array(between)


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
