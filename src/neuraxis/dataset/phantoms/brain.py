"""A brain formed from ellipsoids, tubes and folded noise: what fills each voxel, and how far the surfaces are.

No atlas and no scan goes in. Cerebrum, temporal lobes, cerebellum and brainstem are solids of about adult size;
the sulci are the zero sheets of a noise that is drawn on the hull and carried inwards, the cortex is the layer
beside them; ventricles, basal ganglia and thalami lie inside. A smooth random warp and size make each subject.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.fields import Coordinates, Field, blend, capsule, ellipsoid, fraction

TISSUES = ("csf", "grey", "white", "deep_grey", "pallidum", "plexus")
_CSF, _GREY, _WHITE, _DEEP, _PALLIDUM, _PLEXUS = range(6)
_CENTRE, _RADII = (0.0, -16.0, 12.0), (68.0, 87.0, 62.0)
_VENTRICLE_PATH = ((5.5, 31, 7, 3.5), (7, 16, 15, 5.5), (9, -8, 21, 5.0), (17, -32, 17, 6.5), (23, -42, 9, 6.5))
_HORNS = (
    ((23, -42, 9, 6.0), (24, -66, 5, 2.0)),
    ((23, -42, 9, 5.5), (33, -28, -10, 3.2)),
    ((33, -28, -10, 3.2), (31, -6, -17, 2.2)),
)
_NUCLEI = (  # caudate, putamen, thalamus, hippocampus: centre and radii, mm
    ((13, 17, 9), (6, 12, 8)),
    ((27, 4, 0), (5.5, 17, 10)),
    ((11, -17, 5), (9.5, 14, 9)),
    ((27, -18, -17), (6, 16, 5)),
)


@dataclass(frozen=True, eq=False)
class Brain:
    """What a subject's voxels hold.

    Attributes:
        tissues: fractions (6, X, Y, Z) float32 in the order of `TISSUES`; their sum is 1 in the brain, 0 outside.
        surface_mm: signed distance to the brain's hull (X, Y, Z), positive inside.
        cortex_mm: distance to the nearest sulcus or hull, (X, Y, Z).
        ventricle_mm: distance to the lateral ventricles, (X, Y, Z), negative inside them, 99 far away.
        points: the head's own coordinates of the voxels (the warp undone), three (X, Y, Z), mm.
        cortex_depth_mm: where the white matter begins, counted as in `cortex_mm`.
    """

    tissues: np.ndarray
    surface_mm: np.ndarray
    cortex_mm: np.ndarray
    ventricle_mm: np.ndarray
    points: Coordinates
    cortex_depth_mm: float

    def tissue(self, name: str) -> np.ndarray:
        """Return the fraction (X, Y, Z) of one tissue."""
        return np.asarray(self.tissues[TISSUES.index(name)])


@dataclass(frozen=True)
class _Build:
    """The traits of one subject."""

    size: float
    sulcus_mm: float
    cortex_mm: float
    ventricles: float


def grow_brain(axes: Sequence[np.ndarray], rng: np.random.Generator, variety: float = 1.0) -> Brain:
    """Form one subject's brain on the grid where three axes (mm, ascending, evenly spaced) cross.

    Args:
        axes: where the voxels lie.
        rng: draws the subject.
        variety: factor on how much subjects differ in size and shape.
    """
    build = _Build(*rng.uniform((0.95, 0.5, 2.6, 0.85), (1.03, 1.0, 3.2, 1.45)))
    points = _warped(axes, 1 + (build.size - 1) * variety, rng, variety)
    voxel_mm = float(np.prod([axis[1] - axis[0] for axis in axes]) ** (1 / 3))
    cerebrum, cerebellum, stem = _solids(points)
    surface = blend(blend(cerebrum, cerebellum, 10), stem, 16) + np.float32(1.2)
    cortex = _distance_to_sulci(axes, points, cerebrum, rng)
    tissues = np.zeros((len(TISSUES), *surface.shape), np.float32)
    tissues[_CSF] = fraction(surface, voxel_mm)
    depth = build.sulcus_mm + build.cortex_mm
    _cover(tissues, _GREY, fraction(cortex - np.float32(build.sulcus_mm), voxel_mm))
    _cover(tissues, _WHITE, fraction(cortex - np.float32(depth), voxel_mm))
    _fold_cerebellum(tissues, points, cerebellum, voxel_mm)
    _cover(tissues, _WHITE, fraction(stem, voxel_mm))
    ventricle = np.full(surface.shape, 99, np.float32)
    core = _core(axes)
    inner = tuple(axis[core] for axis in points)
    ventricle[core] = _fill_core(tissues[(slice(None), *core)], (inner[0], inner[1], inner[2]), build, voxel_mm, rng)
    return Brain(tissues, surface, cortex, ventricle, points, depth)


def _warped(axes: Sequence[np.ndarray], size: float, rng: np.random.Generator, variety: float) -> Coordinates:
    """Return the head's own coordinates of each voxel: scaled, and bent by a few mm."""
    bends = [Field.draw(rng, 90).on(axes) * np.float32(3.0 * variety) for _ in range(3)]
    grid = np.meshgrid(*[np.asarray(axis, np.float32) for axis in axes], indexing="ij", sparse=True)
    x, y, z = ((straight + bend) / np.float32(size) for straight, bend in zip(grid, bends, strict=True))
    return x, y, z


def _solids(points: Coordinates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the signed distances of cerebrum (with temporal lobes), cerebellum and brainstem."""
    x, y, z = points
    side: Coordinates = (np.abs(x), y, z)
    upper = -blend(-ellipsoid(points, _CENTRE, _RADII), -(z + np.float32(19) + y * np.float32(0.02)), 14)
    frontal = ellipsoid(side, (20, 34, -4), (27, 30, 22))
    temporal = capsule(side, (40, 12, -25), (47, -46, -8), (17.5, 18.5))
    cerebrum = blend(blend(upper, frontal, 10), temporal, 7)
    cerebellum = ellipsoid(side, (19, -66, -40), (33, 30, 21))
    pons = ellipsoid(points, (0, -22, -34), (17, 13, 14))
    return cerebrum, cerebellum, blend(capsule(points, (0, -18, -6), (0, -32, -72), (14, 8.5)), pons, 6)


def _distance_to_sulci(
    axes: Sequence[np.ndarray], points: Coordinates, cerebrum: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return the distance (mm) to the nearest CSF of the cerebrum's surface: hull, folds and fissures."""
    x, y, z = points
    lateral = np.abs(x)
    centred = [axis - np.float32(c) for axis, c in zip(points, _CENTRE, strict=True)]
    squared = sum((axis / np.float32(r)) ** 2 for axis, r in zip(centred, _RADII, strict=True))
    outwards = (squared + np.float32(1e-3)) ** np.float32(-0.35)
    onto = [axis * outwards for axis in centred]
    folds = Field.draw(rng, 22, fineness=8).at((onto[0], onto[1], onto[2]))
    steps = [float(axis[1] - axis[0]) for axis in axes]
    slope = np.sqrt(sum(part**2 for part in np.gradient(folds, *steps)))
    sheet = np.abs(folds) / np.maximum(slope, np.float32(0.08)) - np.float32(0.9) * np.exp(-np.abs(cerebrum) / 4)
    reach = np.float32(21) + 5 * Field.draw(rng, 60).on(axes)
    base = np.clip(26 - np.hypot(lateral, (y + 12) * 0.7), 0, None)
    folded = np.hypot(sheet, np.clip(np.maximum(cerebrum - reach, base), 0, None))
    callosum = np.hypot((y + 8) / 44, (z - 2) / 27)
    midline = np.hypot(lateral, np.clip(1 - callosum, 0, None) * 27 + np.clip(np.float32(-18) - z, 0, None))
    sylvian = z + np.float32(0.3) * y + np.float32(1.5)
    ends = np.clip(y - 24, 0, None) + np.clip(-46 - y, 0, None)
    fissure = np.hypot(np.hypot(sylvian, np.clip(36 - lateral, 0, None)), ends)
    bowl = ellipsoid((lateral, y, sylvian), (16, -9, 3), (21, 36, 17))
    insula = np.hypot(bowl, np.clip(27 - lateral, 0, None) * 2)
    return np.asarray(np.minimum.reduce([cerebrum, folded, midline, fissure, insula]), np.float32)


def _fold_cerebellum(tissues: np.ndarray, points: Coordinates, cerebellum: np.ndarray, voxel_mm: float) -> None:
    """Fill the cerebellum with layered folia around a white core."""
    x, y, z = points
    inside = cerebellum > -voxel_mm
    side: Coordinates = (np.abs(x[inside]), y[inside], z[inside])
    angle = np.arctan2(side[2] + 38, side[1] + 48)
    folia = np.cos(angle * 21 + side[0] * 0.05)
    share = np.clip(0.72 + 0.5 * folia, 0, 1) * np.clip(1.3 - cerebellum[inside] / 16, 0, 1)
    core = fraction(ellipsoid(side, (18, -57, -39), (19, 11, 7)), voxel_mm)
    full = fraction(cerebellum[inside], voxel_mm)
    part = tissues[:, inside]
    _cover(part, _WHITE, full)
    _cover(part, _GREY, full * share * (1 - core))
    gap = np.clip(1.2 - cerebellum[inside] / 3, 0, 1) * np.clip(-folia, 0, 1)
    _cover(part, _CSF, np.float32(0.8) * gap * full)
    tissues[:, inside] = part


def _core(axes: Sequence[np.ndarray]) -> tuple[slice, slice, slice]:
    """Return the box around everything that lies deep."""
    x, y, z = (
        slice(int(np.searchsorted(axis, low)), int(np.searchsorted(axis, high)))
        for axis, low, high in zip(axes, (-50, -84, -52), (50, 52, 46), strict=True)
    )
    return x, y, z


def _fill_core(
    tissues: np.ndarray, points: Coordinates, build: _Build, voxel_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """Set deep grey matter, ventricles and choroid plexus; return the distance to the lateral ventricles."""
    x, y, z = points
    side: Coordinates = (np.abs(x), y, z)
    for centre, radii in _NUCLEI:
        _cover(tissues, _DEEP, fraction(ellipsoid(side, centre, radii), voxel_mm))
    _cover(tissues, _PALLIDUM, fraction(ellipsoid(side, (19.5, 0, -2), (4, 10, 6.5)), voxel_mm))
    grown = build.ventricles * rng.uniform(0.9, 1.1)
    pieces = [*itertools.pairwise(_VENTRICLE_PATH), *_HORNS]
    tubes = [capsule(side, start[:3], end[:3], (start[3] * grown, end[3] * grown)) for start, end in pieces]
    lateral = np.minimum(np.maximum.reduce(tubes), side[0] - np.float32(0.9))
    third = ellipsoid(points, (0, -12, 0), (2.2 * grown, 17, 11))
    fourth = ellipsoid(points, (0, -47, -34), (8, 5.5, 9))
    _cover(tissues, _CSF, fraction(np.maximum.reduce([lateral, third, fourth]), voxel_mm))
    plexus = capsule(side, (12, -22, 17), (23, -41, 8), (1.2, 3.2)) + Field.draw(rng, 14).at(points)
    _cover(tissues, _PLEXUS, fraction(np.minimum(plexus, lateral - np.float32(0.5)), voxel_mm))
    return -lateral


def _cover(tissues: np.ndarray, which: int, share: np.ndarray) -> None:
    """Let one tissue take `share` of each voxel from all the others, in place; outside the brain nothing grows."""
    share = share * np.clip(tissues.sum(axis=0), 0, 1)
    tissues *= 1 - share
    tissues[which] += share
