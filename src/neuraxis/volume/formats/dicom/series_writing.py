"""A volume written as a DICOM series of single slices: a scan for programs that read nothing else.

The series is anonymous unless a patient is named. Whole numbers that fit 16 bits are kept as they are; others are
scaled by one slope.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from neuraxis._version import __version__
from neuraxis.errors import DataError, ResourceError, UsageError
from neuraxis.registry import need
from neuraxis.volume.formats.dicom.stack import TO_RAS
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

NOTICE = "Research use only, not a medical device"
_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
_EMPTY = (
    "AccessionNumber", "AcquisitionNumber", "Laterality", "PatientBirthDate", "PatientSex",
    "PositionReferenceIndicator", "ReferringPhysicianName", "StudyDate", "StudyID", "StudyTime",
)  # fmt: skip
_RIGHT_ANGLE = 1e-3
_WORST_TILT = 45.0


@dataclass(frozen=True)
class SeriesOptions:
    """What a series says about itself.

    Attributes:
        modality: CT or MR.
        description: of the series.
        number: of the series.
        patient: name and number of the patient; a pseudonym.
        study: what series of one study share; empty: a study of its own.
        tilt_degrees: of the gantry, between -45 and 45: slices are cut through the volume as a tilted gantry does.
    """

    modality: str = "CT"
    description: str = NOTICE
    number: int = 1
    patient: str = "ANONYMOUS"
    study: str = ""
    tilt_degrees: float = 0.0


def write_series(
    folder: Path | str, volume: Volume, options: SeriesOptions | None = None, overwrite: bool = False
) -> Path:
    """Write a volume (1, X, Y, Z) as a folder of DICOM slices, `0001.dcm` and so on.

    Without a tilt, slices are the volume's along the third axis as its file has it, and reading them again gives the
    same voxels on the same grid. With one, they are cut through the same place in space by linear interpolation; a
    reader brings them onto a straight grid of its own.

    Args:
        folder: where the slices go; it must be empty or new.
        volume: of one channel, its axes at right angles.
        options: what the series says.
        overwrite: whether a folder that holds DICOM files only is replaced.

    Returns:
        The folder.

    Raises:
        DataError: the volume has several channels, values that are not finite, or a slanted grid.
        UsageError: the folder holds something already.
        MissingExtra: pydicom is not installed.
        ResourceError: it cannot be written.
    """
    need("pydicom", "dicom")
    options, folder = options or SeriesOptions(), Path(folder)
    _refuse(folder, volume, options, overwrite)
    stored = volume.stored or Stored.of(volume.grid)
    slices, grid = stored.from_canonical(volume.array)[0].transpose(2, 1, 0), stored.grid
    if options.tilt_degrees:
        slices, places, directions = _tilted(slices, grid, options.tilt_degrees)
    else:
        places, directions = _straight(grid)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            made = Path(part) / folder.name
            made.mkdir()
            _write(made, slices, _headers(slices, grid, places, directions, options))
            if folder.exists():
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        raise ResourceError(f"{folder}: could not be written ({error.strerror}). Choose another place.") from error
    return folder


def _refuse(folder: Path, volume: Volume, options: SeriesOptions, overwrite: bool) -> None:
    if options.modality not in _CLASSES:
        raise UsageError(f"A series is written as CT or MR, not as '{options.modality}'.")
    if abs(options.tilt_degrees) > _WORST_TILT:
        raise UsageError(f"A gantry is tilted by at most {_WORST_TILT:g} degrees, not {options.tilt_degrees:g}.")
    who = volume.name or "The volume"
    if volume.channels > 1:
        raise DataError(f"{who}: has {volume.channels} channels. A series holds one; write each.")
    if volume.array.dtype.kind == "f" and not np.isfinite(volume.array).all():
        raise DataError(f"{who}: holds NaN or infinity, which DICOM cannot. Replace them first.")
    axes = volume.grid.affine[:3, :3] / np.array(volume.grid.exact_spacing_mm)
    if np.abs(axes.T @ axes - np.eye(3)).max() > _RIGHT_ANGLE:
        raise DataError(f"{who}: its axes are not at right angles. Resample it first.")
    inside = list(folder.iterdir()) if folder.is_dir() else [folder] if folder.exists() else []
    if inside and not (overwrite and folder.is_dir() and all(file.suffix == ".dcm" for file in inside)):
        raise UsageError(f"{folder} holds something already. Name an empty or new folder.")


def _straight(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return where each slice begins (K, 3), and the directions of rows and columns (2, 3), in DICOM's world."""
    affine = TO_RAS @ grid.affine
    places = affine[:3, 3] + np.arange(grid.shape[2])[:, None] * affine[:3, 2]
    return places, (affine[:3, :2] / np.array(grid.exact_spacing_mm[:2])).T


def _tilted(slices: np.ndarray, grid: Grid, degrees: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut slices through (K, rows, columns) as a gantry does that is tilted about the direction of the rows.

    Each begins at the same edge; the table moves along the slices' axis as before.
    """
    places, (row, column) = _straight(grid)
    affine = TO_RAS @ grid.affine
    along = affine[:3, 2] / grid.exact_spacing_mm[2]
    angle = np.radians(degrees)
    tilted = np.cos(angle) * column - np.sin(angle) * along
    middle = (slices.shape[1] - 1) / 2 * grid.exact_spacing_mm[1]
    places = places + middle * (column - tilted)
    down = np.arange(slices.shape[1]) * grid.exact_spacing_mm[1]
    # rows do not move along the rows' direction, so each column of a slice is cut alike
    sideways = np.empty((slices.shape[0], slices.shape[1], 2))
    for place, out in zip(places, sideways, strict=True):
        world = place + down[:, None] * tilted
        index = np.linalg.solve(affine[:3, :3], (world - affine[:3, 3]).T).T
        out[...] = index[:, [2, 1]]
    cut = np.empty(slices.shape, np.float32)
    lowest = float(slices.min())
    for across in range(slices.shape[2]):
        cut[:, :, across] = ndimage.map_coordinates(
            slices[:, :, across].astype(np.float32), sideways.transpose(2, 0, 1), order=1, cval=lowest
        )
    whole = slices.dtype.kind in "iu"
    return (np.rint(cut).astype(slices.dtype) if whole else cut), places, np.stack([row, tilted])


def _headers(
    slices: np.ndarray, grid: Grid, places: np.ndarray, directions: np.ndarray, options: SeriesOptions
) -> list[Any]:
    """Return the dataset of each slice, its pixels left out."""
    content = hashlib.sha256(np.ascontiguousarray(slices).tobytes() + places.tobytes()).hexdigest()
    slope, intercept = _scale(slices)
    datasets = []
    for index, place in enumerate(places):
        dataset = _of_the_series(options, content)
        dataset.SOPInstanceUID = _uid("instance", dataset.SeriesInstanceUID, index)
        dataset.InstanceNumber = index + 1
        dataset.ImagePositionPatient = [_decimal(part) for part in place]
        dataset.ImageOrientationPatient = [_decimal(part) for part in directions.ravel()]
        dataset.PixelSpacing = [_decimal(grid.exact_spacing_mm[axis]) for axis in (1, 0)]
        dataset.SliceThickness = _decimal(_thickness(grid, options))
        if options.modality == "CT" or (slope, intercept) != (1, 0):
            dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(slope), _decimal(intercept)
        datasets.append(dataset)
    return datasets


def _of_the_series(options: SeriesOptions, content: str) -> Any:
    """Return what all slices of a series say alike."""
    from neuraxis.volume.formats.dicom.quiet_pydicom import pydicom

    study = (options.patient, options.study or content)
    dataset = pydicom.Dataset()
    for keyword in _EMPTY:
        setattr(dataset, keyword, None)
    dataset.SOPClassUID = _CLASSES[options.modality]
    dataset.StudyInstanceUID = _uid("study", *study)
    dataset.SeriesInstanceUID = _uid("series", *study, options.number, options.description, content)
    dataset.FrameOfReferenceUID = _uid("frame", *study)
    dataset.PatientName = dataset.PatientID = options.patient
    dataset.PatientIdentityRemoved, dataset.DeidentificationMethod = "YES", "never held an identity"
    dataset.Modality, dataset.PatientPosition = options.modality, "HFS"
    dataset.Manufacturer, dataset.SoftwareVersions = "neuraxis", __version__
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if options.modality == "CT" else "OTHER"]
    dataset.SeriesDescription, dataset.DerivationDescription = options.description[:64], NOTICE
    dataset.SeriesNumber = options.number
    if options.modality == "CT":
        dataset.KVP, dataset.GantryDetectorTilt = None, _decimal(options.tilt_degrees)
    else:
        dataset.ScanningSequence, dataset.SequenceVariant, dataset.ScanOptions = "RM", "NONE", None
        dataset.MRAcquisitionType, dataset.EchoTrainLength = "3D", None
        dataset.EchoTime = dataset.RepetitionTime = None
    return dataset


def _uid(*words: object) -> Any:
    """Return the UID that these words always have."""
    from neuraxis.volume.formats.dicom.quiet_pydicom import pydicom

    return pydicom.uid.generate_uid(entropy_srcs=["neuraxis", *map(str, words)])


def _write(folder: Path, slices: np.ndarray, datasets: list[Any]) -> None:
    from neuraxis.volume.formats.dicom.quiet_pydicom import pydicom

    for array, dataset in zip(slices, datasets, strict=True):
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
        stored = np.clip(np.rint((array - np.float64(intercept)) / slope), -(2**15), 2**15 - 1).astype("<i2")
        dataset.Rows, dataset.Columns = stored.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 1
        dataset.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.save_as(folder / f"{dataset.InstanceNumber:04}.dcm", enforce_file_format=True)


def _scale(slices: np.ndarray) -> tuple[float, float]:
    """Return the slope and intercept that bring values into 16 bits; 1 and 0 for whole numbers that fit."""
    low, high = float(slices.min()), float(slices.max())
    whole = slices.dtype.kind in "iub" or bool((slices == np.rint(slices)).all())
    if whole and low >= -(2**15) and high < 2**15:
        return 1.0, 0.0
    slope = float(_decimal((high - low) / 65000 or 1.0))
    return slope, float(_decimal((high + low) / 2))


def _thickness(grid: Grid, options: SeriesOptions) -> float:
    return grid.exact_spacing_mm[2] * float(np.cos(np.radians(options.tilt_degrees)))


def _decimal(value: float) -> str:
    """Return a number as DICOM writes it, in at most 16 characters."""
    return next(text for digits in range(14, 5, -1) if len(text := f"{float(value):.{digits}g}") <= 16)
