"""Smooth random fields and simple solids in a head's own space, the clay that phantoms are formed from.

The head's space is in mm: x to the right, y to the front, z up, the origin between the deep grey nuclei. A field is
a function of that space alone, so one subject has the same folds at any voxel size. Distances are positive inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

PERIOD_MM = 256.0
Point = Sequence[float]
Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]


def generator(seed: int, subject: int, stream: int) -> np.random.Generator:
    """Return the random generator of one subject and purpose (0 anatomy, 1 lesions, 2 scan), a function of the three.

    Args:
        seed: of the cohort, in [0, 2**63).
        subject: number in the cohort, in [0, 2**56).
        stream: in [0, 16), so that a change of one purpose leaves the others' draws alone.
    """
    if not (0 <= seed < 2**63 and 0 <= subject < 2**56 and 0 <= stream < 16):
        raise ValueError(f"seed {seed}, subject {subject} or stream {stream} is out of range.")
    return np.random.Generator(np.random.Philox(key=np.array([seed, subject * 16 + stream], np.uint64)))


@dataclass(frozen=True, eq=False)
class Field:
    """A periodic random function of space with mean 0 and SD about 1, made of waves of about one length.

    Attributes:
        lattice: samples (N, N, N) every `step_mm` from the origin on, repeating every `PERIOD_MM`.
        step_mm: distance between samples.
    """

    lattice: np.ndarray
    step_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, wavelength_mm: float, fineness: int = 4) -> Field:
        """Draw a field; `fineness` is the number of samples per wave, which linear interpolation wants to be 8."""
        size = round(PERIOD_MM * fineness / wavelength_mm)
        waves = np.fft.rfftn(rng.standard_normal((size, size, size), np.float32))
        along, last = np.fft.fftfreq(size, PERIOD_MM / size), np.fft.rfftfreq(size, PERIOD_MM / size)
        length = np.sqrt(along[:, None, None] ** 2 + along[None, :, None] ** 2 + last**2)
        ring = np.exp(-(((length * wavelength_mm - 1) / 0.35) ** 2) / 2)
        ring[0, 0, 0] = 0
        lattice = np.fft.irfftn(waves * ring, (size, size, size), axes=(0, 1, 2))
        return cls((lattice / lattice.std()).astype(np.float32), PERIOD_MM / size)

    def on(self, axes: Sequence[np.ndarray]) -> np.ndarray:
        """Return the values where three axes (mm) cross, (X, Y, Z) float32, by cubic B-splines."""
        result = self.lattice
        for positions in axes:
            result = np.tensordot(result, self._weights(positions), axes=(0, 1))
        return result

    def at(self, points: Coordinates) -> np.ndarray:
        """Return the values at scattered points (mm) by linear interpolation."""
        from scipy.ndimage import map_coordinates

        where = np.stack([np.asarray(axis, np.float32) for axis in points]) / np.float32(self.step_mm)
        return np.asarray(map_coordinates(self.lattice, where, np.float32, order=1, mode="grid-wrap"))

    def _weights(self, positions: np.ndarray) -> np.ndarray:
        """Return the cubic B-spline matrix (positions, samples); it keeps the SD of waves of 4 samples within 20 %."""
        size = len(self.lattice)
        exact = np.asarray(positions, np.float64) / self.step_mm
        base = np.floor(exact).astype(np.int64)
        weights = np.zeros((len(exact), size), np.float32)
        for offset in range(-1, 3):
            away = np.abs(exact - (base + offset))
            near, far = (4 - 6 * away**2 + 3 * away**3) / 6, np.clip(2 - away, 0, None) ** 3 / 6
            np.add.at(weights, (np.arange(len(exact)), (base + offset) % size), np.where(away < 1, near, far))
        return weights


def ellipsoid(points: Coordinates, centre: Point, radii: Point) -> np.ndarray:
    """Return about the signed distance (mm) to an ellipsoid's surface, positive inside, exact on it."""
    scaled = sum(((axis - c) / r) ** 2 for axis, c, r in zip(points, centre, radii, strict=True))
    slope = sum(((axis - c) / r**2) ** 2 for axis, c, r in zip(points, centre, radii, strict=True))
    length = np.sqrt(scaled)
    return np.asarray(length * (1 - length) / np.sqrt(slope + np.float32(1e-9)), np.float32)


def capsule(points: Coordinates, start: Point, end: Point, radii: tuple[float, float]) -> np.ndarray:
    """Return the signed distance (mm) to a tube whose radius goes from the first to the second, positive inside."""
    span = np.subtract(end, start)
    offsets = [axis - np.float32(s) for axis, s in zip(points, start, strict=True)]
    along = sum(offset * np.float32(part) for offset, part in zip(offsets, span, strict=True)) / np.float32(span @ span)
    share = np.clip(along, 0, 1)
    apart = sum((offset - share * np.float32(part)) ** 2 for offset, part in zip(offsets, span, strict=True))
    return np.asarray(radii[0] + share * np.float32(radii[1] - radii[0]) - np.sqrt(apart), np.float32)


def blend(first: np.ndarray, second: np.ndarray, width_mm: float) -> np.ndarray:
    """Return the union of two solids whose seam is rounded over `width_mm` (polynomial smooth maximum)."""
    near = np.clip(width_mm - np.abs(first - second), 0, None)
    return np.asarray(np.maximum(first, second) + near * near / np.float32(4 * width_mm), np.float32)


def fraction(distance: np.ndarray, voxel_mm: float) -> np.ndarray:
    """Return how much of each voxel a solid fills, in [0, 1], from the signed distance at its centre."""
    return np.clip(distance / np.float32(voxel_mm) + np.float32(0.5), 0, 1)
