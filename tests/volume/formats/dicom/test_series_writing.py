"""A volume written as a DICOM series is the same volume when it is read again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def a_volume(dtype=np.int16, affine=None) -> Volume:
    array = np.random.default_rng(0).normal(0, 300, (1, 9, 8, 7)).astype(dtype)
    return Volume(array, Grid((9, 8, 7), np.diag([0.7, 0.8, 3.0, 1.0]) if affine is None else affine))


def test_voxels_and_grid_are_the_same_again(tmp_path: Path) -> None:
    volume = a_volume()
    assert write_series(tmp_path / "ct", volume) == tmp_path / "ct"
    found = any_format.read(tmp_path / "ct")
    assert np.array_equal(found.array, volume.array)
    assert found.array.dtype == np.int16
    assert found.grid.matches(volume.grid)
    assert any_format.read_grid(tmp_path / "ct")[0].matches(volume.grid)
    assert any_format.geometry_remarks(found) == ()


def test_an_oblique_scan_keeps_its_angles_and_the_layout_of_its_file(tmp_path: Path) -> None:
    angle = np.radians(20)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-0.7, 0.8, 3.0])
    affine[:3, 3] = 11, -22, 33
    nifti.write(tmp_path / "a.nii", a_volume(affine=affine))
    volume = nifti.read(tmp_path / "a.nii")
    write_series(tmp_path / "mr", volume, SeriesOptions(modality="MR"))
    found = any_format.read(tmp_path / "mr")
    assert found.grid.matches(volume.grid)
    assert np.array_equal(found.array, volume.array)


def test_fractions_are_scaled_by_one_slope(tmp_path: Path) -> None:
    volume = a_volume(np.float32)
    write_series(tmp_path / "mr", volume, SeriesOptions(modality="MR"))
    found = any_format.read(tmp_path / "mr").array
    assert found.dtype == np.float32
    assert np.abs(found - volume.array).max() < np.ptp(volume.array) / 60000


def test_a_tilted_series_shows_the_same_places(tmp_path: Path) -> None:
    x, y, z = np.meshgrid(*(np.arange(size) for size in (40, 40, 20)), indexing="ij")
    ball = (x - 20) ** 2 + (y - 16) ** 2 + (2 * (z - 9)) ** 2 < 100
    volume = Volume(np.where(ball, 1000, -1000).astype(np.int16)[None], Grid(ball.shape, np.diag([1.0, 1.0, 2.0, 1.0])))
    write_series(tmp_path / "ct", volume, SeriesOptions(tilt_degrees=20))
    found = any_format.read(tmp_path / "ct")
    (remark,) = any_format.geometry_remarks(found)
    assert "tilted by 20.0 degrees" in remark
    for seen in (found, volume):
        inside = np.argwhere(seen.array[0] > 0)
        center_mm = (seen.grid.affine @ np.append(inside.mean(axis=0), 1))[:3]
        assert np.allclose(center_mm, (20, 16, 18), atol=0.2)
        assert len(inside) * seen.grid.voxel_ml == pytest.approx(4.19, rel=0.05)  # a ball of 10 mm


def test_one_study_holds_several_series_and_writing_twice_gives_the_same_files(tmp_path: Path) -> None:
    for name, number in (("a/t1", 1), ("a/t2", 2), ("again", 2)):
        options = SeriesOptions(modality="MR", description=name[-2:], number=number, study="one")
        write_series(
            tmp_path / name, a_volume(), options if name != "again" else SeriesOptions("MR", "t2", 2, study="one")
        )
    first, second = ((tmp_path / name / "0003.dcm").read_bytes() for name in ("a/t2", "again"))
    assert first == second
    assert any_format.read(tmp_path / "a", "t2").array.shape == (1, 9, 8, 7)


@pytest.mark.parametrize(
    ("volume", "options", "message"),
    [
        (Volume(np.zeros((2, 9, 8, 7), np.int16), a_volume().grid), SeriesOptions(), "2 channels"),
        (Volume(np.full((1, 9, 8, 7), np.nan, np.float32), a_volume().grid), SeriesOptions(), "NaN"),
        (a_volume(), SeriesOptions(modality="US"), "not as 'US'"),
        (a_volume(), SeriesOptions(tilt_degrees=60), "not 60"),
    ],
)
def test_what_no_series_can_hold_is_refused(
    tmp_path: Path, volume: Volume, options: SeriesOptions, message: str
) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        write_series(tmp_path / "ct", volume, options)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="holds something already"):
        write_series(tmp_path / "ct", a_volume(), overwrite=True)
    write_series(tmp_path / "new", a_volume())
    with pytest.raises(UsageError, match="holds something already"):
        write_series(tmp_path / "new", a_volume())
    write_series(tmp_path / "new", a_volume(), overwrite=True)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy: apt-get install dicom3tools")
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_dicoms_own_checker_finds_no_error(tmp_path: Path, modality: str) -> None:
    write_series(tmp_path / "x", a_volume(), SeriesOptions(modality=modality))
    told = subprocess.run(["dciodvfy", str(tmp_path / "x" / "0001.dcm")], capture_output=True, text=True, check=False)
    assert "Error" not in told.stderr
    assert f"{modality}Image" in told.stderr
