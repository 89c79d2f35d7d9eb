"""A neck's bones as solids: twenty-four numbered vertebrae along a curve, C1 to T12, and the bones around them.

World: x to the right, y to the front, z up, in mm; the middle of C1 lies at the origin. Each vertebra has a frame of
its own (right, front, up along the spine) in which its parts are ellipsoids, tubes and cylinders of about adult size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.fields import Coordinates, blend, capsule, ellipsoid

NAMES = (*(f"C{number}" for number in range(1, 8)), *(f"T{number}" for number in range(1, 13)))
# C1 to T12: distance to the vertebra above, and width, depth and height of the body, mm
_STEPS = (0, 19, 19, 16.5, 16.5, 16.5, 17.5, 19, 20, 21, 21.5, 22, 22, 22.5, 23, 23.5, 24, 25, 26)
_BODIES = ((0, 0, 11), (18, 16, 16), (18, 15, 12), (19, 15.5, 12), (20, 16, 12), (22, 16.5, 12.5), (25, 17, 13.5),
           (28, 18, 15), (28, 19, 16), (28, 21, 17), (28, 22, 17.5), (28.5, 23, 18), (29, 24, 18), (30, 25, 18.5),
           (30.5, 26, 19), (31.5, 27, 19.5), (33, 28, 20), (35, 29, 21.5), (37, 30, 23))  # fmt: skip
_SPINES = (0, 20, 15, 15, 18, 22, 31, 33, 34, 34, 34, 34, 34, 34, 33, 32, 30, 28, 27)
Tube = tuple[np.ndarray, np.ndarray, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class Vertebra:
    """One vertebra.

    Attributes:
        number: 1 to 7 for C1 to C7, 8 to 19 for T1 to T12.
        centre_mm: middle of the body (of the ring, for C1), (3,).
        axes: unit vectors to its right, its front and up along the spine, (3, 3) in rows.
        size: factor on all lengths.
    """

    number: int
    centre_mm: np.ndarray
    axes: np.ndarray
    size: float

    @property
    def reach_mm(self) -> float:
        """Radius of a ball that holds it."""
        return 62.0 * self.size

    def depth(self, points: Coordinates) -> np.ndarray:
        """Return about the signed distance (mm) to the bone's surface, positive inside."""
        x, y, z = (axis - np.float32(c) for axis, c in zip(points, self.centre_mm, strict=True))
        right, front, up = (
            (x * np.float32(a[0]) + y * np.float32(a[1]) + z * np.float32(a[2])) / np.float32(self.size)
            for a in self.axes
        )
        local = (right, front, up)
        return np.asarray((_atlas(local) if self.number == 1 else _vertebra(local, self.number)) * self.size)


@dataclass(frozen=True, eq=False)
class Spine:
    """All vertebrae of one subject, C1 first."""

    vertebrae: tuple[Vertebra, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Spine:
        """Draw a subject: size, lordosis, kyphosis, a swing to the side, and a turn of the head."""
        size = float(rng.uniform(0.92, 1.08))
        lordosis = np.deg2rad([rng.uniform(5, 22), rng.uniform(-32, -16), rng.uniform(8, 18)])
        sway, phase, turn = rng.uniform(0, 3), rng.uniform(0, 6.28), np.deg2rad(rng.uniform(-12, 12))
        place, along, made = np.zeros(3), 0.0, []
        for index, step in enumerate(_STEPS):
            tilt = float(np.interp(along, (0, 135 * size, 380 * size), lordosis))
            along += step * size
            place = place + np.array([0, np.sin(tilt), -np.cos(tilt)]) * step * size
            side = np.array([sway * (np.sin(along / 60 + phase) - np.sin(phase)), 0, 0])
            angle = turn * max(0.0, 1 - index / 6)
            made.append(Vertebra(index + 1, place + side, _frame(tilt, angle), size))
        return cls(tuple(made))


def other_bones(spine: Spine) -> Iterator[tuple[str, list[Tube]]]:
    """Yield bones that are no vertebrae: name, and tubes of start, end (mm) and both radii."""
    chest = spine.vertebrae[7].centre_mm
    chin = np.array([0.0, 76, -38])
    for side in (-1.0, 1.0):
        mirror = np.array([side, 1, 1])
        jaw = [mirror * p for p in ((50, 22, 20), (46, 20, -18), (30, 56, -32))] + [chin]
        yield "mandible", [(a, b, (6.5, 7.0)) for a, b in itertools.pairwise(jaw)]
        clavicle = [chest + mirror * p for p in ((14, 52, -26), (52, 44, -8), (100, 8, 4))]
        yield "clavicle", [(a, b, (7.5, 6.5)) for a, b in itertools.pairwise(clavicle)]
        blade = [chest + mirror * p for p in ((96, -8, 2), (78, -42, -14), (70, -52, -70))]
        yield "scapula", [(a, b, (9.0, 7.0)) for a, b in itertools.pairwise(blade)]
        for vertebra in spine.vertebrae[7:13]:
            root = vertebra.centre_mm
            grown = min(1.0, 0.55 + 0.12 * (vertebra.number - 8))
            path = ((13, -9, 5), (30, -26, 3), (72 * grown, -8, -12), (74 * grown, 36 * grown, -34), (20, 74, -50))
            rib = [root + mirror * p for p in path]
            yield "rib", [(a, b, (4.6, 4.6)) for a, b in itertools.pairwise(rib)]
        yield "hyoid", [(mirror * (20, 38, -62), np.array([0.0, 58, -66]), (2.6, 3.2))]
    top, end = (chest + np.array(place) for place in ((0, 54, -30), (0, 66, -110)))
    yield "sternum", [(top, end, (11.0, 10.0))]
    for angle in np.linspace(-1.25, 1.25, 14):
        tooth = np.array([27 * np.sin(angle), 42 + 32 * np.cos(angle), -13])
        yield "tooth", [(tooth, tooth + np.array((0, 0, -11)), (3.6, 2.8))]


def skull(points: Coordinates) -> np.ndarray:
    """Return the signed distance (mm) into the skull's base: a shell with a hole for the cord, and condyles."""
    x, y, z = points
    outer = ellipsoid(points, (0, 22, 84), (76, 94, 76))
    shell = np.minimum(outer, np.float32(9.0) - outer)
    hole = ellipsoid(points, (0, -8, 12), (15, 17, 26))
    side: Coordinates = (np.abs(x), y, z)
    condyle = ellipsoid(side, (17, 1, 13), (7, 11, 6))
    petrous = capsule(side, (22, 12, 26), (56, 2, 34), (9, 12))
    return np.asarray(np.maximum(np.minimum(np.maximum(shell, petrous), -hole), condyle), np.float32)


def _frame(tilt: float, turn: float) -> np.ndarray:
    """Return the axes of a vertebra (rows right, front, up) where the spine runs forward by `tilt` on its way down."""
    up = np.array([0, -np.sin(tilt), np.cos(tilt)])
    front = np.array([0, np.cos(tilt), np.sin(tilt)])
    right = np.array([1.0, 0, 0])
    return np.stack([np.cos(turn) * right + np.sin(turn) * front, np.cos(turn) * front - np.sin(turn) * right, up])


def _oval(right: np.ndarray, front: np.ndarray, centre: float, half: tuple[float, float]) -> np.ndarray:
    """Return the signed distance to a tube along the spine with an oval section."""
    flat = np.zeros((), np.float32)
    return ellipsoid((right, front - np.float32(centre), flat), (0, 0, 0), (*half, 1e3))


def _atlas(points: Coordinates) -> np.ndarray:
    """Return C1: a ring with lateral masses and wide transverse processes."""
    right, front, up = points
    side: Coordinates = (np.abs(right), front, up)
    ring = np.minimum(_oval(right, front, -11, (22, 22)), -_oval(right, front, -11, (16.5, 17.5)))
    ring = np.minimum(ring, np.float32(4.6) - np.abs(up + np.float32(0.1) * front))
    masses = ellipsoid(side, (18, -4, 0), (7, 9.5, 8))
    wings = capsule(side, (22, -6, 0), (36, -8, -1), (4.2, 3.6))
    hole = _oval(side[0] - np.float32(29), front, -7, (3, 3))
    solid = blend(np.maximum(ring, masses), wings, 3)
    return np.asarray(np.minimum.reduce([solid, -hole, -_oval(right, front, -6, (10.5, 11.5))]), np.float32)


def _vertebra(points: Coordinates, number: int) -> np.ndarray:
    """Return C2 to T12: body, arch, joints, transverse and spinous processes; C2 has its dens."""
    right, front, up = points
    side: Coordinates = (np.abs(right), front, up)
    width, depth, height = _BODIES[number - 1]
    thoracic = number > 7
    canal = (8.5, 8.0) if thoracic else (12.0, 8.0)
    behind = -(depth / 2 + canal[1] - 0.5)
    waist = np.float32(1) - np.float32(0.09) * np.cos(up * np.float32(np.pi / height))
    body = np.minimum(
        _oval(right / waist, front / waist, 0, (width / 2, depth / 2)), np.float32(height / 2) - np.abs(up)
    )
    if number == 2:
        dens = capsule(points, (0, 0.5, 4), (0, 1.5, 22), (5.6, 4.9))
        body = blend(body, dens, 3)
    wall = (canal[0] + 4.2, canal[1] + 4.0)
    arch = np.minimum(_oval(right, front, behind, wall), -_oval(right, front, behind, canal))
    arch = np.minimum(arch, np.float32(height * 0.42) - np.abs(up + np.float32(0.25) * (front - np.float32(behind))))
    joints = capsule(
        side, (canal[0] + 4.5, behind + 1, height * 0.42), (canal[0] + 5.0, behind - 4, -height * 0.42), (4.8, 4.8)
    )
    if thoracic:
        wing = capsule(side, (canal[0] + 4, behind - 3, 2), (canal[0] + 20, behind - 14, 4), (4.4, 4.0))
    else:
        wing = capsule(side, (canal[0], behind + 9, 0), (width / 2 + 13, behind + 8, -2), (4.4, 3.4))
        wing = np.minimum(wing, -_oval(side[0] - np.float32(width / 2 + 7), front, behind + 8.5, (2.8, 2.8)))
    length = _SPINES[number - 1]
    fall = 0.75 if 10 < number < 17 else 0.4
    start = behind - canal[1] - 1
    spine = capsule(points, (0, start, -1), (0, start - length, -1 - fall * length), (3.6, 3.0))
    parts = blend(blend(arch, joints, 3), blend(wing, spine, 2), 2)
    solid = np.maximum(body, np.minimum(parts, -_oval(right, front, behind, canal)))
    return np.asarray(solid, np.float32)
