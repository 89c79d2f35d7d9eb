"""The bodies in a segmentation of vertebrae, from head to feet along the spine's centre-line.

A body is a component of one label. Crumbs go to the body that they touch, and bodies that lie too close together to be
two vertebrae are joined: halves of one under two names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from neuraxis.evaluation.boxes import bounding_box
from neuraxis.evaluation.components import components
from neuraxis.volume.grid import Grid

CRUMB = 0.1  # of the usual volume: less is no vertebra
CUT_CRUMB = 0.02  # the same at the scan's border, which may cut through one
CLOSEST_MM = 6.0  # no two vertebrae lie closer together, not even a small child's
CLOSEST = 0.5  # nor closer than this share of the usual distance
_SAMPLES = 512


@dataclass(frozen=True, eq=False)
class Body:
    """One vertebra, or what the network took for one.

    Attributes:
        parts: numbers of its pieces in the map of all pieces.
        voxels: how many of each label, (L,), in the order of the labels along the spine.
        centre_mm: its centre of mass in the scan's world (RAS), (3,).
        at_border: whether it reaches the scan's border.
    """

    parts: tuple[int, ...]
    voxels: np.ndarray
    centre_mm: np.ndarray
    at_border: bool

    @property
    def size(self) -> int:
        """Its voxels."""
        return int(self.voxels.sum())

    def with_crumb(self, crumb: Body) -> Body:
        """Return it with a crumb, which does not move its centre and has no say in its name."""
        return Body((*self.parts, *crumb.parts), self.voxels, self.centre_mm, self.at_border or crumb.at_border)

    def joined(self, other: Body) -> Body:
        """Return both as one."""
        sizes = np.array([self.size, other.size], float)
        centre = np.average([self.centre_mm, other.centre_mm], axis=0, weights=sizes)
        return Body((*self.parts, *other.parts), self.voxels + other.voxels, centre, self.at_border or other.at_border)


@dataclass(frozen=True, eq=False)
class Spine:
    """The bodies of a segmentation.

    Attributes:
        bodies: from head to feet.
        places_mm: where each lies along the centre-line, (N,).
        pieces: number of the piece that each voxel belongs to, (X, Y, Z); 0 is none.
        crumbs: numbers of pieces that belong to no body.
    """

    bodies: tuple[Body, ...]
    places_mm: np.ndarray
    pieces: np.ndarray
    crumbs: tuple[int, ...]

    @property
    def gaps_mm(self) -> np.ndarray:
        """The distance from each body to the next, (N - 1,)."""
        return np.diff(self.places_mm)


def find_spine(label_map: np.ndarray, numbers: Sequence[int], grid: Grid) -> Spine:
    """Find the bodies and bring them into order.

    Args:
        label_map: label numbers (X, Y, Z).
        numbers: of the vertebrae, in the order of the spine.
        grid: of the label map.
    """
    pieces, found = _pieces(label_map, numbers, grid)
    usual = float(np.median(_largest_of_each(found))) if found else 0.0
    bodies = {b.parts[0]: b for b in found if b.size >= usual * (CUT_CRUMB if b.at_border else CRUMB)}
    crumbs = []
    for crumb in found:
        if crumb.parts[0] in bodies:
            continue
        host = _touched(pieces, crumb.parts[0], bodies)
        if host:
            bodies[host] = bodies[host].with_crumb(crumb)
        else:
            crumbs.append(crumb.parts[0])
    ordered, places = _joined_where_close(list(bodies.values()))
    return Spine(tuple(ordered), places, pieces, tuple(crumbs))


def places_along(centres_mm: np.ndarray) -> np.ndarray:
    """Return where points lie along the smooth line through them, in mm from the one nearest to the head.

    The line is a parabola over the points' first principal axis, which bends as a neck or a back does.

    Args:
        centres_mm: (N, 3), x to the right, y to the front, z to the head.

    >>> places_along(np.array([[0.0, 0, 10], [0, 0, 30], [0, 0, 25]])).round(1).tolist()
    [20.0, 0.0, 5.0]
    """
    if len(centres_mm) < 2:
        return np.zeros(len(centres_mm))
    middle = centres_mm.mean(axis=0)
    axis = np.linalg.svd(centres_mm - middle)[2][0]
    axis = -axis if axis[2] > 0 else axis
    along = (centres_mm - middle) @ axis
    degree = min(2, len(centres_mm) - 1)
    line = np.polynomial.polynomial.polyfit(along, centres_mm, degree)
    samples = np.linspace(along.min(), along.max(), _SAMPLES)
    points = np.polynomial.polynomial.polyval(samples, line).T  # (S, 3)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    nearest = np.linalg.norm(points[None] - centres_mm[:, None], axis=2).argmin(axis=1)
    places: np.ndarray = lengths[nearest] - lengths[nearest].min()
    return places


def _pieces(label_map: np.ndarray, numbers: Sequence[int], grid: Grid) -> tuple[np.ndarray, list[Body]]:
    """Number the components of every label, and measure them."""
    pieces = np.zeros(label_map.shape, np.int32)
    found: list[Body] = []
    boxes = ndimage.find_objects(label_map.astype(np.int32, copy=False))
    for place, number in enumerate(numbers):
        box = boxes[number - 1] if 0 < number <= len(boxes) else None
        if box is None:
            continue
        owner, count = components(label_map[box] == number)
        first, corner = len(found) + 1, np.array([one.start for one in box])
        pieces[box] = np.where(owner > 0, owner.astype(np.int32) + first - 1, pieces[box])
        sizes = np.bincount(owner.ravel(), minlength=count + 1)[1:]
        centres = ndimage.center_of_mass(owner > 0, owner, range(1, count + 1)) if count else []
        for piece, (size, centre, own) in enumerate(zip(sizes, centres, ndimage.find_objects(owner), strict=True)):
            votes = np.zeros(len(numbers), np.int64)
            votes[place] = size
            world = grid.affine @ np.array([*(corner + centre), 1.0])
            ends = [(c + one.start, c + one.stop) for c, one in zip(corner, own, strict=True)]
            at_border = any(a == 0 or b == n for (a, b), n in zip(ends, label_map.shape, strict=True) if n > 1)
            found.append(Body((first + piece,), votes, world[:3], at_border))
    return pieces, found


def _largest_of_each(found: Iterable[Body]) -> list[int]:
    largest: dict[int, int] = {}
    for body in found:
        level = int(body.voxels.argmax())
        largest[level] = max(largest.get(level, 0), body.size)
    return list(largest.values())


def _touched(pieces: np.ndarray, crumb: int, bodies: dict[int, Body]) -> int:
    """Return the body that a crumb shares most of its rim with; 0 where it touches none."""
    box = bounding_box(pieces == crumb) or (slice(0, 0),) * 3
    around = tuple(
        slice(max(0, one.start - 1), min(size, one.stop + 1)) for one, size in zip(box, pieces.shape, strict=True)
    )
    inside = pieces[around]
    rim = ndimage.binary_dilation(inside == crumb, ndimage.generate_binary_structure(3, 3)) & (inside != crumb)
    counts = {number: int(np.count_nonzero(inside[rim] == number)) for number in np.unique(inside[rim]).tolist()}
    hosts = {number: count for number, count in counts.items() if number in bodies}
    return max(hosts, key=lambda number: hosts[number], default=0)


def _joined_where_close(bodies: list[Body]) -> tuple[list[Body], np.ndarray]:
    """Bring bodies into order, and join the closest pair until none is too close to be two vertebrae."""
    while True:
        places = places_along(np.array([body.centre_mm for body in bodies]).reshape(-1, 3))
        order = np.argsort(places, kind="stable")
        bodies, places = [bodies[number] for number in order], places[order]
        gaps = np.diff(places)
        if not len(gaps):
            return bodies, places
        pair = int(gaps.argmin())
        others = np.delete(gaps, pair)
        if gaps[pair] >= max(CLOSEST_MM, CLOSEST * float(np.median(others)) if len(others) else 0.0):
            return bodies, places
        bodies[pair : pair + 2] = [bodies[pair].joined(bodies[pair + 1])]
