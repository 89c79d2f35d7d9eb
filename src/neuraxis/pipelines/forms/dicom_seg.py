"""A label map as DICOM SEG on the slices of the series that it was found in."""

from __future__ import annotations

from pathlib import Path

from neuraxis.dataset.case import ImageFile
from neuraxis.errors import UsageError
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.volume.formats.dicom import dicom


def _check(name: str, scan: ImageFile | None) -> None:
    """Raise `UsageError` where the scan is no DICOM series."""
    if scan is None:
        raise UsageError(
            f"{name}: a DICOM SEG lies on the slices of a DICOM series, and none was named. Name its folder with "
            "--source."
        )
    if not dicom.is_part(scan.path):
        raise UsageError(
            f"{name}: a DICOM SEG lies on the slices of a DICOM series, but {scan.path} is none. Segment the DICOM "
            "folder itself, or convert the label map with --source FOLDER."
        )


def _write(export: Export, path: Path, overwrite: bool) -> None:
    from neuraxis.volume.formats.dicom.segmentation.writing import Author, Segment, Source, write_segmentation

    if export.scan is None:
        raise UsageError(f"{export.name}: a DICOM SEG needs the series that it belongs to.")
    segments = [Segment(structure.number, structure.name, structure.rgb) for structure in export.structures or ()]
    if "model" in export.about:
        model, version = str(export.about["model"]), str(export.about.get("model_hash", "not stated"))
        author = Author(model, version, description=f"{model}. Research use only")
    else:
        author = Author("not stated", "not stated", "SEMIAUTOMATIC")
    source = Source(export.scan.path, export.scan.series)
    write_segmentation(path, export.volume, source, segments, author, overwrite)


DICOM_SEG = Form((".dcm",), _write, packages=("pydicom", "highdicom"), check=_check)
