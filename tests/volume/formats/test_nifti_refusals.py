"""Files that are refused: what the message says, and that nothing is taken for granted before it."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.volume.formats import nifti


def write_raw(path: Path, array: np.ndarray, change: Callable[[Any], None] | None = None) -> Path:
    """Write header and voxels byte by byte, so that the header may say anything."""
    header = nib.Nifti1Header()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    header.set_sform(np.diag([0.5, 1.5, 2.5, 1]), 1)
    header.set_qform(np.diag([0.5, 1.5, 2.5, 1]), 1)
    header["vox_offset"] = 352
    if change is not None:
        change(header)
    content = header.structarr.tobytes() + bytes(4) + array.tobytes(order="F")
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def counting(*shape: int, dtype: str = "i2") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def refusal_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        nifti.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kept", [0, 1, 2, 100, 347, 350, 400])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, suffix: str, kept: int) -> None:
    array = np.random.default_rng(0).integers(0, 3000, (8, 8, 8)).astype("i2")
    path = write_raw(tmp_path / f"scan{suffix}", array)
    path.write_bytes(path.read_bytes()[:kept])
    refusal_of(path)


def test_a_file_that_ends_early_is_answered_with_how_much_is_missing(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 3000, (8, 8, 8)).astype("i2")
    path = write_raw(tmp_path / "scan.nii.gz", array)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-24]))
    assert "ends early, 24 of 1024 bytes are missing" in refusal_of(path)


@pytest.mark.parametrize("place", [-6, -2])
def test_a_wrong_checksum_or_length_is_noticed(tmp_path: Path, place: int) -> None:
    path = write_raw(tmp_path / "scan.nii.gz", counting(8, 8, 8))
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(content)
    assert "compressed data are corrupt" in refusal_of(path)


def test_damage_in_the_middle_of_a_compressed_file_is_noticed(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 3000, (30, 30, 30)).astype("i2")
    path = write_raw(tmp_path / "scan.nii.gz", array)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)
    refusal_of(path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_header_that_claims_more_than_the_file_can_hold_takes_no_memory(tmp_path: Path, suffix: str) -> None:
    def lying(header: Any) -> None:
        header["dim"][1:4] = 3000

    path = write_raw(tmp_path / f"scan{suffix}", counting(2, 3, 4), lying)
    tracemalloc.start()
    try:
        assert "claims 54000000000 bytes of voxels, more than the file can hold" in refusal_of(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_behind_the_voxels_is_not_unpacked(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "scan.nii", counting(2, 3, 4))
    bomb = tmp_path / "bomb.nii.gz"
    bomb.write_bytes(gzip.compress(path.read_bytes() + bytes(2**26), 1))
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(nifti.read(bomb).array[0], counting(2, 3, 4))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def set_to(**values: Any) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        for name, value in values.items():
            header[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to(srow_x=np.nan), "affine is singular or not finite"),
        (set_to(srow_x=0), "affine is singular or not finite"),
        (set_to(sform_code=0, quatern_b=2), "geometry cannot be read"),
        (set_to(vox_offset=np.nan), "vox_offset in the header is nan"),
        (set_to(vox_offset=-5), "vox_offset in the header is -5"),
        (set_to(vox_offset=1e30), "vox_offset in the header is 1e+30"),
        (set_to(datatype=77), "header cannot be read"),
        (set_to(dim=[3, 2, -3, 4, 1, 1, 1, 1]), "positive sizes"),
        (set_to(dim=[1, 24, 1, 1, 1, 1, 1, 1]), "1 dimensions"),
        (set_to(dim=[5, 2, 3, 1, 2, 2, 1, 1]), "5 dimensions"),
        (set_to(dim=[0, 2, 3, 4, 1, 1, 1, 1]), "0 dimensions"),
        (set_to(sizeof_hdr=12), "does not begin with a NIfTI header"),
    ],
)
def test_a_header_that_cannot_be_is_refused(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    assert message in refusal_of(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), change))


@pytest.mark.parametrize(("code", "bits", "what"), [(32, 64, "complex"), (128, 24, "colour"), (2304, 32, "colour")])
def test_values_that_are_not_real_numbers_are_refused(tmp_path: Path, code: int, bits: int, what: str) -> None:
    change = set_to(datatype=code, bitpix=bits)
    path = write_raw(tmp_path / "scan.nii", counting(9, 9, 9, dtype="f8"), change)
    assert f"holds {what}" in refusal_of(path)


def test_text_is_no_scan(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    path.write_text("x" * 1000)
    assert "does not begin with a NIfTI header" in refusal_of(path)


def test_an_empty_file_a_folder_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.nii.gz").touch()
    (tmp_path / "folder.nii").mkdir()
    assert "ends early, 348 of 348 bytes are missing" in refusal_of(tmp_path / "empty.nii.gz")
    assert "is a folder or a special file" in refusal_of(tmp_path / "folder.nii")
    assert "no such file" in refusal_of(tmp_path / "missing.nii")


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nii")
    assert "special file" in refusal_of(tmp_path / "pipe.nii")


def test_an_intercept_that_is_no_number_is_refused(tmp_path: Path) -> None:
    def broken(header: Any) -> None:
        header["scl_slope"], header["scl_inter"] = 2, np.inf

    with pytest.raises(DataError, match="scl_inter is not finite"):
        nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), broken))
