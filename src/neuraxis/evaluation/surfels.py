"""Pieces of surface between the voxels, with their areas: subvoxel surface Dice.

The surface of a mask runs through the cells between its voxels' centres. A cell has eight voxels for corners; which of
them are in the mask makes a code of eight bits, and the code and the spacing tell how much surface the cell holds
(marching cubes: Lorensen and Cline, SIGGRAPH 1987). The surface Dice is the share of both masks' surface, by area,
whose cells lie within a tolerance of a cell of the other surface (Nikolov et al., "Clinically applicable segmentation
of head and neck anatomy for radiotherapy", J Med Internet Res 2021). Cells lie at the corners of voxels; distances
are those between cells.

The areas are derived here, from four rules:

1. The surface crosses an edge of the cell halfway where one of its ends is in the mask and the other is not.
2. Of the corners in the mask, each group that hangs together by edges is cut off by one polygon through its crossings.
3. Where more than four corners are in the mask, those outside are cut off instead.
4. A polygon that is not flat is cut into triangles so that these face as few directions as possible. How many they
   are does not depend on the spacing, and all ways with the fewest give the same area.

So a code and its complement, and all turned and mirrored cells, have equal areas. The tests hold them equal to
DeepMind's surface-distance package for all 256 codes. A picture is a mask that goes on without end along its flat
axis; its pieces have lengths in mm.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

import numpy as np

from neuraxis.evaluation.boxes import flat_axes, joint_box
from neuraxis.evaluation.distances import Spacing, SurfaceDistances, distances_between
from neuraxis.evaluation.overlap import check_masks

Point = tuple[int, int, int]
Polygon = Sequence[Point]
_SHIFTS = (4, 2, 1)
_MOST_PIECES = 4


def surfel_distances(
    predicted: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Spacing,
    flat: Collection[int] | None = None,
    farthest_mm: float = math.inf,
) -> SurfaceDistances:
    """Measure how far the pieces of two masks' surfaces lie apart, each with its area in mm².

    Args:
        predicted: bool, (X, Y, Z).
        reference: bool, (X, Y, Z), on the same grid.
        spacing_mm: size of a voxel along each axis.
        flat: axes without a surface; none given: those along which the masks have one voxel only. With one, pieces
            have a length in mm instead of an area.
        farthest_mm: the largest tolerance that matters; farther distances may be infinite, which saves time.

    Raises:
        ValueError: the shapes differ, the masks are not bool, or a spacing is not positive.

    >>> cube = np.zeros((9, 9, 9), bool); cube[2:5, 2:5, 2:5] = True
    >>> distances = surfel_distances(np.roll(cube, 1, axis=0), cube, (1.0, 1.0, 1.0))
    >>> distances.share_within(1.0)
    1.0
    """
    check_masks(predicted, reference)
    flat = flat_axes(predicted.shape) if flat is None else flat
    box = joint_box(predicted, reference) or (slice(0, 0),) * 3
    ours, theirs = (cell_codes(np.ascontiguousarray(mask[box]), flat) for mask in (predicted, reference))
    x, y, z = (1.0 if axis in flat else size for axis, size in enumerate(spacing_mm))
    areas = surfel_areas((x, y, z))
    here, yonder = ((codes != 0) & (codes != 255) for codes in (ours, theirs))
    there, back = distances_between(here, yonder, spacing_mm, farthest_mm)
    return SurfaceDistances(there, back, areas[ours[here]], areas[theirs[yonder]])


def cell_codes(mask: np.ndarray, flat: Collection[int] = ()) -> np.ndarray:
    """Return the code of each cell between the voxels of a mask, uint8, one cell more than voxels along each axis.

    A cell's corner (x, y, z), each 0 or 1, sets bit 4 x + 2 y + z where it is in the mask. What lies outside the
    image is not in the mask; along a `flat` axis the mask goes on, and there are as many cells as voxels.
    """
    codes = mask.view(np.uint8)
    for axis in (2, 1, 0):
        shift = np.uint8(_SHIFTS[axis])
        if axis in flat:
            codes = codes | (codes << shift)
            continue
        shape = list(codes.shape)
        shape[axis] += 1
        wider = np.zeros(shape, np.uint8)
        low, high = np.moveaxis(wider, axis, 0)[1:], np.moveaxis(wider, axis, 0)[:-1]
        along = np.moveaxis(codes, axis, 0)
        low[...] = along
        high |= along << shift
        codes = wider
    return codes


def surfel_areas(spacing_mm: Spacing) -> np.ndarray:
    """Return how much surface a cell of each of the 256 codes holds, in mm² (256,); codes as `cell_codes` numbers them.

    >>> areas = surfel_areas((1.0, 2.0, 3.0))
    >>> float(areas[0b00001111])  # a wall across the first axis: 2 mm by 3 mm
    6.0
    """
    x, y, z = spacing_mm
    pieces = _area_vectors() * np.array([y * z, x * z, x * y])
    return np.asarray(np.sqrt((pieces**2).sum(axis=2)).sum(axis=1))


@lru_cache(maxsize=1)
def _area_vectors() -> np.ndarray:
    """Return the area vectors of the triangles of each code, for cells of 1 mm, float (256, 4, 3)."""
    table = np.zeros((256, _MOST_PIECES, 3))
    for code in range(256):
        corners = code if code.bit_count() <= 4 else 255 ^ code
        vectors = [vector for group in _groups(corners) for vector in _flattest(_polygon(group))]
        table[code, : len(vectors)] = np.reshape(vectors, (-1, 3))
    return table / 8  # points lie on a grid of half mm, and a triangle is half a parallelogram


def _groups(code: int) -> Iterator[frozenset[int]]:
    """Yield the groups of corners of a code that hang together by edges of the cell."""
    left = {corner for corner in range(8) if code >> corner & 1}
    while left:
        group, waiting = set[int](), [left.pop()]
        while waiting:
            corner = waiting.pop()
            group.add(corner)
            reached = left & {corner ^ step for step in _SHIFTS}
            left -= reached
            waiting.extend(reached)
        yield frozenset(group)


@lru_cache(maxsize=128)
def _polygon(group: frozenset[int]) -> Polygon:
    """Return the crossings around a group of corners, in order: neighbours lie on one face of the cell.

    Points are in half cells: 0 and 2 are the faces, 1 is halfway.
    """
    places = {corner: (corner >> 2 & 1, corner >> 1 & 1, corner & 1) for corner in range(8)}
    waiting = [
        (a[0] + b[0], a[1] + b[1], a[2] + b[2])
        for corner in sorted(group)
        for step in _SHIFTS
        if corner ^ step not in group
        for a, b in [(places[corner], places[corner ^ step])]
    ]
    around = [waiting.pop(0)]
    while waiting:
        beside = next(point for point in waiting if any(p == q != 1 for p, q in zip(around[-1], point, strict=True)))
        waiting.remove(beside)
        around.append(beside)
    return tuple(around)


@lru_cache(maxsize=128)
def _flattest(polygon: Polygon) -> tuple[Point, ...]:
    """Return the vectors across the triangles of a polygon, cut so that these face the fewest directions."""

    def directions(vectors: tuple[Point, ...]) -> int:
        return len({_direction(vector) for vector in vectors})

    return min((tuple(_cross(*corners) for corners in cut) for cut in _triangulations(polygon)), key=directions)


def _triangulations(polygon: Polygon) -> Iterator[tuple[Polygon, ...]]:
    """Yield every way to cut a polygon into triangles along lines between its corners."""
    if len(polygon) < 3:
        yield ()
        return
    for middle in range(1, len(polygon) - 1):
        triangle = (polygon[0], polygon[middle], polygon[-1])
        for before in _triangulations(polygon[: middle + 1]):
            for behind in _triangulations(polygon[middle:]):
                yield (*before, triangle, *behind)


def _cross(a: Point, b: Point, c: Point) -> Point:
    """Return the vector across a triangle, as long as twice its area."""
    (ux, uy, uz), (vx, vy, vz) = ((p[0] - a[0], p[1] - a[1], p[2] - a[2]) for p in (b, c))
    return uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx


def _direction(vector: Point) -> Point:
    """Return a vector shortened to its smallest whole numbers."""
    shortest = math.gcd(*vector)
    return vector[0] // shortest, vector[1] // shortest, vector[2] // shortest
