"""A folder of DICOM that is no dataset is refused by what it is, and without its patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.series_writing import write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def test_a_study_without_label_maps_is_answered_with_what_can_be_done(tmp_path: Path) -> None:
    folder = tmp_path / "doe_jane"
    write_series(folder / "t1", Volume(np.zeros((1, 4, 4, 4), np.int16), Grid((4, 4, 4), np.eye(4))))
    for file in (folder / "t1").glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.PatientName, dataset.PatientIdentityRemoved = "Doe^Jane", "NO"
        dataset.save_as(file)
    with pytest.raises(DataError, match=r"\*\*\*: holds DICOM, and no layout.*Check or segment it as it lies") as told:
        open_dataset(folder)
    assert "doe" not in str(told.value)
