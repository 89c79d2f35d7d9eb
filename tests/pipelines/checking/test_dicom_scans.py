"""A DICOM study is checked series by series, without a model too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from neuraxis.cli.main import run
from neuraxis.pipelines.checking.scans import check_scans
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def a_series(folder: Path, **options) -> Path:
    array = np.random.default_rng(0).integers(0, 2000, (1, 9, 8, 12), dtype=np.int16)
    return write_series(
        folder, Volume(array, Grid((9, 8, 12), np.diag([1.0, 1.0, 3.0, 1.0]))), SeriesOptions(**options)
    )


def test_every_series_of_a_study_is_checked_by_its_name(tmp_path: Path) -> None:
    a_series(tmp_path / "study" / "a", description="head", number=1, study="s", tilt_degrees=12)
    a_series(tmp_path / "study" / "b", description="neck", number=2, study="s")
    a_series(tmp_path / "study" / "c", description="scout", number=3, study="s")
    (tmp_path / "study" / "b" / "0004.dcm").unlink()
    head, neck = check_scans([tmp_path / "study"])
    assert (head.id, neck.id) == ("study_1-head", "study_2-neck")
    assert "9 x 8 x 12 voxels of 1, 1, 3 mm" in neck.grid
    assert ["tilted by 12.0 degrees" in head.findings[0].message, "1 slice is missing" in neck.findings[0].message] == [
        True,
        True,
    ]
    assert all("left aside as localisers or too few slices: 3-scout" in str(scan.findings) for scan in (head, neck))


def test_the_command_checks_a_study_and_names_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = a_series(tmp_path / "doe_jane")
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.PatientName, dataset.PatientIdentityRemoved = "Doe^Jane", "NO"
        dataset.save_as(file)
    (folder / "0006.dcm").write_bytes((folder / "0006.dcm").read_bytes()[:700])
    assert run(["check", str(folder)]) == 0
    told = capsys.readouterr()
    assert "scan: 9 x 8 x 12 voxels" in told.out
    assert "1 slice is missing" in told.out
    assert "1 file of its folder cannot be read, the first: 0006.dcm" in told.out
    assert "doe" not in (told.out + told.err).casefold()
    assert run(["check", str(folder), "--json"]) == 0
    assert "doe" not in capsys.readouterr().out.casefold()


def test_a_folder_of_broken_files_is_an_error_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = a_series(tmp_path / "ct")
    for file in folder.glob("*.dcm"):
        file.write_bytes(file.read_bytes()[:700])
    assert run(["check", str(folder)]) == 3
    assert "0001.dcm: " in capsys.readouterr().out
