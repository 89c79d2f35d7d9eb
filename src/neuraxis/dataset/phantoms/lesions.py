"""Lesions of multiple sclerosis for a grown brain: where they lie, their shapes, and exactly what they fill.

Kinds and shares follow what MRI criteria describe (periventricular, juxtacortical, infratentorial, and deep white
matter for the rest): Filippi et al., "Assessment of lesions on MRI in MS", Brain 142, 2019. Volumes are log-normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.brain import Brain

KINDS = ("periventricular", "juxtacortical", "deep", "infratentorial")
SMALLEST_MM3 = 3.0
SHARES = (0.36, 0.28, 0.30, 0.06)
MEDIAN_MM3 = (200.0, 60.0, 100.0, 60.0)
LARGEST_MM3 = 4000.0


@dataclass(frozen=True)
class LesionOptions:
    """How many lesions a subject has, and how their sizes spread.

    Attributes:
        fewest: smallest number of lesions.
        most: largest number.
        size: factor on the median volume of each kind.
        spread: SD of the logarithm of the volume.
    """

    fewest: int = 14
    most: int = 46
    size: float = 1.0
    spread: float = 1.25


@dataclass(frozen=True)
class Lesion:
    """One lesion as it was rendered.

    Attributes:
        kind: one of `KINDS`.
        voxel: the voxel nearest to its centre, on the canonical grid.
        volume_mm3: what it fills, partial voxels counted in part.
        brightness: of T2 and FLAIR, 0 as white matter, 1 usual.
        darkness: of T1, 0 as white matter, 1 a black hole.
    """

    kind: str
    voxel: tuple[int, int, int]
    volume_mm3: float
    brightness: float
    darkness: float


@dataclass(frozen=True, eq=False)
class Lesions:
    """All lesions of a subject.

    Attributes:
        fraction: share of each voxel that is lesion, (X, Y, Z) float32.
        brightness: that share times the T2 and FLAIR brightness of its lesion, (X, Y, Z).
        darkness: that share times the T1 darkness of its lesion, (X, Y, Z).
        each: what was planted.
    """

    fraction: np.ndarray
    brightness: np.ndarray
    darkness: np.ndarray
    each: tuple[Lesion, ...]

    @property
    def mask(self) -> np.ndarray:
        """Voxels that are lesion by half or more, (X, Y, Z) bool: the ground truth."""
        return np.asarray(self.fraction >= 0.5)


def plant_lesions(
    brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator, options: LesionOptions | None = None
) -> Lesions:
    """Plant a random number of lesions into the white matter; each shows in at least one voxel of the mask.

    The smallest is of 3 mm3, or of 0.7 voxels where the voxels are larger than that.
    """
    options = options or LesionOptions()
    spacing = np.array([axis[1] - axis[0] for axis in axes], np.float64)
    smallest = max(SMALLEST_MM3, 0.7 * float(spacing.prod()))
    room = 1 - brain.tissue("csf") - brain.tissue("plexus") - (1 - np.clip(brain.tissues.sum(axis=0), 0, 1))
    maps = [np.zeros(room.shape, np.float32) for _ in range(3)]
    places = [np.flatnonzero(place) for place in lesion_places(brain)]
    planted: list[Lesion] = []
    for _ in range(int(rng.integers(options.fewest, options.most, endpoint=True))):
        kind = int(rng.choice(len(KINDS), p=SHARES))
        volume = MEDIAN_MM3[kind] * options.size * float(np.exp(options.spread * rng.standard_normal()))
        volume = min(max(volume, smallest), LARGEST_MM3)
        brightness, darkness = float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.6, 1.1))
        for _attempt in range(12):
            if not len(places[kind]):
                break
            voxel = np.array(np.unravel_index(int(rng.choice(places[kind])), room.shape))
            shape = draw_shape(rng, brain, voxel, KINDS[kind])
            found = render_lesion(shape, voxel, spacing, volume, within=room.shape)
            volume *= 1.1
            if found is not None and _put(maps, found, room, smallest / float(spacing.prod()), (brightness, darkness)):
                filled = float((found[1] * room[found[0]]).sum() * spacing.prod())
                x, y, z = (int(index) for index in voxel)
                planted.append(Lesion(KINDS[kind], (x, y, z), filled, brightness, darkness))
                break
    return Lesions(maps[0], maps[1], maps[2], tuple(planted))


def lesion_places(brain: Brain) -> tuple[np.ndarray, ...]:
    """Return for each kind the voxels that may be a centre."""
    white = brain.tissue("white") > 0.95
    x, y, z = brain.points
    low = (z < -24) & (np.abs(x) < 24) & (y < -12)
    white_above = white & ~low & (z > -22)
    depth = brain.cortex_mm - brain.cortex_depth_mm
    near = white_above & (brain.ventricle_mm > 0.7) & (brain.ventricle_mm < 5)
    under = white_above & (depth > 0.3) & (depth < 2.5) & (brain.ventricle_mm > 8)
    deep = white_above & (depth > 3) & (brain.ventricle_mm > 6) & (z > -12) & (np.hypot(x, z * 0.6) > 18)
    return near, under, deep, white & low & (brain.surface_mm > 4)


@dataclass(frozen=True, eq=False)
class LesionShape:
    """An ellipsoid with bumps: axes (3, 3) in rows, their relative lengths, and waves on the radius."""

    axes: np.ndarray
    lengths: np.ndarray
    waves: np.ndarray
    phases: np.ndarray

    def radius_share(self, offsets: np.ndarray) -> np.ndarray:
        """Return the distance from the centre over the surface's distance, for offsets (..., 3), at scale 1."""
        scaled = (offsets @ self.axes.T.astype(np.float32)) / self.lengths.astype(np.float32)
        length = np.sqrt((scaled**2).sum(axis=-1))
        direction = scaled / (length[..., None] + np.float32(1e-6))
        bumps = np.cos(direction @ self.waves.T.astype(np.float32) + self.phases.astype(np.float32)).sum(axis=-1)
        return np.asarray(length / (1 + np.float32(0.12) * bumps), np.float32)


def draw_shape(rng: np.random.Generator, brain: Brain, voxel: np.ndarray, kind: str) -> LesionShape:
    """Draw a shape; what lies at a ventricle points away from it."""
    axes, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    lengths = np.exp(rng.uniform(-0.3, 0.3, 3))
    if kind == "periventricular":
        around = tuple(slice(max(int(index) - 1, 0), int(index) + 2) for index in voxel)
        away = np.array([part.mean() for part in np.gradient(brain.ventricle_mm[around])]) + 1e-6
        first = away / np.linalg.norm(away)
        axes, _ = np.linalg.qr(np.stack([first, axes[1], axes[2]], axis=1))
        axes, lengths = axes.T, np.array([1.45, 0.85, 0.85]) * np.exp(rng.uniform(-0.2, 0.2, 3))
    return LesionShape(
        axes, lengths / lengths.prod() ** (1 / 3), rng.standard_normal((4, 3)) * 2.2, rng.uniform(0, 2 * np.pi, 4)
    )


Found = tuple[tuple[slice, slice, slice], np.ndarray]


def render_lesion(
    shape: LesionShape,
    voxel: np.ndarray,
    spacing: np.ndarray,
    volume_mm3: float,
    beside_mm: Sequence[float] = (0.0, 0.0, 0.0),
    within: tuple[int, ...] = (),
) -> Found | None:
    """Return the box and the filled fractions of a lesion of that volume, by 4 x 4 x 4 samples.

    Its centre lies `beside_mm` from that of a voxel. None where the box would be too small for it, or would reach
    beyond a grid of the shape `within`.
    """
    radius = (volume_mm3 * 3 / (4 * np.pi)) ** (1 / 3)
    reach = np.ceil(radius * 1.6 * shape.lengths.max() / spacing).astype(int) + 1
    if any(index < r or index + r >= size for index, r, size in zip(voxel, reach, within, strict=False)):
        return None
    samples = 4 if volume_mm3 < 400 else 2
    offsets = [
        ((np.arange((2 * r + 1) * samples) + 0.5) / samples - r - 0.5) * size - beside
        for r, size, beside in zip(reach, spacing, beside_mm, strict=True)
    ]
    share = shape.radius_share(np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1).astype(np.float32))
    count = volume_mm3 / float(spacing.prod()) * samples**3
    if count >= share.size:
        return None
    limit = np.partition(share.ravel(), int(count))[int(count)]
    inside = (share <= limit).reshape(2 * reach[0] + 1, samples, 2 * reach[1] + 1, samples, 2 * reach[2] + 1, samples)
    box = tuple(slice(int(index - r), int(index + r + 1)) for index, r in zip(voxel, reach, strict=True))
    return (box[0], box[1], box[2]), inside.mean(axis=(1, 3, 5), dtype=np.float32)


def _put(
    maps: list[np.ndarray], found: Found, room: np.ndarray, smallest_voxels: float, strengths: tuple[float, float]
) -> bool:
    """Add a lesion to the maps where there is room; tell whether enough of it shows as new voxels of the mask."""
    box, share = found
    if any(part.start < 0 or part.stop > size for part, size in zip(box, room.shape, strict=True)):
        return False
    share = share * room[box]
    before = maps[0][box]
    if ((share >= 0.5) & (before < 0.5)).sum() < max(1, np.floor(smallest_voxels)):
        return False
    wins = share > before
    for part, strength in zip(maps, (1.0, *strengths), strict=True):
        part[box] = np.where(wins, share * np.float32(strength), part[box])
    return True
