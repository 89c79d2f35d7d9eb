"""A neck's CT in Hounsfield units, rendered from solids on any grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from neuraxis.dataset.phantoms.cervical.spine import Spine, other_bones, skull
from neuraxis.dataset.phantoms.fields import Coordinates, Field, blend, capsule, ellipsoid
from neuraxis.volume.grid import Grid

_AIR_HU, _FAT_HU, _MUSCLE_HU, _TOOTH_HU = -1000.0, -95.0, 58.0, 1900.0
_FAR = -99.0
_STRAIGHT = 1e-9  # a smaller part of an axis is none


@dataclass(frozen=True)
class CtSite:
    """A scanner and its protocol.

    Attributes:
        name: of the site.
        sigma_mm: SD of the point spread, by the reconstruction kernel.
        noise_hu: SD of the noise at the neck; it grows at the shoulders.
        contrast: whether vessels are filled with contrast agent.
        thickness: factor on the distance of the slices.
    """

    name: str
    sigma_mm: float
    noise_hu: float
    contrast: bool
    thickness: float


SITES = (
    CtSite("Fir", 0.7, 24.0, False, 1.0),
    CtSite("Gorse", 0.5, 42.0, True, 1.25),
    CtSite("Hazel", 0.9, 18.0, False, 1.5),
)


@dataclass(frozen=True, eq=False)
class Lattice:
    """Where voxels lie: a grid, of which boxes can be asked for.

    Attributes:
        grid: shape and affine; it may be turned against the world.
    """

    grid: Grid

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        return self.grid.shape

    @property
    def voxel_mm(self) -> float:
        """Size of a voxel, as the side of a cube."""
        return float(np.prod(self.grid.exact_spacing_mm) ** (1 / 3))

    def box(self, low: Sequence[float] | np.ndarray, high: Sequence[float] | np.ndarray) -> tuple[slice, slice, slice]:
        """Return the voxels of the smallest box that holds a box of the world (mm)."""
        corners = np.array(list(itertools.product(*zip(low, high, strict=True))))
        inverse = np.linalg.inv(self.grid.affine)
        index = corners @ inverse[:3, :3].T + inverse[:3, 3]
        x, y, z = (
            slice(min(max(int(np.ceil(first)), 0), size), min(max(int(np.floor(last)) + 1, 0), size))
            for first, last, size in zip(index.min(axis=0), index.max(axis=0), self.shape, strict=True)
        )
        return x, y, z

    def points(self, box: tuple[slice, slice, slice]) -> Coordinates:
        """Return the world coordinates of the voxels in a box, three arrays that broadcast together."""
        index = np.ogrid[tuple(slice(*part.indices(size)) for part, size in zip(box, self.shape, strict=True))]
        matrix = self.grid.affine
        x, y, z = (
            np.asarray(sum((row[k] * index[k] for k in range(3) if abs(row[k]) > _STRAIGHT), row[3]), np.float32)
            for row in matrix[:3]
        )
        return x, y, z


@dataclass(frozen=True, eq=False)
class Neck:
    """One subject.

    Attributes:
        spine: the vertebrae.
        trabecular_hu: inside of the bones.
        cortical_hu: their shell.
        girth: factor on the soft tissue.
        vessel_hu: blood, where contrast agent fills it.
    """

    spine: Spine
    trabecular_hu: float
    cortical_hu: float
    girth: float
    vessel_hu: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Neck:
        """Draw a subject, of any age."""
        values = rng.uniform((110, 520, 0.9, 180), (300, 900, 1.15, 380))
        return cls(Spine.draw(rng), *(float(value) for value in values))

    def labels(self, lattice: Lattice) -> np.ndarray:
        """Return the number of the vertebra at the middle of each voxel, (X, Y, Z) uint8, 0 for none."""
        return self._vertebrae(lattice)[1]

    def scan(self, lattice: Lattice, site: CtSite, rng: np.random.Generator) -> np.ndarray:
        """Return the neck as a scanner shows it, (X, Y, Z) int16 in Hounsfield units."""
        from scipy.ndimage import gaussian_filter

        depth, _ = self._vertebrae(lattice)
        points = lattice.points((slice(None), slice(None), slice(None)))
        image = self._soft(points, lattice, site)
        teeth = np.full(lattice.shape, _FAR, np.float32)
        for name, tubes in other_bones(self.spine):
            for start, end, radii in tubes:
                wide = max(radii) + lattice.voxel_mm
                low, high = np.minimum(start, end) - wide, np.maximum(start, end) + wide
                target = teeth if name == "tooth" else depth
                _cover(
                    target, lattice, (low, high), partial(capsule, start=start.tolist(), end=end.tolist(), radii=radii)
                )
        _cover(depth, lattice, ((-90, -90, -10), (90, 130, 170)), skull)
        spacing = lattice.grid.exact_spacing_mm
        texture = Field.draw(rng, 9).on([np.arange(n) * step for n, step in zip(lattice.shape, spacing, strict=True)])
        shell = np.clip(depth / np.float32(1.6), 0, 1)
        bone = self.cortical_hu + (self.trabecular_hu - self.cortical_hu) * shell + np.float32(45) * texture
        for solid, values in ((depth, bone), (teeth, np.float32(_TOOTH_HU))):
            share = np.clip(solid / np.float32(lattice.voxel_mm) + np.float32(0.5), 0, 1)
            image += share * (values - image)
        image = gaussian_filter(image, [site.sigma_mm / step for step in spacing], truncate=3)
        noise = gaussian_filter(rng.standard_normal(lattice.shape, np.float32), 0.6)
        shoulders = np.clip((-points[2] - 105) / 70, 0, 1.4)
        image += noise / noise.std() * np.float32(site.noise_hu) * (1 + shoulders)
        return np.asarray(np.clip(np.rint(image), -1024, 3071), np.int16)

    def _vertebrae(self, lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
        """Return the depth inside the nearest vertebra (mm, negative outside), and whose it is."""
        depth = np.full(lattice.shape, _FAR, np.float32)
        numbers = np.zeros(lattice.shape, np.uint8)
        for vertebra in self.spine.vertebrae:
            low, high = vertebra.centre_mm - vertebra.reach_mm, vertebra.centre_mm + vertebra.reach_mm
            box = lattice.box(low, high)
            if any(part.start >= part.stop for part in box):
                continue
            found = vertebra.depth(lattice.points(box))
            wins = found > depth[box]
            depth[box] = np.where(wins, found, depth[box])
            numbers[box] = np.where(wins & (found >= 0), vertebra.number, numbers[box])
        return depth, numbers

    def _soft(self, points: Coordinates, lattice: Lattice, site: CtSite) -> np.ndarray:
        """Return air, skin, fat, muscle, cord, discs, airway, vessels and the table, in Hounsfield units."""
        x, y, z = points
        places = np.array([vertebra.centre_mm for vertebra in self.spine.vertebrae])[::-1]
        side, back = (np.interp(z, places[:, 2], places[:, axis]).astype(np.float32) for axis in (0, 1))
        inside = self._body(points, back)
        image = np.full(lattice.shape, _AIR_HU, np.float32)

        def put(distance: np.ndarray, value: float, much: float = 1.0) -> None:
            share = np.clip(distance / np.float32(lattice.voxel_mm) + np.float32(0.5), 0, 1) * np.float32(much)
            image[:] += share * (np.float32(value) - image)

        put(inside, 30)
        put(inside - 2, _FAT_HU)
        put(inside - 9 * np.float32(self.girth), _MUSCLE_HU)
        for at in (-1, 1):
            put(3 - np.hypot((x - side - at * 24) / 1.0, (y - back - 12) / 3.5), _FAT_HU, 0.8)
        neck = np.hypot(x - side, (y - back) * np.float32(1.1))
        below = np.clip(-z - 14, None, 3)
        put(np.minimum(np.float32(8.5) - neck, below), 90)
        put(np.float32(6.5) - np.hypot((x - side) / np.float32(1.2), y - back + 16), 35)
        put(np.float32(9) - np.hypot(x, (y - back - 34) * np.float32(0.9)), -990)
        blood = self.vessel_hu if site.contrast else 48.0
        for at in (-1, 1):
            put(np.float32(3.6) - np.hypot(x - at * 28, y - back - 22), blood)
            put(np.float32(5.2) - np.hypot(x - at * 37, y - back - 17), blood * 0.8)
        put(ellipsoid((np.abs(x), y - back, z), (58, 18, -255), (40, 52, 88)), -830)
        table = np.float32(1.6) - np.abs(y + np.float32(104) - x**2 / 900)
        put(table, -350)
        return image

    def _body(self, points: Coordinates, back: np.ndarray) -> np.ndarray:
        """Return the signed distance (mm) into the skin; the neck follows the spine and widens to the shoulders."""
        x, y, z = points
        girth = np.float32(self.girth)
        shoulder, head = np.clip((-z - 95) / 60, 0, 1) ** 2, np.clip((z + 25) / 45, 0, 1)
        wide, deep = girth * (60 + 95 * shoulder + 14 * head), girth * (62 + 30 * shoulder + 24 * head)
        middle = back - np.float32(64) * girth + deep
        length = np.sqrt((x / wide) ** 2 + ((y - middle) / deep) ** 2)
        neck = (1 - length) * np.minimum(wide, deep)
        return blend(neck.astype(np.float32), ellipsoid(points, (0, 30, 14), (66, 66, 66)), 14)


def _cover(
    depth: np.ndarray,
    lattice: Lattice,
    ends: tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray],
    solid: Callable[[Coordinates], np.ndarray],
) -> None:
    """Join a solid that lies in a box of the world (mm) to what is there, in place."""
    box = lattice.box(*ends)
    if all(part.start < part.stop for part in box):
        depth[box] = np.maximum(depth[box], solid(lattice.points(box)))
