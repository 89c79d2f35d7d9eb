"""The file formats of scans as forms: what was read is written again, voxel for voxel."""

from __future__ import annotations

from pathlib import Path

from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.volume.formats import any_format


def _write(export: Export, path: Path, overwrite: bool) -> None:
    any_format.write(path, export.volume, overwrite)


NIFTI = Form((".nii.gz", ".nii"), _write)
