"""Where two scans lie to one another, roughly, however they lie: many positions are tried at large voxels.

Positions are compared by normalised mutual information (C. Studholme, D. L. G. Hill and D. J. Hawkes, Pattern Recognit
32:71-86, 1999), which does not rise where less of the scans overlaps, and the best ones are followed by Powell's method
(Comput J 7:155-162, 1964), which looks along whole lines and steps over small hills.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from neuraxis.registration.level import Level
from neuraxis.registration.transform import IDENTITY, Transform

RIGID, AFFINE = 6, 12
_BINS = 24
_TURNS_DEG = (-25.0, 0.0, 25.0)
_FOLLOWED = 6
_SHIFT_MM, _TURN_RAD, _STRETCH = 8.0, 0.1, 0.1


class Search:
    """Two scans whose position to one another is looked for.

    Args:
        moving: the scan that is moved.
        fixed: the scan that stays; its head and what lies around it is looked at.
    """

    def __init__(self, moving: Level, fixed: Level) -> None:
        places = np.argwhere(fixed.head)
        self._points = fixed.grid.affine @ np.column_stack([places, np.ones(len(places))]).T
        self._fixed = _binned(fixed.array)[fixed.head] * _BINS
        self._moving, self._grid = _unit(moving.array) * _BINS, moving.grid
        self.centre_mm = fixed.centre_mm
        self._to_middle = Transform(shifted(fixed.centre_mm - moving.centre_mm))

    def best(self, freedom: int) -> Transform:
        """Return the best position with so many numbers free: 6 turn and shift, 12 also scale and shear."""
        starts = list(self._starts())
        scores = [self.score(start) for start in starts]
        order = sorted(range(2, len(starts)), key=lambda place: -scores[place])[:_FOLLOWED]
        found = [self.follow(starts[place], RIGID) for place in (0, 1, *order)]
        if freedom > RIGID:
            found = [self.follow(start, freedom) for start in found]
        return max(found, key=self.score)

    def score(self, transform: Transform) -> float:
        """Return the normalised mutual information at a position, from 1 up; beyond the moving scan there is air."""
        from scipy import ndimage

        places = (np.linalg.inv(self._grid.affine) @ transform.inverse.matrix @ self._points)[:3]
        values = ndimage.map_coordinates(self._moving, places, order=1, mode="constant", cval=0.0, prefilter=False)
        pairs = self._fixed + np.minimum(values.astype(np.intp), _BINS - 1)
        joint = np.bincount(pairs, minlength=_BINS * _BINS).reshape(_BINS, _BINS) / len(pairs)
        together = entropy(joint)
        return (entropy(joint.sum(axis=0)) + entropy(joint.sum(axis=1))) / together if together else 1.0

    def follow(self, start: Transform, freedom: int) -> Transform:
        """Go uphill from a position."""
        from scipy import optimize

        done = optimize.minimize(
            lambda numbers: -self.score(self._moved(start, numbers)),
            np.zeros(freedom),
            method="Powell",
            options={"maxiter": 4, "xtol": 0.02, "ftol": 1e-5},
        )
        return self._moved(start, done.x)

    def _starts(self) -> Iterator[Transform]:
        """Yield the header's position, the middles of the heads on one another, and both turned."""
        yield IDENTITY
        yield self._to_middle
        for degrees in itertools.product(_TURNS_DEG, repeat=3):
            if any(degrees):
                turn = about(self.centre_mm, rotation(np.radians(degrees)))
                yield self._to_middle.then(turn)
                yield turn

    def _moved(self, start: Transform, numbers: np.ndarray) -> Transform:
        """Return a position changed by shifts, turns, and where there are twelve numbers scales and shears."""
        matrix = rotation(numbers[3:6] * _TURN_RAD)
        if len(numbers) > RIGID:
            slant = np.eye(3)
            slant[0, 1], slant[0, 2], slant[1, 2] = numbers[9:] * _STRETCH
            matrix = matrix @ slant @ np.diag(np.exp(numbers[6:9] * _STRETCH))
        return start.then(about(self.centre_mm, matrix)).then(Transform(shifted(numbers[:3] * _SHIFT_MM)))


def shifted(by_mm: np.ndarray) -> np.ndarray:
    """Return the matrix (4, 4) of a shift."""
    matrix = np.eye(4)
    matrix[:3, 3] = by_mm
    return matrix


def about(centre_mm: np.ndarray, matrix: np.ndarray) -> Transform:
    """Return what a matrix (3, 3) does about a point that stays."""
    whole = np.eye(4)
    whole[:3, :3] = matrix
    whole[:3, 3] = centre_mm - matrix @ centre_mm
    return Transform(whole)


def rotation(angles_rad: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles_rad):
        one, other = ((1, 2), (2, 0), (0, 1))[axis]
        turn = np.eye(3)
        turn[one, one] = turn[other, other] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def entropy(distribution: np.ndarray) -> float:
    """Return the entropy of probabilities that add up to 1."""
    held = distribution[distribution > 0]
    return float(-(held * np.log(held)).sum())


def _unit(array: np.ndarray) -> np.ndarray:
    """Return an array scaled to 0..1."""
    low, high = float(array.min()), float(array.max())
    return (array - np.float32(low)) / np.float32(high - low if high > low else 1)


def _binned(array: np.ndarray) -> np.ndarray:
    return np.minimum((_unit(array) * _BINS).astype(np.intp), _BINS - 1)
