"""Brains at two visits, in the folders of the MSLesSeg challenge.

`train/P1/T1/P1_T1_FLAIR.nii.gz` (also `T1`, `T2`, and `MASK` with 1 for lesion), `train/P1/T2/...` the second visit.
At the second visit the head lies otherwise in the scanner, by a few degrees and mm, and the slices begin elsewhere in
it. Beside `train` lies the truth about the change:

* `changes/P1.csv`: each lesion, its fate and its volume at both visits;
* `changes/P1_change.nii.gz`, on the second visit's grid: 1 new, 2 vanished, 3 gained by growth, 4 lost by shrinking;
* `changes/P1_T1_lesions.nii.gz` and `P1_T2_lesions.nii.gz`: the number of the lesion that each voxel belongs to;
* `changes/P1_motion.json`: the matrix from world coordinates of the first visit to those of the second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuraxis.dataset.phantoms.brain import grow_brain
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.followup.changes import (
    FollowedLesion,
    changes_between,
    follow_lesions,
    render_visit,
)
from neuraxis.dataset.phantoms.kind import MARGIN_MM, VARIETY, MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.dataset.phantoms.mimics import CHANNELS
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, head_axes, stored_grid
from neuraxis.dataset.phantoms.scanner import SITES, Site, acquire
from neuraxis.files import write_csv, write_json
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

_SPACING_MM = {"small": 3.0, "medium": 1.8, "large": 1.0}
_ANATOMY, _LESIONS, _SCANS, _POSE = 0, 1, (2, 3), 4
_HEADER = ("lesion", "kind", "fate", "volume_t1_mm3", "volume_t2_mm3", "x_t1_mm", "y_t1_mm", "z_t1_mm",
           "x_t2_mm", "y_t2_mm", "z_t2_mm")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Visit:
    """One scan of the head.

    Attributes:
        images: FLAIR, T1, T2 as (3, X, Y, Z) int16.
        mask: (1, X, Y, Z) uint8, 1 where a voxel is lesion by half or more.
        numbers: (1, X, Y, Z) uint8, the lesion that each voxel belongs to.
        to_world: (4, 4), from the head's grid space (mm) to the world of this visit.
        volumes_mm3: what each lesion fills.
    """

    images: Volume
    mask: Volume
    numbers: Volume
    to_world: np.ndarray
    volumes_mm3: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class FollowedBrain:
    """One subject at two visits.

    Attributes:
        visits: both scans.
        change: (1, X, Y, Z) uint8 on the second visit's grid, as `changes_between` codes it.
        lesions: every lesion, whether it is there at both visits or at one.
    """

    visits: tuple[Visit, Visit]
    change: Volume
    lesions: tuple[FollowedLesion, ...]


def follow_brain(site: Site, seed: int, subject: int, spacing_mm: float) -> FollowedBrain:
    """Form one subject and scan it twice: a function of its arguments alone."""
    pose = generator(seed, subject, _POSE)
    spacing = (spacing_mm, spacing_mm, spacing_mm)
    offsets = np.array([np.zeros(3), pose.uniform(-4, 4, 3)])
    worlds = [np.eye(4), _rigid(np.deg2rad(pose.uniform(-4, 4, 3)), pose.uniform(-5, 5, 3))]
    grids = [[axis + shift for axis, shift in zip(head_axes(spacing, PhantomOptions(), MARGIN_MM), by, strict=True)]
             for by in offsets]  # fmt: skip
    brains = [grow_brain(axes, generator(seed, subject, _ANATOMY), VARIETY) for axes in grids]
    lesions = follow_lesions(brains[0], grids[0], generator(seed, subject, _LESIONS))
    visits = []
    for visit, (axes, brain, world) in enumerate(zip(grids, brains, worlds, strict=True)):
        filled, numbers = render_visit(lesions, brain, axes, visit)
        images = acquire(brain, filled, axes, site, generator(seed, subject, _SCANS[visit]))
        stored = _stored(axes, spacing, site, world)
        name = f"phantom {seed}/{subject}, visit {visit + 1}"
        parts = (images, filled.mask[None].astype(np.uint8), numbers[None])
        volumes = [Volume(part, stored.canonical_grid, stored, name) for part in parts]
        filled_mm3 = tuple(lesion.volume_mm3 for lesion in filled.each)
        visits.append(Visit(volumes[0], volumes[1], volumes[2], world, filled_mm3))
    _, before = render_visit(lesions, brains[1], grids[1], 0)
    after = visits[1].numbers
    change = after.with_array(changes_between(before, after.array[0], lesions)[None])
    return FollowedBrain((visits[0], visits[1]), change, lesions)


def _begin(folder: Path, options: MakeOptions) -> None:
    (folder / "changes").mkdir()


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    made, id = _make(options, subject), f"P{subject}"
    for number, visit in enumerate(made.visits, 1):
        place, stem = folder / "train" / id / f"T{number}", f"{id}_T{number}"
        for index, channel in enumerate(CHANNELS):
            image = visit.images.with_array(visit.images.array[index : index + 1])
            nifti.write(place / f"{stem}_{channel}.nii.gz", image)
        nifti.write(place / f"{stem}_MASK.nii.gz", visit.mask)
        nifti.write(folder / "changes" / f"{stem}_lesions.nii.gz", visit.numbers)
    nifti.write(folder / "changes" / f"{id}_change.nii.gz", made.change)
    write_csv(folder / "changes" / f"{id}.csv", _HEADER, _lines(made))
    motion = made.visits[1].to_world @ np.linalg.inv(made.visits[0].to_world)
    write_json(folder / "changes" / f"{id}_motion.json", {"from": "T1", "to": "T2", "matrix_mm": motion.tolist()})


def _lines(made: FollowedBrain) -> list[list[object]]:
    lines = []
    for place, lesion in enumerate(made.lesions):
        line: list[object] = [lesion.number, lesion.kind, lesion.fate]
        line += [f"{visit.volumes_mm3[place]:.2f}" for visit in made.visits]
        for visit in made.visits:
            line += [f"{value:.2f}" for value in (visit.to_world @ [*lesion.centre_mm, 1])[:3]]
        lines.append(line)
    return lines


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    visit = _make(options, subject).visits[1]
    return Specimen(visit.images.array, visit.mask.array[0], CHANNELS, {"lesion": (1,)})


def _make(options: MakeOptions, subject: int) -> FollowedBrain:
    site = SITES[site_number(options, subject)]
    return follow_brain(site, options.seed, subject, _SPACING_MM[options.size])


def _rigid(angles: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """Return the matrix (4, 4) that turns about x, then y, then z, and then shifts."""
    matrix = np.eye(4)
    for axis, angle in enumerate(angles):
        turn = np.eye(4)
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turn[[one, two], [one, two]] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = shift_mm
    return matrix


def _stored(axes: Sequence[np.ndarray], spacing: tuple[float, float, float], site: Site, world: np.ndarray) -> Stored:
    """Return how the files of a visit lie: as the site stores them, moved with the head."""
    plain = Site(
        site.name, spacing, site.axis_codes, 0.0, site.gain, site.contrast, site.bias, site.noise, site.blur_mm
    )
    shape = tuple(len(axis) for axis in axes)
    grid = stored_grid((shape[0], shape[1], shape[2]), spacing, np.array([axis[0] for axis in axes]), plain)
    return Stored.of(Grid(grid.shape, world @ grid.affine))


KIND = PhantomKind("mslesseg", len(SITES), _begin, _write, _specimen)
