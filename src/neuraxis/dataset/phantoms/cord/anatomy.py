"""A neck as functions of space: cord, canal, vertebrae, muscles and airway, the same at whatever point they are asked.

x runs to the right, y to the front, z up, in mm from the middle of the canal at the middle of the slab. Nothing is
sampled: a slice is rendered by asking for the points where its voxels lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TISSUES = ("cord", "grey", "csf", "bone", "disc", "muscle", "fat", "vessel", "air")
_LEVEL_MM = 17.0


@dataclass(frozen=True)
class Neck:
    """The traits of one subject.

    Attributes:
        cord_mm: half axes of the cord, across and front to back.
        canal_mm: half axes of the canal.
        curve: slope, bend and phase of the centre line: y = slope z + bend (z / 30)^2, in mm.
        sideways_mm: how far the canal swings to the side.
        twist: phase of that swing and of the levels, in radians.
        enlargement: how much wider the cord is at its cervical enlargement, as a share.
        neck_mm: half axes of the neck.
    """

    cord_mm: tuple[float, float]
    canal_mm: tuple[float, float]
    curve: tuple[float, float]
    sideways_mm: float
    twist: float
    enlargement: float
    neck_mm: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Neck:
        """Draw a subject."""
        u = rng.uniform
        cord = (float(u(5.6, 6.9)), float(u(3.5, 4.4)))
        return cls(
            cord,
            (cord[0] + float(u(2.6, 4.2)), cord[1] + float(u(2.2, 3.6))),
            (float(u(-0.12, 0.18)), float(u(-1.5, 3.0))),
            float(u(0.3, 1.6)),
            float(u(0, 2 * np.pi)),
            float(u(0.06, 0.18)),
            (float(u(52, 62)), float(u(52, 62))),
        )

    def centre(self, z: float) -> tuple[float, float]:
        """Return where the canal's middle is at a height, (x, y)."""
        side = self.sideways_mm * np.sin(z / 23 + self.twist)
        return float(side), float(self.curve[0] * z + self.curve[1] * (z / 30) ** 2)

    def discness(self, z: float) -> float:
        """Return how much a height is at a disc, in [0, 1], rather than at a vertebra."""
        return float(np.clip(1.6 * np.cos(2 * np.pi * (z / _LEVEL_MM) + self.twist) - 0.6, 0, 1))

    def tissues(self, x: np.ndarray, y: np.ndarray, z: float, blur_mm: float) -> np.ndarray:
        """Return the share of each tissue, (9, ...) in the order of `TISSUES`; outside the neck all are 0.

        Args:
            x: to the right, mm, any shape.
            y: to the front, mm, of the same shape.
            z: height of the slice.
            blur_mm: over which an edge goes from 0 to 1; a voxel's size.
        """
        middle_x, middle_y = self.centre(z)
        x, y = (x - np.float32(middle_x)).astype(np.float32), (y - np.float32(middle_y)).astype(np.float32)
        wide = 1 + self.enlargement * float(np.exp(-(((z + 8) / 22) ** 2)))
        disc = self.discness(z)
        shares = np.zeros((len(TISSUES), *x.shape), np.float32)

        def put(name: str, inside_mm: np.ndarray, much: float = 1.0) -> None:
            share = np.clip(inside_mm / np.float32(blur_mm) + np.float32(0.5), 0, 1) * np.float32(much)
            shares[:] *= 1 - share
            shares[TISSUES.index(name)] += share

        put("fat", _ellipse(x, y, (0, 6), self.neck_mm))
        put("muscle", _ellipse(x, y, (0, 6), (self.neck_mm[0] - 6, self.neck_mm[1] - 6)))
        for side in (-1, 1):
            put("fat", _ellipse(x, y, (side * 17, -21), (1.6, 15)), 0.6)
            put("fat", _ellipse(x, y, (side * 30, 2), (2.0, 12)), 0.6)
        put("air", _ellipse(x, y, (0, 36), (8, 7)))
        put("muscle", _ellipse(x, y, (0, 26), (9, 3)))
        for side in (-1, 1):
            put("vessel", _ellipse(x, y, (side * 26, 27), (3.4, 3.4)))
            put("vessel", _ellipse(x, y, (side * 33, 22), (4.6, 3.6)))
            put("bone", _ellipse(x, y, (side * 17, 4), (7, 6.5)), 0.9)
            put("vessel", _ellipse(x, y, (side * 17, 8), (2.1, 2.1)))
        front = self.canal_mm[1] + 8
        put("bone", _ellipse(x, y, (0, front), (11.5, 8.5)))
        put("disc", _ellipse(x, y, (0, front), (10.5, 7.5)), disc)
        ring = np.minimum(
            _ellipse(x, y, (0, -1), (self.canal_mm[0] + 4.5, self.canal_mm[1] + 5)),
            np.float32(3) - y,
        )
        put("bone", ring, 1 - 0.7 * disc)
        put("bone", _ellipse(x, y, (0, -self.canal_mm[1] - 15), (2.6, 11)), 1 - 0.8 * disc)
        put("fat", _ellipse(x, y, (0, -0.5), (self.canal_mm[0] + 1.2, self.canal_mm[1] + 1.4)))
        put("csf", _ellipse(x, y, (0, 0), self.canal_mm))
        for side in (-1, 1):
            put("cord", _ellipse(x, y, (side * (self.cord_mm[0] + 1.6), 1.0), (1.5, 0.7)), 0.6)
        put("cord", self._cord(x, y, wide))
        for side in (-1, 1):
            put("grey", _ellipse(x, y, (side * 2.0 * wide, 0.5), (0.9, 1.9)), 0.8)
        put("grey", _ellipse(x, y, (0, 0.2), (2.2, 0.5)), 0.8)
        return shares

    def cord_share(self, x: np.ndarray, y: np.ndarray, z: float, blur_mm: float) -> np.ndarray:
        """Return how much of each voxel is cord (without its roots), in [0, 1]."""
        middle_x, middle_y = self.centre(z)
        wide = 1 + self.enlargement * float(np.exp(-(((z + 8) / 22) ** 2)))
        inside = self._cord(x - np.float32(middle_x), y - np.float32(middle_y), wide)
        return np.asarray(np.clip(inside / np.float32(blur_mm) + np.float32(0.5), 0, 1))

    def _cord(self, x: np.ndarray, y: np.ndarray, wide: float) -> np.ndarray:
        """Return the distance inside the cord: an ellipse with its cleft in front."""
        solid = _ellipse(x, y, (0, 0), (self.cord_mm[0] * wide, self.cord_mm[1]))
        cleft = _ellipse(x, y, (0, self.cord_mm[1]), (0.6, 1.1))
        return np.asarray(np.minimum(solid, -cleft))


def _ellipse(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], half_axes: tuple[float, float]) -> np.ndarray:
    """Return about the distance (mm) to an ellipse, positive inside, exact on it."""
    across, along = (x - np.float32(centre[0])), (y - np.float32(centre[1]))
    first, second = np.float32(half_axes[0]), np.float32(half_axes[1])
    length = np.sqrt((across / first) ** 2 + (along / second) ** 2)
    slope = np.sqrt((across / first**2) ** 2 + (along / second**2) ** 2) + np.float32(1e-6)
    return np.asarray(length * (1 - length) / slope, np.float32)
