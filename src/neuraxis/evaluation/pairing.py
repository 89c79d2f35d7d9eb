"""Which predicted component belongs to which lesion, where each may have one partner alone.

Candidates are pairs whose IoU reaches the least, or whose centres of mass lie near enough. *Greedy*: the best candidate
is taken, then the best of those whose both sides are still free, and so on; of equal ones, that of the lesion and then
of the component that comes first. *Optimal*: as many pairs as can be and, of all such choices, the one with the largest
sum of IoUs or the smallest sum of distances (Kuhn 1955, as scipy solves it).
"""

from __future__ import annotations

import numpy as np

from neuraxis.evaluation.components import Components
from neuraxis.evaluation.rules import LesionMatching


def pair_one_to_one(parts: Components, matching: LesionMatching) -> np.ndarray:
    """Return the pairs (N, 2) of places: the lesion's, the predicted component's.

    >>> import numpy as np
    >>> from neuraxis.evaluation.components import find_components
    >>> lesions = np.zeros((12, 1, 1), bool); lesions[[1, 2, 3, 4, 7]] = True
    >>> predicted = np.zeros((12, 1, 1), bool); predicted[[2, 3, 4, 6, 7]] = True
    >>> pair_one_to_one(find_components(predicted, lesions), LesionMatching(by="iou", min_iou=0.5)).tolist()
    [[0, 0], [1, 1]]
    """
    if matching.by == "iou":
        near = parts.ious >= matching.min_iou
        candidates, costs = parts.pairs[near], 1 - parts.ious[near]
    else:
        candidates, costs = _near(parts, matching.max_distance_mm)
    if not len(candidates):
        return np.zeros((0, 2), np.int64)
    return _greedy(candidates, costs) if matching.pairing == "greedy" else _optimal(candidates, costs)


def _near(parts: Components, farthest_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs whose centres lie near enough, and their distances in mm."""
    from scipy.spatial import cKDTree

    centres = parts.reference_centres_mm, parts.predicted_centres_mm
    if not len(centres[0]) or not len(centres[1]):
        return np.zeros((0, 2), np.int64), np.zeros(0)
    trees = [cKDTree(one) for one in centres]
    found = trees[0].sparse_distance_matrix(trees[1], farthest_mm + 1e-9, output_type="coo_matrix")
    return np.stack([found.row, found.col], axis=1).astype(np.int64), found.data


def _greedy(candidates: np.ndarray, costs: np.ndarray) -> np.ndarray:
    chosen: list[tuple[int, int]] = []
    taken: tuple[set[int], set[int]] = (set(), set())
    for place in np.lexsort((candidates[:, 1], candidates[:, 0], costs)):
        lesion, component = (int(value) for value in candidates[place])
        if lesion not in taken[0] and component not in taken[1]:
            taken[0].add(lesion)
            taken[1].add(component)
            chosen.append((lesion, component))
    return np.array(sorted(chosen), np.int64)


def _optimal(candidates: np.ndarray, costs: np.ndarray) -> np.ndarray:
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(candidates[:, 0], return_inverse=True)
    columns, column = np.unique(candidates[:, 1], return_inverse=True)
    largest = max(float(costs.max()), 1e-9)
    far = float(min(len(rows), len(columns)) + 1)  # one pair more is worth more than all costs together
    table = np.full((len(rows), len(columns)), far)
    table[row, column] = costs / largest
    chosen = np.stack(linear_sum_assignment(table), axis=1)
    kept = chosen[table[chosen[:, 0], chosen[:, 1]] < far]
    return np.stack([rows[kept[:, 0]], columns[kept[:, 1]]], axis=1)
