"""A scan of any format: told by its ending, or by what it holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def a_volume() -> Volume:
    array = np.arange(24, dtype=np.int16).reshape(1, 2, 3, 4)
    return Volume(array, Grid((2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0])))


def test_a_stem_loses_the_whole_ending_and_keeps_its_dots() -> None:
    assert any_format.stem(Path("x/sub.01.nii.gz")) == "sub.01"
    assert any_format.stem(Path("sub.01.NII")) == "sub.01"
    assert any_format.stem(Path("notes.txt")) == "notes.txt"


def test_what_is_written_is_read_again_under_an_ending_of_any_case(tmp_path: Path) -> None:
    any_format.write(tmp_path / "A.NII.nii.gz", a_volume())
    found = any_format.read(tmp_path / "A.NII.nii.gz")
    assert np.array_equal(found.array, a_volume().array)
    assert any_format.read_grid(tmp_path / "A.NII.nii.gz")[0].matches(a_volume().grid)


def test_a_file_of_no_known_format_is_answered_with_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "scan.docx").write_text("a letter")
    with pytest.raises(DataError, match=r"scan\.docx: is no scan that is known\. Known are .*\.nii"):
        any_format.read(tmp_path / "scan.docx")
    with pytest.raises(DataError, match="no such file"):
        any_format.read(tmp_path / "gone.docx")


def test_an_ending_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Choose \.nii\.gz"):
        any_format.write(tmp_path / "scan.docx", a_volume())


def test_hidden_files_are_no_scans() -> None:
    assert any_format.is_scan(Path("a.nii.gz"))
    assert not any_format.is_scan(Path("._a.nii.gz"))
    assert not any_format.is_scan(Path("a.txt"))
