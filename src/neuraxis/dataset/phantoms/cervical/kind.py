"""Necks on CT with vertebrae numbered as in RSNA 2022, C1 to C7 as 1 to 7 and T1 to T12 as 8 to 19.

Until series of slices are written they lie as an nnU-Net raw dataset: `imagesTr/neck001_0000.nii.gz` in Hounsfield
units, `labelsTr/neck001.nii.gz`, and `dataset.json`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuraxis.dataset.phantoms.cervical.neck_ct import SITES, Lattice, Neck
from neuraxis.dataset.phantoms.cervical.spine import NAMES
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.files import write_json
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

_SPACING_MM = {"small": 3.0, "medium": 1.6, "large": 0.8}
_FIELD_MM = 192.0
_FORWARD_MM = -8.0
_ANATOMY, _FRAME, _SCAN = range(3)
_OUTSIDE_HU = 1025.0
NUMBERS = {name: number for number, name in enumerate(NAMES, 1)}


def _begin(folder: Path, options: MakeOptions) -> None:
    write_json(
        folder / "dataset.json",
        {
            "name": "necks",
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, **NUMBERS},
            "numTraining": options.cases,
            "file_ending": ".nii.gz",
        },
    )


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    image, labels, lattice = _make(options, subject)
    affine = np.diag([*lattice.spacing_mm, 1.0])
    affine[:3, 3] = [axis[0] for axis in lattice.axes]
    grid, name = Grid(lattice.shape, affine), f"neck{subject:03d}"
    nifti.write(folder / "imagesTr" / f"{name}_0000.nii.gz", Volume(image[None], grid))
    nifti.write(folder / "labelsTr" / f"{name}.nii.gz", Volume(labels[None], grid))


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    image, labels, _ = _make(options, subject)
    shifted = image[None].astype(np.float32) + np.float32(_OUTSIDE_HU)
    structures = {"vertebrae": tuple(NUMBERS.values()), "cervical vertebrae": tuple(range(1, 8))}
    return Specimen(shifted, labels, ("CT",), structures)


def _make(options: MakeOptions, subject: int) -> tuple[np.ndarray, np.ndarray, Lattice]:
    neck = Neck.draw(generator(options.seed, subject, _ANATOMY))
    site, lattice = SITES[site_number(options, subject)], _lattice(options, subject)
    image = neck.scan(lattice, site, generator(options.seed, subject, _SCAN))
    return image, neck.labels(lattice), lattice


def _lattice(options: MakeOptions, subject: int) -> Lattice:
    """Return the slices of a scan: from the skull's base down to a thoracic vertebra, T2 to T6."""
    step, site = _SPACING_MM[options.size], SITES[site_number(options, subject)]
    rng = generator(options.seed, subject, _FRAME)
    count = 2 * round(_FIELD_MM / step / 2)
    across = (np.arange(count) - (count - 1) / 2) * step
    bottom, top = -float(rng.uniform(165, 240)), float(rng.uniform(14, 40))
    between = step * site.thickness
    return Lattice(across, across + _FORWARD_MM, bottom + np.arange(round((top - bottom) / between)) * between)


KIND = PhantomKind("nnunet", len(SITES), _begin, _write, _specimen)
