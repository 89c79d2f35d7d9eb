"""The file formats of scans as forms: what was read is written again, voxel for voxel."""

from __future__ import annotations

from pathlib import Path

from neuraxis.dataset.case import ImageFile
from neuraxis.errors import DataError, UsageError
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.format import Segment

HOUNSFIELD = -200  # below it lies air or fat on CT, and nothing on MR


def _write(export: Export, path: Path, overwrite: bool) -> None:
    any_format.write(path, export.volume, overwrite)


def _write_series(export: Export, folder: Path, overwrite: bool) -> None:
    """Write a scan as a folder of DICOM slices; Hounsfield units say that it is CT, else it is MR."""
    from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series

    modality = "CT" if export.volume.array.min() < HOUNSFIELD else "MR"
    write_series(folder, export.volume, SeriesOptions(modality), overwrite)


def _write_segments(export: Export, path: Path, overwrite: bool) -> None:
    meant = [Segment(one.name, one.number, colour=one.colour) for one in export.structures or ()]
    any_format.write_labels(path, export.volume, meant, overwrite)


def _is_picture(name: str, scan: ImageFile | None) -> None:
    """Raise `UsageError` where the scan has several slices, which no picture holds."""
    try:
        grid = any_format.read_grid(scan.path, scan.series)[0] if scan else None
    except DataError:  # reading it tells the user why
        return
    if grid is not None and grid.shape[2] > 1:
        raise UsageError(
            f"{name}: a PNG holds one slice, but the scan has {grid.describe()}. Write --as overlay for a picture of "
            "several slices, or --as nrrd, mha or seg-nrrd for all voxels."
        )


NIFTI = Form((".nii.gz", ".nii"), _write, takes="files")
NRRD = Form((".nrrd",), _write, takes="files")
MHA = Form((".mha",), _write, takes="files")
DICOM = Form(("",), _write_series, takes="files", packages=("pydicom",))
PNG = Form((".png",), _write, takes="files", packages=("PIL",), check=_is_picture)
SEG_NRRD = Form((".seg.nrrd",), _write_segments)
