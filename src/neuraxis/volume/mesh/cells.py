"""How a surface runs through one cell, for each of the 256 ways in which its eight corners can be in a mask.

Marching cubes (Lorensen and Cline, SIGGRAPH 1987), with a table that is derived here from three rules:

1. The surface crosses an edge of the cell halfway where one of its ends is in the mask and the other is not.
2. On a face of the cell with four crossings, each corner in the mask is cut off by itself. Both cells at a face see
   the same four corners, so their surfaces always meet, and a surface has no holes.
3. The lines on the faces close to polygons, which are cut into triangles along lines through the cell's inside: a line
   on a face could be drawn by the neighbour as well, and an edge would then have four triangles.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

import numpy as np

# A corner's place in the cell is the bits of its number: 4 along the first axis, 2 along the second, 1 along the third.
STEPS = (4, 2, 1)
# The edges as (axis, the corner at which it begins), four along each axis.
EDGES = tuple((axis, corner) for axis in range(3) for corner in range(8) if not corner & STEPS[axis])
_NUMBER = {edge: number for number, edge in enumerate(EDGES)}


@lru_cache(maxsize=1)
def triangle_table() -> tuple[np.ndarray, np.ndarray]:
    """Return the triangles of each code: how many (256,), and the edges that they join, uint8 (256, most, 3).

    A code has bit `4 x + 2 y + z` set where the corner (x, y, z) is in the mask. Seen from outside the mask the corners
    of a triangle run counter-clockwise.
    """
    found = [[triangle for polygon in _polygons(code) for triangle in _cut(polygon)] for code in range(256)]
    counts = np.array([len(triangles) for triangles in found])
    table = np.zeros((256, counts.max(), 3), np.uint8)
    for code, triangles in enumerate(found):
        table[code, : len(triangles)] = np.reshape(triangles, (-1, 3))
    return counts, table


def _polygons(code: int) -> Iterator[tuple[int, ...]]:
    """Yield the closed lines of a code as edges, counter-clockwise seen from outside the mask."""
    following = dict(line for axis in range(3) for side in (0, 1) for line in _lines(code, axis, side))
    while following:
        start, here = following.popitem()
        polygon = [start]
        while here != start:
            polygon.append(here)
            here = following.pop(here)
        yield tuple(polygon)


def _lines(code: int, axis: int, side: int) -> Iterator[tuple[int, int]]:
    """Yield the lines on one face, each from edge to edge with the mask on its right, seen from outside the cell."""
    u, v = STEPS[(axis + 1) % 3], STEPS[(axis + 2) % 3]
    first = STEPS[axis] * side
    around = [first, first | u, first | u | v, first | v]
    if side == 0:  # from the other side a face is seen mirrored
        around.reverse()
    inside = [bool(code >> corner & 1) for corner in around]
    for place in range(4):
        if inside[place] and not inside[place - 1]:
            last = place
            while inside[(last + 1) % 4]:
                last += 1
            entering = _between(around[place - 1], around[place])
            yield entering, _between(around[last % 4], around[(last + 1) % 4])


def _between(one: int, other: int) -> int:
    return _NUMBER[STEPS.index(one ^ other), min(one, other)]


def _cut(polygon: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Cut a polygon into triangles along lines that run on no face of the cell.

    Raises:
        ValueError: there is no such way.
    """
    for triangles in _triangulations(polygon):
        sides = [frozenset(pair) for triangle in triangles for pair in combinations(triangle, 2)]
        inner = {side for side in sides if sides.count(side) == 2}
        if not any(_share_face(*side) for side in inner):
            return triangles
    raise ValueError(f"The polygon {polygon} cannot be cut.")


def _triangulations(polygon: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield every way to cut a polygon into triangles along lines between its corners."""
    if len(polygon) < 3:
        yield ()
        return
    for middle in range(1, len(polygon) - 1):
        for before in _triangulations(polygon[: middle + 1]):
            for behind in _triangulations(polygon[middle:]):
                yield (*before, (polygon[0], polygon[middle], polygon[-1]), *behind)


def _share_face(one: int, other: int) -> bool:
    return bool(_faces(one) & _faces(other))


def _faces(edge: int) -> set[tuple[int, bool]]:
    along, corner = EDGES[edge]
    return {(axis, bool(corner & STEPS[axis])) for axis in range(3) if axis != along}
