"""Lesions that are followed from one visit to the next: what each becomes, and exactly what it fills at each.

A lesion keeps its centre and shape in the head's own space; its volume tells the visits apart. So the change between
two visits is known for each lesion, and is rendered on whatever grid a visit has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.brain import Brain
from neuraxis.dataset.phantoms.lesions import (
    KINDS,
    LARGEST_MM3,
    MEDIAN_MM3,
    SHARES,
    SMALLEST_MM3,
    Lesion,
    Lesions,
    LesionShape,
    draw_shape,
    lesion_places,
    render_lesion,
)

FATES = ("new", "vanished", "grown", "shrunken", "stable")
_FATE_SHARES = (0.14, 0.08, 0.16, 0.12, 0.5)
_TRIES = 30


@dataclass(frozen=True, eq=False)
class FollowedLesion:
    """One lesion over two visits.

    Attributes:
        number: in the maps of lesions, from 1 on.
        kind: where it lies, one of `KINDS`.
        fate: one of `FATES`.
        centre_mm: in the head's grid space, x to the right, y to the front, z up.
        shape: the solid at scale 1.
        volumes_mm3: before what cannot be lesion is cut away, at both visits; 0 where it is not there.
        brightness: of T2 and FLAIR, 0 as white matter, 1 usual.
        darkness: of T1, 0 as white matter, 1 a black hole.
    """

    number: int
    kind: str
    fate: str
    centre_mm: np.ndarray
    shape: LesionShape
    volumes_mm3: tuple[float, float]
    brightness: float
    darkness: float

    @property
    def reach_mm(self) -> float:
        """Radius of a ball that holds the lesion at both visits."""
        largest = max(self.volumes_mm3)
        return float((largest * 3 / (4 * np.pi)) ** (1 / 3) * 1.5 * self.shape.lengths.max())


def follow_lesions(
    brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator, counts: tuple[int, int] = (14, 34)
) -> tuple[FollowedLesion, ...]:
    """Draw lesions that lie apart from each other, each of the fates at least once where there is room."""
    spacing = np.array([axis[1] - axis[0] for axis in axes])
    smallest = max(4 * SMALLEST_MM3, 2.0 * float(spacing.prod()))
    places = [np.flatnonzero(place) for place in lesion_places(brain)]
    room = _room(brain)
    found: list[FollowedLesion] = []
    for index in range(int(rng.integers(counts[0], counts[1], endpoint=True))):
        kind = int(rng.choice(len(KINDS), p=SHARES))
        fate = FATES[index] if index < len(FATES) else str(rng.choice(FATES, p=_FATE_SHARES))
        volume = MEDIAN_MM3[kind] * float(np.exp(1.1 * rng.standard_normal()))
        volume = min(max(volume, smallest), LARGEST_MM3)
        volumes = _volumes(fate, volume, smallest, rng)
        brightness, darkness = float(rng.uniform(0.7, 1.2)), float(rng.uniform(0.6, 1.1))
        for _ in range(_TRIES):
            if not len(places[kind]):
                break
            voxel = np.array(np.unravel_index(int(rng.choice(places[kind])), brain.surface_mm.shape))
            shape = draw_shape(rng, brain, voxel, KINDS[kind])
            centre = np.array([axis[index] for axis, index in zip(axes, voxel, strict=True)])
            lesion = FollowedLesion(len(found) + 1, KINDS[kind], fate, centre, shape, volumes, brightness, darkness)
            if all(_apart(lesion, other) for other in found) and _shows(lesion, room, voxel, spacing):
                found.append(lesion)
                break
    return tuple(found)


def render_visit(
    lesions: Sequence[FollowedLesion], brain: Brain, axes: Sequence[np.ndarray], visit: int
) -> tuple[Lesions, np.ndarray]:
    """Return what the lesions fill at a visit (0 or 1), and whose each voxel is (X, Y, Z) uint8, 0 for none.

    What is fluid, or outside the brain, is no lesion.
    """
    room = _room(brain)
    maps = np.zeros((3, *room.shape), np.float32)
    numbers = np.zeros(room.shape, np.uint8)
    spacing = np.array([axis[1] - axis[0] for axis in axes], np.float64)
    seen = []
    for lesion in lesions:
        voxel = np.rint([(c - axis[0]) / step for c, axis, step in zip(lesion.centre_mm, axes, spacing, strict=True)])
        beside = lesion.centre_mm - np.array([axis[0] for axis in axes]) - voxel * spacing
        whole = voxel.astype(int)
        drawn = None
        if lesion.volumes_mm3[visit]:
            drawn = render_lesion(lesion.shape, whole, spacing, lesion.volumes_mm3[visit], beside)
        filled = 0.0
        if drawn is not None:
            inside, share = _inside(drawn[0], drawn[1], room.shape)
            share = share * room[inside]
            filled = float(share.sum() * spacing.prod())
            wins = share > maps[0][inside]
            for part, strength in zip(maps, (1.0, lesion.brightness, lesion.darkness), strict=True):
                part[inside] = np.where(wins, share * np.float32(strength), part[inside])
            numbers[inside] = np.where(wins & (share >= 0.5), lesion.number, numbers[inside])
        x, y, z = (int(index) for index in whole)
        seen.append(Lesion(lesion.kind, (x, y, z), filled, lesion.brightness, lesion.darkness))
    return Lesions(maps[0], maps[1], maps[2], tuple(seen)), numbers


def changes_between(before: np.ndarray, after: np.ndarray, lesions: Sequence[FollowedLesion]) -> np.ndarray:
    """Return what changed on one grid, (X, Y, Z) uint8.

    1 lies in a new lesion, 2 in a vanished one, 3 was gained by one that has grown, 4 was lost by one that has shrunk.

    Args:
        before: whose each voxel was at the first visit, as `render_visit` returns it.
        after: the same at the second visit, on the same grid.
        lesions: the lesions.
    """
    codes = np.array([0, *(FATES.index(lesion.fate) + 1 for lesion in lesions)], np.uint8)
    gained, lost = (after > 0) & (before == 0), (before > 0) & (after == 0)
    first, second = codes[before], codes[after]
    change = np.zeros(before.shape, np.uint8)
    change[gained & ((second == 1) | (second == 3))] = second[gained & ((second == 1) | (second == 3))]
    change[lost & ((first == 2) | (first == 4))] = first[lost & ((first == 2) | (first == 4))]
    return change


def _volumes(fate: str, volume: float, smallest: float, rng: np.random.Generator) -> tuple[float, float]:
    """Return the volume at both visits."""
    if fate == "new":
        return 0.0, volume
    if fate == "vanished":
        return volume, 0.0
    factor = float(rng.uniform(1.8, 3.2))
    larger = max(volume, smallest * factor)
    if fate == "grown":
        return larger / factor, larger
    return (larger, larger / factor) if fate == "shrunken" else (volume, volume)


def _room(brain: Brain) -> np.ndarray:
    """Return how much of each voxel may be lesion."""
    return np.asarray(np.clip(brain.tissues.sum(axis=0), 0, 1) - brain.tissue("csf") - brain.tissue("plexus"))


def _shows(lesion: FollowedLesion, room: np.ndarray, voxel: np.ndarray, spacing: np.ndarray) -> bool:
    """Tell whether a lesion fills at least two voxels at each visit where it is there."""
    for volume in filter(None, lesion.volumes_mm3):
        drawn = render_lesion(lesion.shape, voxel, spacing, volume)
        if drawn is None:
            return False
        inside, share = _inside(drawn[0], drawn[1], room.shape)
        if int((share * room[inside] >= 0.5).sum()) < 2:
            return False
    return True


def _apart(one: FollowedLesion, other: FollowedLesion) -> bool:
    """Tell whether two lesions leave a gap between them at every visit."""
    return float(np.linalg.norm(one.centre_mm - other.centre_mm)) > one.reach_mm + other.reach_mm + 3.0


def _inside(
    box: tuple[slice, slice, slice], share: np.ndarray, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    """Cut a box, and what fills it, to the grid."""
    cut, kept = [], []
    for part, size in zip(box, shape, strict=True):
        low, high = max(part.start, 0), min(part.stop, size)
        cut.append(slice(low, max(low, high)))
        kept.append(slice(low - part.start, max(low, high) - part.start))
    return (cut[0], cut[1], cut[2]), share[kept[0], kept[1], kept[2]]
