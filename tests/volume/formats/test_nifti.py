from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from neuraxis.errors import UsageError
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

ORIENTATIONS = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def affine_of(order: tuple[int, ...] = (0, 1, 2), signs: tuple[int, ...] = (1, 1, 1)) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        affine[world, axis] = sign * (0.5 + axis)
    affine[:3, 3] = (10, -20, 30)
    return affine


def oblique() -> np.ndarray:
    angle = np.radians(17)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = affine_of((0, 1, 2), (-1, -1, 1))
    affine[:3, :3] = turn @ affine[:3, :3]
    return affine


def write_raw(
    path: Path, array: np.ndarray, affine: np.ndarray | None = None, change: Callable[[Any], None] | None = None,
    kind: Any = nib.Nifti1Header, endianness: str = "<",
) -> Path:  # fmt: skip
    """Write header and voxels byte by byte, so that the header may say anything."""
    header = kind(endianness=endianness)
    header.set_data_dtype(array.dtype.newbyteorder(endianness))
    header.set_data_shape(array.shape)
    if affine is not None:
        header.set_sform(affine, 1)
        header.set_qform(affine, 1)
    header.set_xyzt_units("mm")
    header["vox_offset"] = header["sizeof_hdr"] + 4
    if change is not None:
        change(header)
    body = array.astype(array.dtype.newbyteorder(endianness)).tobytes(order="F")
    content = header.structarr.tobytes() + bytes(4) + body
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def counting(*shape: int, dtype: str = "i2") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_orientation_is_read_as_ras_and_returns_exactly(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    array, affine = counting(2, 3, 4), affine_of(order, signs)
    path = write_raw(tmp_path / "scan.nii", array, affine)
    volume = nifti.read(path)
    assert volume.grid.axis_codes == "RAS"
    for voxel in np.ndindex(*volume.grid.shape):
        place = np.linalg.solve(affine, volume.grid.affine @ [*voxel, 1])[:3]
        assert volume.array[(0, *voxel)] == array[tuple(np.rint(place).astype(int))]
    nifti.write(tmp_path / "back.nii", volume)
    assert (tmp_path / "back.nii").read_bytes() == path.read_bytes()


def test_an_oblique_scan_keeps_its_angle_there_and_back(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "scan.nii.gz", counting(3, 4, 5), oblique())
    volume = nifti.read(path)
    assert volume.grid.spacing_mm == (0.5, 1.5, 2.5)
    assert volume.grid.affine[0, 1] == pytest.approx(1.5 * np.sin(np.radians(-17)) * -1 * -1, abs=1e-6)
    nifti.write(tmp_path / "back.nii.gz", volume)
    back = nib.load(tmp_path / "back.nii.gz")
    np.testing.assert_array_equal(back.affine, nib.load(path).affine)
    np.testing.assert_array_equal(np.asarray(back.dataobj), counting(3, 4, 5))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_real_type_is_read_as_nibabel_reads_it_and_kept(tmp_path: Path, dtype: str, suffix: str) -> None:
    path = write_raw(tmp_path / f"scan{suffix}", counting(3, 4, 5, dtype=dtype), affine_of())
    volume = nifti.read(path)
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.array[0], np.asarray(nib.load(path).dataobj))
    nifti.write(tmp_path / f"back{suffix}", volume)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / f"back{suffix}").dataobj), counting(3, 4, 5))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_scaled_values_are_read_as_their_real_values(tmp_path: Path, dtype: str, endianness: str) -> None:
    def scaled(header: Any) -> None:
        header["scl_slope"], header["scl_inter"] = 2.5, -10

    array = counting(2, 3, 4, dtype=dtype) - (0 if dtype[0] == "u" else 12)
    volume = nifti.read(write_raw(tmp_path / "scan.nii", array, affine_of(), scaled, endianness=endianness))
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array[0], (array * 2.5 - 10).astype("f4"))
    nifti.write(tmp_path / "back.nii", volume)
    np.testing.assert_array_equal(nib.load(tmp_path / "back.nii").get_fdata().astype("f4"), volume.array[0])


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_zero_or_nan_means_unscaled(tmp_path: Path, slope: float) -> None:
    def unscaled(header: Any) -> None:
        header["scl_slope"], header["scl_inter"] = slope, 7

    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of(), unscaled))
    assert volume.array.dtype == np.int16
    assert volume.array.max() == 23


def test_a_2d_file_gets_one_slice_and_returns_as_2d(tmp_path: Path) -> None:
    def flat(header: Any) -> None:
        header["pixdim"][3] = 0
        header["sform_code"] = header["qform_code"] = 0

    path = write_raw(tmp_path / "picture.nii", counting(5, 6), affine_of(), flat)
    volume = nifti.read(path)
    assert volume.array.shape == (1, 5, 6, 1)
    assert volume.grid.spacing_mm == (0.5, 1.5, 1.0)
    nifti.write(tmp_path / "back.nii", volume)
    assert (tmp_path / "back.nii").read_bytes() == path.read_bytes()


def test_volumes_of_a_4d_file_become_channels_and_return_in_order(tmp_path: Path) -> None:
    array = counting(2, 3, 4, 5)
    path = write_raw(tmp_path / "scan.nii.gz", array, affine_of((1, 0, 2), (-1, 1, 1)))
    volume = nifti.read(path)
    assert volume.array.shape == (5, 3, 2, 4)
    assert nifti.read_grid(path)[1] == 5
    nifti.write(tmp_path / "back.nii.gz", volume)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "back.nii.gz").dataobj), array)


def test_a_4d_file_with_one_volume_is_a_plain_scan(tmp_path: Path) -> None:
    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4, 1), affine_of()))
    assert volume.array.shape == (1, 2, 3, 4)


def test_channels_of_a_result_may_outnumber_those_of_the_scan(tmp_path: Path) -> None:
    scan = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of((2, 0, 1), (-1, 1, 1))))
    probability = np.random.default_rng(0).random((3, *scan.grid.shape)).astype(np.float32)
    nifti.write(tmp_path / "prob.nii", scan.with_array(probability))
    written = nib.load(tmp_path / "prob.nii")
    assert written.shape == (2, 3, 4, 3)
    np.testing.assert_array_equal(written.affine, nib.load(tmp_path / "scan.nii").affine)
    assert written.header["pixdim"][4] == 1
    np.testing.assert_array_equal(nifti.read(tmp_path / "prob.nii").array, probability)


@pytest.mark.parametrize("kind", [nib.Nifti1Header, nib.Nifti2Header])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_both_versions_and_both_byte_orders_are_read_and_kept(tmp_path: Path, kind: Any, endianness: str) -> None:
    path = write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of((1, 2, 0)), None, kind, endianness)
    volume = nifti.read(path)
    assert volume.array.dtype == np.dtype("i2")
    assert volume.array.dtype.isnative
    nifti.write(tmp_path / "back.nii", volume)
    assert (tmp_path / "back.nii").read_bytes() == path.read_bytes()


def test_codes_units_and_voxel_sizes_of_the_header_are_kept(tmp_path: Path) -> None:
    def coded(header: Any) -> None:
        header["sform_code"], header["qform_code"] = 4, 2
        header["pixdim"][4] = 2.5
        header.set_xyzt_units("mm", "sec")
        header["descrip"] = b"T2 of somebody"

    scan = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), oblique(), coded))
    nifti.write(tmp_path / "seg.nii.gz", scan.with_array(scan.array > 5))
    before, after = nib.load(tmp_path / "scan.nii").header, nib.load(tmp_path / "seg.nii.gz").header
    kept = ["dim", "pixdim", "sform_code", "qform_code", "xyzt_units", "descrip", "srow_x", "srow_y", "srow_z",
            "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]  # fmt: skip
    for name in kept:
        assert before[name].tobytes() == after[name].tobytes(), name
    assert after.get_data_dtype() == np.uint8


def test_display_range_and_scaling_of_the_scan_do_not_pass_to_its_segmentation(tmp_path: Path) -> None:
    def windowed(header: Any) -> None:
        header["cal_min"], header["cal_max"] = 100, 900
        header["scl_slope"], header["scl_inter"] = 3, 4

    scan = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of(), windowed))
    nifti.write(tmp_path / "seg.nii", scan.with_array(np.ones((1, 2, 3, 4), np.uint8)))
    header = nifti.read(tmp_path / "seg.nii").stored.header
    assert (float(header["cal_min"]), float(header["cal_max"])) == (0, 0)
    assert float(header["scl_slope"]) in (0, 1)
    assert (nifti.read(tmp_path / "seg.nii").array == 1).all()


def test_lengths_in_metres_are_read_in_mm_and_stay_metres_in_the_file(tmp_path: Path) -> None:
    def metres(header: Any) -> None:
        header.set_xyzt_units("meter")

    path = write_raw(tmp_path / "scan.nii", counting(2, 3, 4), np.diag([0.001, 0.002, 0.003, 1]), metres)
    volume = nifti.read(path)
    assert volume.grid.spacing_mm == (1.0, 2.0, 3.0)
    nifti.write(tmp_path / "back.nii", volume)
    assert (tmp_path / "back.nii").read_bytes() == path.read_bytes()


def test_the_qform_counts_where_the_sform_has_no_code(tmp_path: Path) -> None:
    def moved(header: Any) -> None:
        header.set_sform(np.diag([9, 9, 9, 1]), 0)

    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), oblique(), moved))
    assert volume.grid.spacing_mm == (0.5, 1.5, 2.5)


def test_a_qform_whose_handedness_is_written_as_zero_is_right_handed(tmp_path: Path) -> None:
    def unset(header: Any) -> None:
        header["sform_code"], header["pixdim"][0] = 0, 0

    affine = affine_of((0, 1, 2), (1, 1, 1))
    path = write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine, unset)
    volume = nifti.read(path)
    np.testing.assert_allclose(volume.grid.affine, affine, atol=1e-6)
    nifti.write(tmp_path / "back.nii", volume)
    assert (tmp_path / "back.nii").read_bytes() == path.read_bytes()


def test_without_any_code_the_voxel_sizes_alone_count_and_it_is_remarked(tmp_path: Path) -> None:
    def uncoded(header: Any) -> None:
        header["sform_code"] = header["qform_code"] = 0
        header["pixdim"][1:4] = (-1, 2, 3)

    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of(), uncoded))
    np.testing.assert_array_equal(volume.grid.affine, np.diag([1, 2, 3, 1]))
    assert "neither sform nor qform" in nifti.geometry_remarks(volume)[0]


def test_an_sform_and_a_qform_that_disagree_are_remarked(tmp_path: Path) -> None:
    def disagreeing(header: Any) -> None:
        moved = affine_of()
        moved[0, 3] += 4
        header.set_sform(moved, 1)

    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of(), disagreeing))
    assert nifti.geometry_remarks(volume) == ("sform and qform of the header lie up to 4 mm apart; the sform is used",)


def test_a_sound_geometry_is_not_remarked(tmp_path: Path) -> None:
    volume = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), oblique()))
    assert nifti.geometry_remarks(volume) == ()
    assert nifti.geometry_remarks(Volume(volume.array, volume.grid)) == ()


def test_the_grid_alone_is_the_grid_of_the_whole(tmp_path: Path) -> None:
    path = write_raw(tmp_path / "scan.nii.gz", counting(2, 3, 4), oblique())
    grid, channels = nifti.read_grid(path)
    np.testing.assert_array_equal(grid.affine, nifti.read(path).grid.affine)
    assert (grid.shape, channels) == ((2, 3, 4), 1)


def test_a_volume_without_a_file_is_written_with_its_grid(tmp_path: Path) -> None:
    volume = Volume(counting(1, 2, 3, 4), Grid((2, 3, 4), oblique() @ np.diag([-1, -1, 1, 1])))
    nifti.write(tmp_path / "new.nii.gz", volume)
    back = nifti.read(tmp_path / "new.nii.gz")
    np.testing.assert_array_equal(back.array, volume.array)
    np.testing.assert_allclose(back.grid.affine, volume.grid.affine, atol=1e-5)
    assert nib.load(tmp_path / "new.nii.gz").header.get_xyzt_units()[0] == "mm"


def test_gzip_content_counts_whatever_the_name_says(tmp_path: Path) -> None:
    packed = write_raw(tmp_path / "scan.nii.gz", counting(2, 3, 4), affine_of())
    packed.rename(tmp_path / "packed.nii")
    plain = write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of())
    plain.rename(tmp_path / "plain.nii.gz")
    np.testing.assert_array_equal(nifti.read(tmp_path / "packed.nii").array[0], counting(2, 3, 4))
    np.testing.assert_array_equal(nifti.read(tmp_path / "plain.nii.gz").array[0], counting(2, 3, 4))


def test_two_writings_of_one_volume_are_the_same_bytes(tmp_path: Path) -> None:
    volume = Volume(counting(1, 20, 30, 40), Grid((20, 30, 40), np.eye(4)))
    nifti.write(tmp_path / "a.nii.gz", volume)
    nifti.write(tmp_path / "b.nii.gz", volume)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_an_existing_file_is_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    volume = Volume(counting(1, 2, 3, 4), Grid((2, 3, 4), np.eye(4)))
    (tmp_path / "scan.nii").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        nifti.write(tmp_path / "scan.nii", volume, overwrite=False)
    assert (tmp_path / "scan.nii").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii"]


def test_a_result_is_not_written_under_a_name_of_another_format(tmp_path: Path) -> None:
    volume = Volume(counting(1, 2, 3, 4), Grid((2, 3, 4), np.eye(4)))
    with pytest.raises(UsageError, match=r"seg\.mha: a scan is written as \.nii\.gz or \.nii"):
        nifti.write(tmp_path / "seg.mha", volume)


def test_values_that_nifti_cannot_hold_leave_nothing_behind(tmp_path: Path) -> None:
    volume = Volume(np.zeros((1, 2, 3, 4), np.float16), Grid((2, 3, 4), np.eye(4)))
    with pytest.raises(ValueError, match="NIfTI cannot hold float16"):
        nifti.write(tmp_path / "scan.nii", volume)
    assert not list(tmp_path.iterdir())


def test_a_crop_cannot_be_written_in_the_place_of_its_scan(tmp_path: Path) -> None:
    scan = nifti.read(write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of()))
    crop = Volume(scan.array[:, 1:], scan.grid.cropped((1, 0, 0), (1, 3, 4)), scan.stored)
    with pytest.raises(ValueError, match=r"\(1, 3, 4\) voxels, but its file had \(2, 3, 4\)"):
        nifti.write(tmp_path / "crop.nii", crop)


def test_extensions_between_header_and_voxels_are_skipped(tmp_path: Path) -> None:
    def extended(header: Any) -> None:
        header["vox_offset"] = 352 + 32

    plain = write_raw(tmp_path / "scan.nii", counting(2, 3, 4), affine_of(), extended).read_bytes()
    extension = struct.pack("<ii", 32, 6) + b"a comment".ljust(24, b"\0")
    path = tmp_path / "extended.nii"
    path.write_bytes(plain[:348] + b"\1\0\0\0" + extension + plain[352:])
    volume = nifti.read(path)
    np.testing.assert_array_equal(volume.array[0], counting(2, 3, 4))
    nifti.write(tmp_path / "back.nii", volume)
    np.testing.assert_array_equal(np.asarray(nib.load(tmp_path / "back.nii").dataobj), counting(2, 3, 4))


@pytest.mark.data
def test_every_real_scan_goes_there_and_back_exactly(tmp_path: Path, shared_data: Path) -> None:
    paths = [path for path in sorted(shared_data.rglob("*.nii.gz")) if path.stat().st_size < 300_000]
    chosen = [path for path in paths if "hippocampus" not in str(path)]
    chosen = chosen[::3] + [path for path in paths if "hippocampus" in str(path)][:4]
    assert len(chosen) > 10
    for path in chosen:
        volume = nifti.read(path)
        assert volume.grid.axis_codes == "RAS"
        nifti.write(tmp_path / "back.nii.gz", volume)
        before, after = nib.load(path), nib.load(tmp_path / "back.nii.gz")
        assert before.shape == after.shape
        np.testing.assert_array_equal(before.affine, after.affine)
        np.testing.assert_array_equal(before.header["pixdim"], after.header["pixdim"])
        np.testing.assert_allclose(after.get_fdata(), before.get_fdata(), rtol=1e-6)
