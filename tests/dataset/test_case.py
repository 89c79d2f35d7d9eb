from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.errors import DataError

Write = Callable[..., Path]
FLIPPED = np.diag([-1.0, 1.0, 1.0, 1.0])


def shifted(distance: float) -> np.ndarray:
    affine = np.eye(4)
    affine[0, 3] = distance
    return affine


def counting(dtype: str = "i2") -> np.ndarray:
    return np.arange(24).reshape(2, 3, 4).astype(dtype)


def test_channels_of_several_files_are_stacked_in_their_order(tmp_path: Path, write_scan: Write) -> None:
    first = write_scan(tmp_path / "flair.nii.gz", counting())
    second = write_scan(tmp_path / "t1.nii.gz", counting("f4") / 2)
    volume = Case("a", {"FLAIR": ImageFile(first), "T1": ImageFile(second)}).read_images()
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, np.stack([counting(), counting() / 2]))
    assert volume.stored is not None


def test_channels_of_one_4d_file_are_taken_by_their_index(tmp_path: Path, write_scan: Write) -> None:
    array = np.arange(72).reshape(2, 3, 4, 3).astype("i2")
    path = write_scan(tmp_path / "all.nii.gz", array)
    volume = Case("a", {"T2": ImageFile(path, 2), "FLAIR": ImageFile(path, 0)}).read_images()
    np.testing.assert_array_equal(volume.array, np.stack([array[..., 2], array[..., 0]]))


def test_channels_stored_in_other_orders_meet_in_the_canonical_one(tmp_path: Path, write_scan: Write) -> None:
    straight = write_scan(tmp_path / "a.nii.gz", counting(), shifted(-1))
    flipped = write_scan(tmp_path / "b.nii.gz", counting()[::-1], FLIPPED)
    volume = Case("a", {"a": ImageFile(straight), "b": ImageFile(flipped)}).read_images()
    np.testing.assert_array_equal(volume.array[0], volume.array[1])


def test_a_header_that_is_less_than_half_a_voxel_off_is_the_same_grid(tmp_path: Path, write_scan: Write) -> None:
    first = write_scan(tmp_path / "a.nii.gz", counting())
    near = write_scan(tmp_path / "b.nii.gz", counting(), shifted(0.4))
    assert Case("a", {"a": ImageFile(first), "b": ImageFile(near)}).read_images().channels == 2


@pytest.mark.parametrize("distance", [0.6, 30.0])
def test_channels_on_different_grids_are_refused_with_both(tmp_path: Path, write_scan: Write, distance: float) -> None:
    first = write_scan(tmp_path / "a.nii.gz", counting())
    second = write_scan(tmp_path / "b.nii.gz", counting(), shifted(distance))
    with pytest.raises(DataError, match=r"sub-01: 'T1' and 'FLAIR' do not share a grid: .* against .*Resample"):
        Case("sub-01", {"FLAIR": ImageFile(first), "T1": ImageFile(second)}).read_images()


def test_4d_where_3d_is_meant_is_refused_with_the_number_of_volumes(tmp_path: Path, write_scan: Write) -> None:
    path = write_scan(tmp_path / "fmri.nii.gz", np.zeros((2, 3, 4, 7), "i2"))
    with pytest.raises(DataError, match=r"sub-01: 'EPI' \(fmri\.nii\.gz\) is 4D with 7 volumes where 3D is needed"):
        Case("sub-01", {"EPI": ImageFile(path)}).read_images()


def test_a_channel_beyond_the_last_volume_is_refused(tmp_path: Path, write_scan: Write) -> None:
    path = write_scan(tmp_path / "all.nii.gz", np.zeros((2, 3, 4, 2), "i2"))
    with pytest.raises(DataError, match=r"'T2' is volume 2 of all\.nii\.gz, which holds 2"):
        Case("sub-01", {"T2": ImageFile(path, 2)}).read_images()


def test_a_case_without_images_is_refused() -> None:
    with pytest.raises(DataError, match="sub-01: has no image"):
        Case("sub-01", {}).read_images()


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4", "f8"])
def test_whole_numbers_of_any_type_are_read_as_labels(tmp_path: Path, write_scan: Write, dtype: str) -> None:
    path = write_scan(tmp_path / "seg.nii.gz", counting(dtype))
    volume = Case("a", {}, path).read_label()
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array[0], counting())


def test_floats_a_hair_from_whole_numbers_are_rounded_not_cut(tmp_path: Path, write_scan: Write) -> None:
    path = write_scan(tmp_path / "seg.nii.gz", counting("f4") - np.float32(1e-4))
    np.testing.assert_array_equal(Case("a", {}, path).read_label().array[0], counting())


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_fractions_and_nan_in_a_label_map_are_refused(tmp_path: Path, write_scan: Write, value: float) -> None:
    array = counting("f4")
    array[1, 1, 1] = value
    path = write_scan(tmp_path / "seg.nii.gz", array)
    with pytest.raises(DataError, match=r"sub-01: label map seg\.nii\.gz holds fractions or NaN.*nearest neighbour"):
        Case("sub-01", {}, path).read_label()


@pytest.mark.parametrize("value", [-1, 32768])
def test_numbers_that_no_label_can_have_are_refused(tmp_path: Path, write_scan: Write, value: int) -> None:
    array = counting("i4")
    array[1, 1, 1] = value
    path = write_scan(tmp_path / "seg.nii.gz", array)
    with pytest.raises(DataError, match=f"holds numbers from .*{value}.*|holds numbers from {value}"):
        Case("sub-01", {}, path).read_label()


def test_a_4d_label_map_and_a_missing_one_are_refused(tmp_path: Path, write_scan: Write) -> None:
    path = write_scan(tmp_path / "seg.nii.gz", np.zeros((2, 3, 4, 2), "u1"))
    with pytest.raises(DataError, match=r"label map seg\.nii\.gz is 4D"):
        Case("sub-01", {}, path).read_label()
    with pytest.raises(DataError, match="sub-01: has no label map"):
        Case("sub-01", {}).read_label()


@pytest.mark.parametrize("id", ["../elsewhere", "/home/me/data", "..", ".hidden", "a/b", "a\\b", "a\nb", ""])
def test_an_id_that_could_lead_out_of_a_folder_is_refused(id: str) -> None:
    with pytest.raises(DataError, match="is no name of a case"):
        Case(id, {})
