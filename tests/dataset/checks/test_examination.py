from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.checks.check import check_dataset
from neuraxis.dataset.layouts.recognise import open_dataset

Make = Callable[..., Path]


def same(array: np.ndarray) -> np.ndarray:
    return array


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_errors_with_their_number(
    nnunet: Make, value: float, only: Callable, change: Callable, put: Callable
) -> None:
    folder = nnunet()
    change(folder / "imagesTr" / "b_0001.nii.gz", put(value, "f4", 3))
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("b", "error", "not_finite")
    assert finding.message == "'T1' holds 3 voxels of NaN or infinity"


def test_a_constant_image_is_an_error(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "imagesTr" / "b_0000.nii.gz", lambda array: np.full_like(array, 7))
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("b", "error", "constant")
    assert finding.message == "'FLAIR' is 7 everywhere"


def test_numbers_without_a_name_are_errors_with_their_counts(nnunet: Make, change: Callable, put: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", put(7, "u1", 3))
    change(folder / "labelsTr" / "c.nii.gz", put(-1, "i2", 1))
    findings = {finding.case: finding for finding in check_dataset(open_dataset(folder))}
    assert {finding.code for finding in findings.values()} == {"unknown_label"}
    known = "the labels are 0 background, 1 one, 2 two"
    assert findings["b"].message == f"the label map holds numbers without a name: 7 in 3 voxels; {known}"
    assert "-1 in 1 voxel;" in findings["c"].message


def test_many_unknown_numbers_are_summed_up(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", lambda array: np.arange(array.size).reshape(array.shape).astype("i4"))
    assert "8 in 1 voxel, and 327 more; the labels" in only(folder).message


def test_a_mask_of_0_and_255_is_answered_with_what_to_store(nnunet: Make, change: Callable) -> None:
    folder = nnunet(labels={"background": 0, "lesion": 1})
    for id in ("a", "b", "c"):
        change(folder / "labelsTr" / f"{id}.nii.gz", lambda array: (array > 0).astype("u1") * 255)
    findings = check_dataset(open_dataset(folder))
    assert [finding.code for finding in findings[:3]] == ["mask_value"] * 3
    assert findings[0].message.startswith("the label map is a mask of 0 and 255 (96 voxels); the labels are")
    assert findings[0].advice == "Store the label's own number in place of 255, or --set labels.map.255=1."


@pytest.mark.parametrize("value", [0.5, np.nan])
def test_fractions_in_a_label_map_are_errors_with_examples(
    nnunet: Make, value: float, only: Callable, change: Callable, put: Callable
) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", put(value, "f4", 2))
    finding = only(folder)
    assert finding.code == "fractions"
    assert finding.message == f"the label map holds fractions or NaN in 2 voxels, such as {value:g}"


def test_whole_numbers_stored_as_floats_are_noted(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", lambda array: array.astype("f8"))
    note = only(folder)
    assert (note.case, note.severity, note.code) == ("", "note", "float_labels")
    assert note.message == "1 case stores whole numbers of label maps as floats, such as b"


def test_images_of_different_types_are_noted_with_their_numbers(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet(channels=("FLAIR",))
    change(folder / "imagesTr" / "b_0000.nii.gz", lambda array: array.astype("f4"))
    note = only(folder)
    assert (note.severity, note.code) == ("note", "mixed_types")
    assert note.message == "images are stored as different types: int16 (2), float32 (1)"


def test_an_empty_label_map_is_a_warning(nnunet: Make, found: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", np.zeros_like)
    assert found(open_dataset(folder)) == [("b", "warning", "empty_label")]


def test_a_label_map_of_ignored_voxels_alone_is_empty(nnunet: Make, found: Callable, change: Callable) -> None:
    folder = nnunet(labels={"background": 0, "one": 1, "two": 2, "ignore": 3})
    change(folder / "labelsTr" / "b.nii.gz", lambda array: np.where(array > 0, 3, 0).astype("u1"))
    assert found(open_dataset(folder)) == [("b", "warning", "empty_label")]


def shifted(distance: float) -> np.ndarray:
    affine = np.eye(4)
    affine[1, 3] = distance
    return affine


@pytest.mark.parametrize(
    ("alter", "affine", "code", "words"),
    [
        (lambda array: array[:, :-1], None, "shape", "6 x 6 x 8 voxels of 1, 1, 1 mm, RAS against 6 x 7 x 8"),
        (same, np.diag([1.0, 1.0, 3.0, 1.0]), "spacing", "voxels of 1, 1, 3 mm, RAS against"),
        (same, shifted(20), "affine", "one shape and spacing, but corners up to 20 mm apart"),
        (same, np.diag([-1.0, -1.0, 1.0, 1.0]), "affine", "corners up to"),
    ],
)
@pytest.mark.parametrize(
    ("file", "who"), [("labelsTr/b.nii.gz", "image and label map"), ("imagesTr/b_0001.nii.gz", "'T1' and 'FLAIR'")]
)
def test_images_and_label_maps_that_do_not_share_a_grid_are_errors_and_channels_are_noted(
    nnunet: Make, file: str, who: str, alter: Any, affine: Any, code: str, words: str, only: Callable, change: Callable
) -> None:
    folder = nnunet()
    change(folder / file, alter, affine)
    finding = only(folder)
    severity, named = ("error", code) if "labels" in file else ("note", "own_grid")
    assert (finding.case, finding.severity, finding.code) == ("b", severity, named)
    assert finding.message.startswith(f"{who} do not share a grid: ")
    assert words in finding.message


def test_the_channel_on_the_label_maps_grid_is_the_reference(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "imagesTr" / "b_0000.nii.gz", lambda array: array[:, :-1])
    finding = only(folder)
    assert (finding.severity, finding.code) == ("note", "own_grid")
    assert finding.message.startswith("'FLAIR' and 'T1' do not share a grid: 6 x 6 x 8")
    assert "all onto that of 'T1'" in finding.advice


def test_a_grid_less_than_half_a_voxel_off_is_a_warning(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "b.nii.gz", same, shifted(0.3))
    finding = only(folder)
    assert (finding.severity, finding.code) == ("warning", "affine_drift")
    assert "corners up to 0.3 mm apart" in finding.message


def test_4d_where_3d_is_meant_is_an_error_for_images_and_label_maps(nnunet: Make, change: Callable) -> None:
    folder = nnunet()
    change(folder / "imagesTr" / "a_0000.nii.gz", lambda array: np.stack([array, array + 1], axis=-1))
    change(folder / "labelsTr" / "b.nii.gz", lambda array: np.stack([array, array], axis=-1))
    findings = check_dataset(open_dataset(folder))
    assert [finding.case for finding in findings] == ["a", "b"]
    assert {finding.code for finding in findings} == {"four_dimensional"}
    assert "'FLAIR' (a_0000.nii.gz) is 4D with 2 volumes where 3D is needed" in findings[0].message


def test_too_few_and_too_many_volumes_of_a_4d_scan_are_told(msd: Make, found: Callable, change: Callable) -> None:
    folder = msd(modality=("FLAIR", "T1"))
    change(folder / "imagesTr" / "a.nii.gz", lambda array: array[..., 0])
    change(folder / "imagesTr" / "b.nii.gz", lambda array: np.concatenate([array, array[..., :1] + 1], axis=-1))
    assert found(open_dataset(folder)) == [("a", "error", "channel_missing"), ("b", "warning", "channel_count")]


def test_a_file_that_cannot_be_read_is_an_error_with_the_readers_words(nnunet: Make, only: Callable) -> None:
    folder = nnunet()
    path = folder / "imagesTr" / "b_0000.nii.gz"
    path.write_bytes(path.read_bytes()[:150])
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("b", "error", "unreadable")
    assert str(path) in finding.message
    assert finding.advice == "Fetch or export it again."


def test_a_sheared_scan_is_a_warning_with_its_angle(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(18.5))
    for file in ("imagesTr/b_0000", "imagesTr/b_0001", "labelsTr/b"):
        change(folder / f"{file}.nii.gz", same, affine)
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("b", "warning", "sheared")
    assert "18.5 degrees from a right angle" in finding.message


def test_an_oblique_scan_is_noted_with_its_angle(nnunet: Make, only: Callable, change: Callable) -> None:
    folder = nnunet()
    angle = np.radians(30)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    for file in ("imagesTr/b_0000", "imagesTr/b_0001", "labelsTr/b"):
        change(folder / f"{file}.nii.gz", same, affine)
    note = only(folder)
    assert (note.severity, note.code) == ("note", "oblique")
    assert "by up to 30 degrees (b)" in note.message


@pytest.mark.parametrize("size", [0.01, 25.0])
def test_an_extreme_spacing_is_a_warning(nnunet: Make, size: float, found: Callable, change: Callable) -> None:
    folder = nnunet()
    for file in ("imagesTr/b_0000", "imagesTr/b_0001", "labelsTr/b"):
        change(folder / f"{file}.nii.gz", same, np.diag([1.0, 1.0, size, 1.0]))
    thick = [("", "note", "thick_slices")] if size > 1 else []
    assert found(open_dataset(folder)) == [("b", "warning", "spacing_extreme"), *thick]


def test_a_header_without_orientation_is_a_warning(nnunet: Make, found: Callable) -> None:
    folder = nnunet()
    for file in ("imagesTr/b_0000", "imagesTr/b_0001", "labelsTr/b"):
        path = folder / f"{file}.nii.gz"
        image = nib.load(path)
        image = nib.Nifti1Image(np.asarray(image.dataobj), None)
        image.header["sform_code"] = image.header["qform_code"] = 0
        nib.save(image, path)
    assert found(open_dataset(folder)) == [("b", "warning", "header_geometry")]
