"""Necks on EPI, in BIDS.

`sub-leipzig01/func/sub-leipzig01_task-rest_bold.nii.gz` with its sidecar, `participants.tsv` with the site of each,
`derivatives/labels/.../sub-leipzig01_task-rest_label-spinalcord_mask.nii.gz` with the cord as it lies on the mean of
the series, and the truth about the motion in `sourcedata/truth/sub-leipzig01_task-rest_motion.tsv`: a line a volume,
two columns a slice.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraxis._version import __version__
from neuraxis.dataset.phantoms.cord.anatomy import Neck
from neuraxis.dataset.phantoms.cord.series import SITES, EpiSite, Matrix, Series, scan_neck
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.files import write_json, write_text
from neuraxis.volume.formats import nifti
from neuraxis.volume.formats.nifti_header import Header
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

BIDS_VERSION = "1.10.0"
_ANATOMY, _SCAN = 0, 2
_EXTENT_MM = 112.0
_SLAB_MM = 50.0
_COARSENESS = {"small": 1.6, "medium": 1.0, "large": 0.9}
_VOLUMES = {"small": 6, "medium": 12, "large": 40}
_MILLIMETRES, _SECONDS = 2, 8  # codes of NIfTI
_LABELS, _TRUTH = "derivatives/labels", "sourcedata/truth"


def _id(site: EpiSite, options: MakeOptions, subject: int) -> str:
    return f"sub-{site.name}{(subject - 1) // options.sites + 1:02d}"


def _begin(folder: Path, options: MakeOptions) -> None:
    lines = ["participant_id\tage\tsex\tspecies\tpathology\tinstitution\tsite"]
    for subject in range(1, options.cases + 1):
        site = SITES[site_number(options, subject)]
        rng = generator(options.seed, subject, 1)
        traits = (str(int(rng.integers(20, 66))), "MF"[int(rng.integers(2))], "homo sapiens", "HC")
        lines.append("\t".join((_id(site, options, subject), *traits, "synthetic", site.name)))
    write_text(folder / "participants.tsv", "\n".join(lines) + "\n")
    write_json(
        folder / "participants.json",
        {
            "age": {"Description": "Age, drawn at random", "Units": "year"},
            "sex": {"Description": "Sex, drawn at random", "Levels": {"M": "male", "F": "female"}},
            "species": {"Description": "Species that the phantom stands for"},
            "pathology": {"Description": "Diagnosis", "Levels": {"HC": "healthy control"}},
            "institution": {"Description": "Where the scan was made; synthetic for all"},
            "site": {"Description": "Protocol that the phantom stands for"},
        },
    )
    write_json(folder / "dataset_description.json", _description("Phantoms of the spinal cord on EPI", "raw"))
    write_text(
        folder / "README",
        "Synthetic series of the cervical spinal cord on EPI, made by neuraxis: no person was scanned.\n"
        "The cord as it lies on the mean of each series is in derivatives/labels. How far each slice of each volume\n"
        "lies from its mean place is told in sourcedata/truth. Not for clinical use.\n",
    )
    write_json(folder / _LABELS / "dataset_description.json", _description("Spinal cord of the phantoms", "derivative"))


def _description(name: str, what: str) -> dict[str, object]:
    content: dict[str, object] = {
        "Name": name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": what,
        "License": "Apache-2.0",
        "Authors": ["neuraxis", "a generator of random numbers"],
    }
    if what == "derivative":
        content["GeneratedBy"] = [{"Name": "neuraxis", "Version": __version__, "Description": "synthetic truth"}]
    return content


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    site = SITES[site_number(options, subject)]
    matrix, series = _make(options, subject)
    id = _id(site, options, subject)
    stem = f"{id}_task-rest"
    stored = _stored(matrix, generator(options.seed, subject, 4))
    raw = folder / id / "func" / f"{stem}_bold.nii.gz"
    name = f"phantom {options.seed}/{subject}"
    timed = replace(stored, header=_header(stored.grid, len(series.bold), site.repetition_s))
    nifti.write(raw, Volume(series.bold, stored.canonical_grid, timed, name))
    write_json(raw.with_name(f"{stem}_bold.json"), _sidecar(site, matrix))
    label = folder / _LABELS / id / "func" / f"{stem}_label-spinalcord_mask.nii.gz"
    nifti.write(label, Volume(series.cord[None], stored.canonical_grid, stored, name))
    sidecar = {
        "Type": "ROI",
        "Sources": [f"bids:raw:{id}/func/{stem}_bold.nii.gz"],
        "Description": "cord by half or more on the mean of the series",
    }
    write_json(label.with_name(f"{stem}_label-spinalcord_mask.json"), sidecar)
    _write_motion(folder / _TRUTH / f"{stem}_motion.tsv", series.motion_mm)


def _write_motion(path: Path, motion_mm: np.ndarray) -> None:
    names = [f"slice{index:02d}_{axis}" for index in range(motion_mm.shape[1]) for axis in "xy"]
    lines = ["\t".join(f"{value:.5f}" for value in volume.ravel()) for volume in motion_mm]
    write_text(path, "\n".join(["\t".join(names), *lines]) + "\n")
    meaning = "shift of the slice from its mean place, {} positive"
    write_json(
        path.with_suffix(".json"),
        {
            name: {"Units": "mm", "Description": meaning.format("right" if name.endswith("x") else "front")}
            for name in names
        },
    )


def _sidecar(site: EpiSite, matrix: Matrix) -> dict[str, object]:
    slices = matrix.shape[2]
    return {
        "TaskName": "rest",
        "Manufacturer": site.manufacturer,
        "MagneticFieldStrength": 3,
        "RepetitionTime": site.repetition_s,
        "EchoTime": 0.03,
        "FlipAngle": 75,
        "PhaseEncodingDirection": "j",
        "EffectiveEchoSpacing": 0.00055,
        "SliceTiming": [round(index * site.repetition_s / slices, 4) for index in range(slices)],
        "InstitutionName": "synthetic",
    }


def _stored(matrix: Matrix, rng: np.random.Generator) -> Stored:
    """Return the grid of the files: slices at right angles to a tilted cord, somewhere in the scanner."""
    angle = np.deg2rad(rng.uniform(-18, 12))
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(matrix.spacing_mm)
    centre = (np.array(matrix.shape) - 1) / 2
    affine[:3, 3] = rng.uniform((-4, -40, -60), (4, -20, -20)) - affine[:3, :3] @ centre
    return Stored.of(Grid(matrix.shape, affine))


def _header(grid: Grid, volumes: int, repetition_s: float) -> Header:
    """Return the header of a series, which says how long a volume takes."""
    header = Header()
    header["dim"] = (4, *grid.shape, volumes, 1, 1, 1)
    header.set_affine(grid.affine)
    header["pixdim"][4] = repetition_s
    header["xyzt_units"] = _MILLIMETRES + _SECONDS
    return header


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    _, series = _make(options, subject)
    mean = series.bold.mean(axis=0, dtype=np.float32)[None]
    return Specimen(np.maximum(mean, 1e-3), series.cord, ("mean bold",), {"spinal cord": (1,)})


def _make(options: MakeOptions, subject: int) -> tuple[Matrix, Series]:
    site = SITES[site_number(options, subject)]
    factor = _COARSENESS[options.size]
    x, y, z = (step * factor for step in (*site.spacing_mm[:2], site.spacing_mm[2] / factor))
    across = 2 * round(_EXTENT_MM / x / 2)
    matrix = Matrix((across, across, max(4, round(_SLAB_MM / z))), (x, y, z), _VOLUMES[options.size])
    neck = Neck.draw(generator(options.seed, subject, _ANATOMY))
    return matrix, scan_neck(neck, site, matrix, generator(options.seed, subject, _SCAN))


KIND = PhantomKind("bids", len(SITES), _begin, _write, _specimen, description="sourcedata/phantoms.json")
