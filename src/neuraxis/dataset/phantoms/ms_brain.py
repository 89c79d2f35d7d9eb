"""A phantom: a head with lesions of multiple sclerosis, scanned as FLAIR, T1 and T2 at one site."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from neuraxis.dataset.phantoms.brain import grow_brain
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.lesions import Lesion, LesionOptions, plant_lesions
from neuraxis.dataset.phantoms.scanner import Site, acquire
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

_CENTRE_MM, _EXTENT_MM = (0.0, -15.0, 4.0), (154.0, 190.0, 160.0)
_SKULL_MM = 30.0
_ANATOMY, _LESIONS, _SCAN = range(3)


@dataclass(frozen=True)
class PhantomOptions:
    """What is formed around the site's protocol.

    Attributes:
        lesions: how many and how large.
        skull: keep skull and scalp; else the brain is cut out and everything around it is 0.
        spacing_mm: instead of the site's.
        shape: voxels along left-right, back-front, foot-head, centred on the brain; None takes what holds the head.
    """

    lesions: LesionOptions = field(default_factory=LesionOptions)
    skull: bool = False
    spacing_mm: tuple[float, float, float] | None = None
    shape: tuple[int, int, int] | None = None


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scan with its exact answer.

    Attributes:
        images: FLAIR, T1, T2 as (3, X, Y, Z) int16 with the site's stored layout.
        label: (1, X, Y, Z) uint8 on the same grid: 1 where a voxel is lesion by half or more.
        lesions: each lesion that was planted.
    """

    images: Volume
    label: Volume
    lesions: tuple[Lesion, ...]


def make_phantom(site: Site, seed: int, subject: int, options: PhantomOptions | None = None) -> Phantom:
    """Form and scan one subject: a function of its arguments alone.

    The same seed and subject have the same anatomy at every site and voxel size.
    """
    options = options or PhantomOptions()
    spacing = options.spacing_mm or site.spacing_mm
    axes = head_axes(spacing, options)
    brain = grow_brain(axes, generator(seed, subject, _ANATOMY))
    lesions = plant_lesions(brain, axes, generator(seed, subject, _LESIONS), options.lesions)
    images = acquire(brain, lesions, axes, site, generator(seed, subject, _SCAN), options.skull)
    shape = images.shape[1:]
    origin = np.array([axis[0] for axis in axes])
    stored = Stored.of(stored_grid((shape[0], shape[1], shape[2]), spacing, origin, site))
    name, grid = f"phantom {seed}/{subject} at {site.name}", stored.canonical_grid
    label = lesions.mask[None].astype(np.uint8)
    return Phantom(Volume(images, grid, stored, name), Volume(label, grid, stored, name), lesions.each)


def head_axes(
    spacing_mm: tuple[float, float, float], options: PhantomOptions, margin_mm: float = 0.0
) -> list[np.ndarray]:
    """Return the voxel centres (mm) along the three axes of the head, with more room around it where asked for."""
    extent = [size + margin_mm + (_SKULL_MM if options.skull else 0) for size in _EXTENT_MM]
    shape = options.shape or [int(np.ceil(size / step)) for size, step in zip(extent, spacing_mm, strict=True)]
    return [
        centre + (np.arange(count) - (count - 1) / 2) * step
        for centre, count, step in zip(_CENTRE_MM, shape, spacing_mm, strict=True)
    ]


def stored_grid(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], origin_mm: np.ndarray, site: Site
) -> Grid:
    """Return the grid that the site's files have: tilted about the left-right axis, axes ordered by its codes."""
    angle = np.deg2rad(site.tilt_deg)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine, order = np.eye(4), []
    start = origin_mm.astype(np.float64)
    for stored, code in enumerate(site.axis_codes):
        world = next(axis for axis, ends in enumerate(("LR", "PA", "IS")) if code in ends)
        direction = 1 if code in "RAS" else -1
        affine[:3, stored] = tilt[:, world] * spacing_mm[world] * direction
        if direction < 0:
            start[world] += (shape[world] - 1) * spacing_mm[world]
        order.append(world)
    affine[:3, 3] = tilt @ start
    return Grid((shape[order[0]], shape[order[1]], shape[order[2]]), affine)
