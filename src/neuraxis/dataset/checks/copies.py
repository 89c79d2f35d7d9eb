"""Finding scans that are copies of one another, among many: first by their sketches, then voxel by voxel.

Points of interest that look alike in two scans propose how one lies on the other: which axes are mirrored, and by how
much it is shifted. Where several propose the same, both scans are read again, laid on one another, and the correlation
of their details decides. Thresholds were chosen from measured distributions (decision 0027).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from neuraxis.dataset.checks.sketch import Sketch, Triple, detail, shrink

ALIKE = 0.45  # distance of two descriptions
NEIGHBOURS = 9  # a point itself and its nearest
VOTES = 3
TOGETHER = 1.5  # voxels of a level by which proposals of one placement differ
LIKENESS = 0.88
DOUBTFUL = 0.6, 0.97
MOST_VOXELS = 2**24  # of a level on which details are compared
LEAST_OVERLAP = 0.3  # of the smaller scan
BORDER = 3  # voxels that are not compared: there a shifted scan has no neighbours
DIRECTIONS = 8
SAME_MOMENTS = 1e-4
_MIRRORS = tuple(product((1, -1), repeat=3))


@dataclass(frozen=True)
class Copy:
    """Two scans that show the same.

    Attributes:
        first: number of the one.
        second: number of the other, larger.
        likeness: correlation of their details, in [0, 1].
        how: in words, such as "mirrored along x".
    """

    first: int
    second: int
    likeness: float
    how: str = ""


class Placement(NamedTuple):
    """How the second scan lies on the first, on a level: place = mirror * place of the first + shift."""

    factor: Triple
    mirror: Triple
    shift: np.ndarray
    votes: int


Read = Callable[[int], np.ndarray]


def find_copies(sketches: Sequence[Sketch | None], groups: Sequence[object], read: Read) -> Iterator[Copy]:
    """Yield the pairs of scans that are copies of one another, by rising numbers.

    Args:
        sketches: of every scan; None where there is none.
        groups: what each scan belongs to; within one group none are compared.
        read: gives the image (X, Y, Z) of a number again.
    """
    proposed = propose(sketches, groups)
    turned = _same_moments(sketches, groups)
    held: dict[int, np.ndarray] = {}
    for first, second in sorted({*proposed, *turned}):
        held = {number: array for number, array in held.items() if number == first}
        for number in (first, second):
            if number not in held:
                held[number] = read(number)
        likeness, how = compare(held[first], held[second], proposed.get((first, second)))
        if likeness < LIKENESS and (first, second) in turned:
            likeness, how = compare_turned(held[first], held[second])
        if likeness >= LIKENESS:
            yield Copy(first, second, likeness, how)


def propose(sketches: Sequence[Sketch | None], groups: Sequence[object]) -> dict[tuple[int, int], Placement]:
    """Return the pairs whose points of interest agree on a placement, each with the one that most propose."""
    best: dict[tuple[int, int], Placement] = {}
    factors = {level.factor for seen in sketches if seen for level in seen.levels}
    for factor in sorted(factors):
        for pair, (here, there) in _matches(sketches, groups, factor).items():
            placement = _agreed(factor, here, there)
            if placement is not None and (pair not in best or placement.votes > best[pair].votes):
                best[pair] = placement
    return best


def compare(first: np.ndarray, second: np.ndarray, placement: Placement | None) -> tuple[float, str]:
    """Return the correlation of two images (X, Y, Z) laid on one another as proposed, and how they lie, in words.

    It is computed on the level of the proposal; where that leaves a doubt, on finer ones, where patients differ more.
    """
    if placement is None:
        return 0.0, ""
    flipped = second[tuple(slice(None, None, sign) for sign in placement.mirror)]
    mirrored, factor = np.array(placement.mirror) < 0, np.array(placement.factor)
    shift = np.where(mirrored, np.array(second.shape) - factor * (1 + placement.shift), factor * placement.shift)
    while True:
        x, y, z = factor.tolist()
        likeness, shift = _best_nearby(first, flipped, (x, y, z), shift)
        done = factor.max() == 1 or math.prod(first.shape) / math.prod(factor) > MOST_VOXELS
        if done or not DOUBTFUL[0] <= likeness < DOUBTFUL[1]:
            return likeness, _in_words(mirrored, shift, first.shape, second.shape)
        factor = np.maximum(1, factor // 2)


def compare_turned(first: np.ndarray, second: np.ndarray) -> tuple[float, str]:
    """Return the correlation of two images voxel by voxel, in the best of the 48 ways to turn and mirror one."""
    likeness, words = 0.0, ""
    for axes in permutations(range(3)):
        turned = second.transpose(axes)
        if turned.shape != first.shape:
            continue
        for mirror in _MIRRORS:
            value = _pearson(first, turned[tuple(slice(None, None, sign) for sign in mirror)])
            if value > likeness:
                likeness = value
                words = "the axes are turned" if axes != (0, 1, 2) else _in_words(np.array(mirror) < 0, np.zeros(3))
    return likeness, words


def _matches(
    sketches: Sequence[Sketch | None], groups: Sequence[object], factor: Triple
) -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """Return for each pair of scans the places of points that look alike, in the one and in the other."""
    found = [
        (number, level) for number, seen in enumerate(sketches) if seen for level in seen.levels
        if level.factor == factor and len(level.places)
    ]  # fmt: skip
    if len(found) < 2:
        return {}
    owner = np.concatenate([np.full(len(level.places), number) for number, level in found])
    places = np.concatenate([level.places for _, level in found])
    around = np.concatenate([level.around for _, level in found])
    mine, theirs = _neighbours(around)
    names = np.unique(np.array([hash(group) for group in groups]), return_inverse=True)[1]
    kept = names[owner[mine]] != names[owner[theirs]]
    mine, theirs = mine[kept], theirs[kept]
    swapped = owner[mine] > owner[theirs]
    mine, theirs = np.where(swapped, theirs, mine), np.where(swapped, mine, theirs)
    pairs = np.unique(np.stack([owner[mine], owner[theirs], mine, theirs], axis=1), axis=0)
    starts = np.flatnonzero(np.any(np.diff(pairs[:, :2], axis=0, prepend=-1), axis=1))
    matches = {}
    for part in np.split(pairs, starts[1:]) if len(pairs) else ():
        if len(part) >= VOTES:
            matches[int(part[0, 0]), int(part[0, 1])] = places[part[:, 2]], places[part[:, 3]]
    return matches


def _neighbours(around: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of points and of their nearest, no further than `ALIKE`.

    They are searched for in the few directions in which descriptions differ most, where distances are never longer.
    """
    middle = around - around.mean(axis=0)
    directions = np.linalg.eigh(middle.T @ middle)[1][:, -DIRECTIONS:]
    spread = np.ascontiguousarray(middle @ directions)
    nearest = cKDTree(spread).query(spread, k=min(NEIGHBOURS, len(spread)), distance_upper_bound=ALIKE)[1]
    mine, theirs = np.repeat(np.arange(len(around)), nearest.shape[1]), nearest.reshape(-1)
    kept = (theirs < len(around)) & (theirs != mine)
    mine, theirs = mine[kept], theirs[kept]
    alike = ((around[mine] - around[theirs]) ** 2).sum(axis=1) <= ALIKE**2
    return mine[alike], theirs[alike]


def _agreed(factor: Triple, here: np.ndarray, there: np.ndarray) -> Placement | None:
    """Return the placement that most matches (N, 3) propose, or None where fewer than `VOTES` agree."""
    best: Placement | None = None
    for mirror in _MIRRORS:
        shifts = there - here * np.array(mirror, np.float32)
        apart = np.abs(shifts[:, None] - shifts[None]).max(axis=2) <= TOGETHER
        centre = int(apart.sum(axis=1).argmax())
        votes = int(min(len(np.unique(part[apart[centre]], axis=0)) for part in (here, there)))
        if votes >= VOTES and (best is None or votes > best.votes):
            x, y, z = mirror
            best = Placement(factor, (x, y, z), np.median(shifts[apart[centre]], axis=0), votes)
    return best


def _same_moments(sketches: Sequence[Sketch | None], groups: Sequence[object]) -> set[tuple[int, int]]:
    """Return the pairs that hold as many voxels along the axes, in any order, of the same distribution."""
    by_sides: dict[Triple, list[int]] = {}
    for number, seen in enumerate(sketches):
        if seen is not None:
            by_sides.setdefault(seen.sides, []).append(number)
    pairs = set()
    for numbers in by_sides.values():
        moments = np.array([seen.moments for number in numbers if (seen := sketches[number])])
        for one, other in cKDTree(moments).query_pairs(SAME_MOMENTS):
            first, second = sorted((numbers[one], numbers[other]))
            if groups[first] != groups[second]:
                pairs.add((first, second))
    return pairs


def _best_nearby(first: np.ndarray, second: np.ndarray, factor: Triple, shift: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the best correlation of details a voxel of the level around a shift, and the shift that gives it."""
    one, other = detail(shrink(first, factor))[1], detail(shrink(second, factor))[1]
    nearest = np.rint(shift / factor).astype(int)
    steps = [nearest + step for step in product((-1, 0, 1), repeat=3)]
    values = [_correlation(one, other, step) for step in steps]
    best = int(np.argmax(values))
    return values[best], steps[best] * factor


def _correlation(one: np.ndarray, other: np.ndarray, shift: np.ndarray) -> float:
    """Return the correlation where `other`, moved back by `shift` voxels, and `one` overlap; 0 where that is little."""
    starts = np.maximum(0, -shift)
    stops = np.minimum(one.shape, np.array(other.shape) - shift)
    if (stops <= starts).any() or np.prod(stops - starts) < LEAST_OVERLAP * min(one.size, other.size):
        return 0.0
    inner = [
        (start + margin, stop - margin)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
        for margin in [min(BORDER, (stop - start - 1) // 4)]
    ]
    part = one[tuple(slice(start, stop) for start, stop in inner)]
    moved = zip(inner, shift.tolist(), strict=True)
    return _pearson(part, other[tuple(slice(start + by, stop + by) for (start, stop), by in moved)])


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    a, b = (array.astype(np.float32) - np.float32(array.mean(dtype=np.float64)) for array in (one, other))
    size = float(np.sqrt(np.vdot(a, a).astype(np.float64) * np.vdot(b, b)))
    return float(np.vdot(a, b)) / size if size > 0 else 0.0


def _in_words(mirrored: np.ndarray, shift: np.ndarray, shape: tuple[int, ...] = (), other: tuple[int, ...] = ()) -> str:
    names = [name for name, is_mirrored in zip("xyz", mirrored, strict=True) if is_mirrored]
    words = [f"mirrored along {' and '.join(names)}"] if names else []
    if other != shape:
        words.append("cropped")
    elif shift.any():
        words.append(f"shifted by {', '.join(f'{step:g}' for step in shift)} voxels")
    return " and ".join(words)
