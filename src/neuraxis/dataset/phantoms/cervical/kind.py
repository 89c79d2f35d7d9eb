"""Necks on CT in the folders of RSNA 2022: a DICOM study each; C1 to C7 are numbered 1 to 7, T1 to T12 8 to 19.

`train_images/2.25.7/0001.dcm` and so on, `segmentations/2.25.7.nii` on the grid that reading the series gives. With a
tilt the slices are cut as a tilted gantry cuts them; the vertebrae are rendered on the grid that a reader brings
them to, so the answer is exact there too.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np

from neuraxis.dataset.phantoms.cervical.neck_ct import SITES, Lattice, Neck
from neuraxis.dataset.phantoms.cervical.spine import NAMES
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.files import write_csv
from neuraxis.registry import need
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

_SPACING_MM = {"small": 3.0, "medium": 1.6, "large": 0.8}
_FIELD_MM = 192.0
_FORWARD_MM = -8.0
_ANATOMY, _FRAME, _SCAN = range(3)
_OUTSIDE_HU = 1025.0
NUMBERS = {name: number for number, name in enumerate(NAMES, 1)}


def study_name(options: MakeOptions, subject: int) -> str:
    """Return the name of a subject's folder, in the form of a UID; a function of seed and subject."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'neuraxis neck {options.seed} {subject}').int}"


def _begin(folder: Path, options: MakeOptions) -> None:
    need("pydicom", "dicom")
    header = ("study", "site")
    numbers = range(1, options.cases + 1)
    lines = [(study_name(options, number), SITES[site_number(options, number)].name) for number in numbers]
    write_csv(folder / "sites.csv", header, lines)
    (folder / "train_images").mkdir()


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series

    neck, grid, uid = _neck(options, subject), _grid(options, subject), study_name(options, subject)
    image = Volume(_scan(neck, grid, options, subject)[None], grid, _stored(grid), f"neck {subject}")
    patient, tilt = f"phantom{subject:03d}", options.tilt_degrees
    told = SeriesOptions("CT", patient=patient, study=uid, tilt_degrees=tilt, description="synthetic neck")
    series = write_series(folder / "train_images" / uid, image, told)
    seen, _ = any_format.read_grid(series)
    labels = neck.labels(Lattice(seen))
    stored = any_format.read(series).stored
    nifti.write(folder / "segmentations" / f"{uid}.nii", Volume(labels[None], seen, _plain(stored), f"neck {subject}"))


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    neck, grid = _neck(options, subject), _grid(options, subject)
    shifted = _scan(neck, grid, options, subject)[None].astype(np.float32) + np.float32(_OUTSIDE_HU)
    structures = {"vertebrae": tuple(NUMBERS.values()), "cervical vertebrae": tuple(range(1, 8))}
    return Specimen(shifted, neck.labels(Lattice(grid)), ("CT",), structures)


def _neck(options: MakeOptions, subject: int) -> Neck:
    return Neck.draw(generator(options.seed, subject, _ANATOMY))


def _scan(neck: Neck, grid: Grid, options: MakeOptions, subject: int) -> np.ndarray:
    return neck.scan(Lattice(grid), SITES[site_number(options, subject)], generator(options.seed, subject, _SCAN))


def _grid(options: MakeOptions, subject: int) -> Grid:
    """Return the canonical grid of a scan: from the skull's base down to a thoracic vertebra, T2 to T6."""
    step, site = _SPACING_MM[options.size], SITES[site_number(options, subject)]
    rng = generator(options.seed, subject, _FRAME)
    count = 2 * round(_FIELD_MM / step / 2)
    first = -(count - 1) / 2 * step
    bottom, top = -float(rng.uniform(165, 240)), float(rng.uniform(14, 40))
    between = step * site.thickness
    affine = np.diag([step, step, between, 1.0])
    affine[:3, 3] = first, first + _FORWARD_MM, bottom
    return Grid((count, count, round((top - bottom) / between)), affine)


def _stored(grid: Grid) -> Stored:
    """Return how a CT is stored: columns run to the left, rows to the back, slices from the head down."""
    affine = np.diag([*(-step for step in grid.exact_spacing_mm), 1.0])
    affine[:3, 3] = grid.affine[:3, :3] @ (np.array(grid.shape) - 1) + grid.affine[:3, 3]
    return Stored.of(Grid(grid.shape, affine))


def _plain(stored: Stored | None) -> Stored | None:
    """Return the same order of voxels without another format's header."""
    return Stored.of(stored.grid) if stored is not None else None


KIND = PhantomKind("rsna", len(SITES), _begin, _write, _specimen, tilts=True)
