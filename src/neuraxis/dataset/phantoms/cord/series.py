"""An EPI series of a neck: each slice of each volume is rendered from the anatomy, where the neck was at that time.

What a voxel shows is the anatomy at the point that susceptibility moved onto it, weighed with the stretch (Jezzard
and Balaban, "Correction for geometric distortion in echo planar images", Magn Reson Med 34, 1995), less what
dephasing takes near discs and airway, plus the ghost that lies half a field of view away along the phase encoding
axis. Motion is a shift of each slice, so it moves anatomy, distortion and drop-out together and exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.cord.anatomy import TISSUES, Neck


@dataclass(frozen=True)
class EpiSite:
    """A scanner and its EPI protocol.

    Attributes:
        name: of the site, letters alone.
        manufacturer: as the sidecar names it.
        spacing_mm: at the size "medium".
        signal: of each tissue in the order of `TISSUES`.
        gain: stored value of a signal of 1.
        noise: SD of the noise, as a share of a signal of 1.
        ghost: strength of the N/2 ghost, as a share.
        distortion_mm: largest shift along the phase encoding axis.
        drop_out: largest share of signal lost at discs.
        repetition_s: time between volumes.
        bias: how fast sensitivity falls to the front, per 100 mm.
    """

    name: str
    manufacturer: str
    spacing_mm: tuple[float, float, float]
    signal: tuple[float, ...]
    gain: float
    noise: float
    ghost: float
    distortion_mm: float
    drop_out: float
    repetition_s: float
    bias: float


SITES = (
    EpiSite("leipzig", "Siemens", (1.0, 1.0, 5.0), (0.78, 0.86, 1.15, 0.32, 0.5, 0.7, 0.5, 1.2, 0.02),
            900.0, 0.05, 0.06, 2.2, 0.55, 2.31, 0.9),
    EpiSite("montreal", "Siemens", (1.1, 1.1, 5.0), (0.86, 0.92, 0.98, 0.42, 0.6, 0.82, 0.75, 0.7, 0.03),
            420.0, 0.08, 0.11, 3.2, 0.65, 2.5, 0.5),
    EpiSite("geneva", "Philips", (1.0, 1.0, 4.0), (0.7, 0.76, 1.3, 0.25, 0.4, 0.55, 0.3, 1.35, 0.02),
            6800.0, 0.06, 0.08, 1.6, 0.5, 2.05, 1.2),
    EpiSite("nashville", "GE", (1.2, 1.2, 5.0), (0.82, 0.9, 0.9, 0.48, 0.62, 0.88, 1.05, 1.0, 0.02),
            2300.0, 0.09, 0.14, 2.8, 0.7, 3.0, 0.35),
)  # fmt: skip


@dataclass(frozen=True)
class Matrix:
    """The grid of a series.

    Attributes:
        shape: voxels to the right, to the front, up; the second is even.
        spacing_mm: of the voxels.
        volumes: number of time points.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    volumes: int

    def axis(self, index: int) -> np.ndarray:
        """Return the voxel centres (mm) along one axis."""
        count = self.shape[index]
        return (np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)) * np.float32(self.spacing_mm[index])


@dataclass(frozen=True, eq=False)
class Series:
    """A series with its exact answers.

    Attributes:
        bold: (T, X, Y, Z) int16.
        cord: (X, Y, Z) uint8, 1 where a voxel is cord by half or more on average over the series.
        motion_mm: (T, Z, 2), how far each slice lies to the right and to the front of where it lies on average.
    """

    bold: np.ndarray
    cord: np.ndarray
    motion_mm: np.ndarray


@dataclass(frozen=True, eq=False)
class _Field:
    """How far each point is moved to the front: swells beside discs and behind the airway."""

    neck: Neck
    strength_mm: float
    drop_out: float
    phase: float

    def shift(self, x: np.ndarray, y: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the shift (mm) that ends at points as they are seen, and its derivative along y."""
        middle_x, middle_y = self.neck.centre(z)
        amount = np.float32(self.strength_mm * (0.45 * np.sin(z / 9 + self.phase) + 0.55 * self.neck.discness(z)))
        across = np.exp(-(((x - middle_x) / 26) ** 2)).astype(np.float32)
        along = (y - np.float32(middle_y + 6)) / np.float32(17)
        swell = np.exp(-(along**2))
        slope = -2 * along / np.float32(17) * swell
        return amount * across * swell, amount * across * slope

    def kept(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """Return the share of the signal that dephasing leaves."""
        middle_x, middle_y = self.neck.centre(z)
        near = np.exp(-(((x - middle_x) / 15) ** 2) - ((y - middle_y - 7) / 10) ** 2)
        airway = np.exp(-(((x - middle_x) / 15) ** 2) - ((y - middle_y - 36) / 13) ** 2)
        return np.asarray(1 - self.drop_out * self.neck.discness(z) * near - np.float32(0.8) * airway, np.float32)


def scan_neck(neck: Neck, site: EpiSite, matrix: Matrix, rng: np.random.Generator) -> Series:
    """Scan a neck as a series of volumes."""
    motion = _draw_motion(matrix, site, rng)
    field = _Field(neck, site.distortion_mm * float(rng.uniform(0.7, 1.2)), site.drop_out, float(rng.uniform(0, 6.28)))
    contrast = np.array(site.signal, np.float32) * np.exp(rng.normal(0, 0.05, len(TISSUES))).astype(np.float32)
    texture = _Texture.draw(rng)
    bold = np.empty((matrix.volumes, *matrix.shape), np.float32)
    share = np.zeros(matrix.shape, np.float32)
    x, y = np.meshgrid(matrix.axis(0), matrix.axis(1), indexing="ij")
    pulse = rng.uniform(0, 2 * np.pi, 2)
    for volume in range(matrix.volumes):
        time_s = volume * site.repetition_s
        for index, z in enumerate(matrix.axis(2)):
            by_x, by_y = motion[volume, index]
            in_neck = x - np.float32(by_x), y - np.float32(by_y)
            signal, cord = _slice(neck, field, contrast, in_neck, (float(z), matrix.spacing_mm[0]))
            signal *= texture.at(in_neck[0], in_neck[1], float(z))
            beat = 1 + 0.03 * np.sin(2 * np.pi * time_s / 0.87 + pulse[0] + 0.7 * index)
            bold[volume, :, :, index] = signal * np.float32(beat)
            share[:, :, index] += cord / np.float32(matrix.volumes)
    sensitivity = np.exp(-np.float32(site.bias) * (y + 35) / 100)[:, :, None]
    bold *= sensitivity * (1 + 0.004 * rng.standard_normal((matrix.volumes, 1, 1, 1))).astype(np.float32)
    bold += np.float32(site.ghost) * np.roll(bold, matrix.shape[1] // 2, axis=2)
    bold = np.hypot(bold + rng.standard_normal(bold.shape, np.float32) * np.float32(site.noise),
                    rng.standard_normal(bold.shape, np.float32) * np.float32(site.noise))  # fmt: skip
    gain = site.gain * float(np.exp(rng.normal(0, 0.15)))
    stored = np.clip(np.rint(bold * np.float32(gain)), 0, 32767).astype(np.int16)
    return Series(stored, (share >= 0.5).astype(np.uint8), motion)


def _slice(
    neck: Neck,
    field: _Field,
    contrast: np.ndarray,
    points: tuple[np.ndarray, np.ndarray],
    place: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Return a slice's signal, and how much of each voxel is cord, at points of the neck's space as it is seen."""
    (x, y), (z, voxel_mm) = points, place
    shift, slope = field.shift(x, y, z)
    true_y = y - shift
    shares = neck.tissues(x, true_y, z, voxel_mm)
    signal = np.tensordot(contrast, shares, 1) * np.abs(1 - slope) * field.kept(x, true_y, z)
    return signal.astype(np.float32), neck.cord_share(x, true_y, z, voxel_mm)


@dataclass(frozen=True, eq=False)
class _Texture:
    """Waves of a few mm that make tissue uneven, fixed in the neck."""

    waves: np.ndarray
    phases: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Texture:
        directions = rng.standard_normal((10, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = rng.uniform(5, 22, (10, 1))
        return cls((2 * np.pi * directions / lengths).astype(np.float32), rng.uniform(0, 2 * np.pi, 10))

    def at(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        total = np.zeros(x.shape, np.float32)
        for (along, across, up), phase in zip(self.waves, self.phases, strict=True):
            total += np.cos(along * x + across * y + np.float32(up * z + phase))
        return np.asarray(1 + np.float32(0.035) * total, np.float32)


def _draw_motion(matrix: Matrix, site: EpiSite, rng: np.random.Generator) -> np.ndarray:
    """Return (T, Z, 2) mm: breathing that grows towards the chest, drift, and a swallow; the mean of a slice is 0."""
    time = np.arange(matrix.volumes)[:, None] * site.repetition_s
    height = np.linspace(1.0, 0.35, matrix.shape[2])[None]
    rhythm, phase = rng.uniform(3.2, 4.8), rng.uniform(0, 2 * np.pi)
    breath = np.sin(2 * np.pi * time / rhythm + phase + 0.25 * np.arange(matrix.shape[2])[None]) * height
    motion = np.zeros((matrix.volumes, matrix.shape[2], 2))
    for axis, (breathing, drifting, jumping) in enumerate(((0.15, 0.4, 0.2), (0.6, 0.8, 0.9))):
        drift = (time / max(float(time.max()), 1.0) - 0.5) * rng.normal(0, drifting) * (1.3 - height)
        jump = (np.arange(matrix.volumes) == rng.integers(matrix.volumes))[:, None] * rng.normal(0, jumping)
        motion[:, :, axis] = breathing * rng.uniform(0.6, 1.3) * breath + drift + jump * (1.4 - height)
        motion[:, :, axis] += rng.normal(0, 0.04, motion.shape[:2])
    return np.asarray(motion - motion.mean(axis=0, keepdims=True))
