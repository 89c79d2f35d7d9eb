"""A DICOM study is segmented as it lies: its series become the model's channels, and nobody learns who it shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import DataError
from neuraxis.pipelines.scans import find_cases
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

TWO = ("FLAIR", "T1")
WHO = {"PatientName": "Doe^Jane Eve", "PatientID": "MRN4711", "PatientBirthDate": "19700131"}
SECRETS = ("doe", "jane", "mrn4711", "19700131", "1970-01-31", "1.2.826.0.1.99.4711")


def values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 11, (13, 9, 11)).astype(np.int16)[None]


def a_series(folder: Path, description: str, number: int, study: str = "one", **changes: object) -> Path:
    """Write a series of a patient with a name, under a study of its own or shared."""
    volume = Volume(values(number), Grid((13, 9, 11), np.eye(4)))
    write_series(folder, volume, SeriesOptions("MR", description, number, study=study))
    for file in folder.glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        for keyword, value in {**WHO, **changes}.items():
            setattr(dataset, keyword, value)
        del dataset.PatientIdentityRemoved
        dataset.StudyInstanceUID = f"1.2.826.0.1.99.4711.{len(study)}"
        dataset.save_as(file)
    return folder


def found(scans: list, channels: tuple[str, ...]) -> dict[str, list[str]]:
    return {
        order.id: [file.series for file in order.case.images.values()] if order.case else [str(order.problem)]
        for order in find_cases(scans, channels)
    }


def test_series_become_channels_by_their_descriptions_and_localisers_are_set_aside(tmp_path: Path) -> None:
    for number, description in enumerate(("3-plane localizer", "t2 flair sag", "T1 mprage", "DTI"), start=1):
        a_series(tmp_path / "study" / f"s{number}", description, number)
    assert found([tmp_path / "study"], TWO) == {"study": ["2-t2_flair_sag", "3-T1_mprage"]}
    assert found([tmp_path / "study"], ("T2", "FLAIR"))["study"][0].startswith(str(tmp_path / "study"))


def test_a_study_in_one_flat_folder_is_read_as_well(tmp_path: Path) -> None:
    for number, description in enumerate(("FLAIR", "T1w"), start=1):
        for file in a_series(tmp_path / f"s{number}", description, number).glob("*.dcm"):
            (tmp_path / "study").mkdir(exist_ok=True)
            file.rename(tmp_path / "study" / f"{11 * number - int(file.stem)}x{number}")
    (order,) = find_cases([tmp_path / "study"], TWO)
    assert order.case is not None
    assert np.array_equal(order.case.read_images().array, np.concatenate([values(1), values(2)]).astype(np.float32))


def test_one_channel_takes_the_only_series_whatever_it_is_called(tmp_path: Path) -> None:
    a_series(tmp_path / "study" / "a", "loc", 1)
    a_series(tmp_path / "study" / "b", "head", 2)
    assert found([tmp_path / "study"], ("MRI",)) == {"study": ["2-head"]}


def test_with_and_without_contrast_are_told_apart(tmp_path: Path) -> None:
    for number, description in enumerate(("T1 pre", "T1post", "FLAIR"), start=1):
        a_series(tmp_path / "study" / f"s{number}", description, number)
    assert found([tmp_path / "study"], ("T1ce", "T1")) == {"study": ["2-T1post", "1-T1_pre"]}


def test_what_cannot_be_told_apart_lists_the_series(tmp_path: Path) -> None:
    for number, description in enumerate(("FLAIR tra", "FLAIR cor", "T1"), start=1):
        a_series(tmp_path / "study" / f"s{number}", description, number)
    (words,) = found([tmp_path / "study"], TWO)["study"]
    assert "'FLAIR' could be '1-FLAIR_tra' (MR, 11 of 13 x 9) or '2-FLAIR_cor'" in words
    assert ":SERIES" in words
    (words,) = found([tmp_path / "study"], ("T2", "T1"))["study"]
    assert "no series says that it is T2; there are '1-FLAIR_tra'" in words


def test_pairs_name_folders_and_series(tmp_path: Path) -> None:
    for number, description in enumerate(("FLAIR tra", "FLAIR cor", "T1"), start=1):
        a_series(tmp_path / "study" / f"s{number}", description, number)
    study = tmp_path / "study"
    assert found([f"FLAIR={study}:2-FLAIR_cor", f"T1={study}"], TWO) == {"study": ["2-FLAIR_cor", "3-T1"]}
    assert found([f"FLAIR={study / 's1'}", f"T1={study / 's3'}"], TWO) == {"study": ["1-FLAIR_tra", "3-T1"]}
    (order,) = find_cases([f"FLAIR={study}:nothing", f"T1={study}"], TWO)
    assert order.case is not None
    with pytest.raises(DataError, match="'nothing' names no series"):
        order.case.read_images()


def test_pictures_beside_the_slices_are_left_aside(tmp_path: Path) -> None:
    series = a_series(tmp_path / "study" / "a", "head", 2)
    for place in (tmp_path / "study" / "preview.jpg", series / "logo.png"):
        place.write_bytes(b"no picture")
    assert found([tmp_path / "study"], ("MRI",)) == {"study": ["2-head"]}
    assert found([series], ("MRI",)) == {"a": ["2-head"]}


def test_every_study_of_a_folder_is_a_case(tmp_path: Path) -> None:
    for name in ("ab", "abc"):
        a_series(tmp_path / "all" / name / "x", "FLAIR", 1, study=name)
        a_series(tmp_path / "all" / name / "y", "T1", 2, study=name)
    assert sorted(found([tmp_path / "all"], TWO)) == ["ab", "abc"]


def test_two_patients_in_one_folder_are_refused(tmp_path: Path) -> None:
    a_series(tmp_path / "all" / "x", "FLAIR", 1)
    a_series(tmp_path / "all" / "y", "T1", 2, PatientID="OTHER22", PatientName="Roe^Rick")
    for file in (tmp_path / "all" / "y").glob("*.dcm"):
        file.rename(tmp_path / "all" / "x" / f"y{file.name}")
    with pytest.raises(DataError, match="holds series of 2 patients in one folder") as told:
        find_cases([tmp_path / "all"], TWO)
    assert not any(secret in str(told.value).casefold() for secret in (*SECRETS, "roe", "other22"))


def test_a_single_slice_asks_for_its_folder(tmp_path: Path) -> None:
    a_series(tmp_path / "s", "FLAIR", 1)
    (order,) = find_cases([tmp_path / "s" / "0003.dcm"], ("MRI",))
    assert "one slice of a series. Name the folder" in str(order.problem)


def test_the_result_lies_on_the_series_and_says_nothing_of_the_patient(
    tmp_path: Path,
    threshold: Callable[..., ModelBundle],
    options: Callable[..., SegmentOptions],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    study = tmp_path / "DOE_JANE_19700131" / "1.2.826.0.1.99.4711.3"
    a_series(study / "a", "FLAIR of Jane", 1)
    a_series(study / "b", "T1", 2)
    bundle = threshold(TWO)
    pairs = [f"FLAIR={study}:1", f"T1={study}"]
    (result,) = segment(pairs, bundle, tmp_path / "out", options())
    assert result.error is None
    assert result.path == tmp_path / "out" / "scan.nii.gz"
    image = nib.load(result.path)
    assert np.array_equal(np.asarray(image.dataobj), values(1)[0] > 5)
    assert np.allclose(image.affine, np.eye(4))
    told = (tmp_path / "out" / "scan.json").read_text() + json.dumps(result.prediction, default=str) + caplog.text
    assert not any(secret in told.casefold() for secret in SECRETS)
    assert json.loads((tmp_path / "out" / "scan.json").read_text())["images"]["T1"].endswith("***/***:2-T1")


def test_a_broken_study_is_one_line_without_the_patient(
    tmp_path: Path, threshold: Callable[..., ModelBundle], options: Callable[..., SegmentOptions]
) -> None:
    study = a_series(tmp_path / "mrn4711" / "doe", "T1", 2)
    for file in study.glob("*.dcm"):
        file.write_bytes(file.read_bytes()[:-60])
    (result,) = segment(study, threshold(), tmp_path / "out", options())
    assert result.exit_code == 3
    assert result.error is not None
    assert "\n" not in result.error
    assert not any(secret in result.error.casefold() for secret in SECRETS)


def test_a_tilt_is_told_beside_the_result(
    tmp_path: Path, threshold: Callable[..., ModelBundle], options: Callable[..., SegmentOptions]
) -> None:
    volume = Volume(values(), Grid((13, 9, 11), np.diag([1.0, 1.0, 2.0, 1.0])))
    write_series(tmp_path / "ct", volume, SeriesOptions(tilt_degrees=20))
    (result,) = segment(tmp_path / "ct", threshold(), tmp_path / "out", options())
    assert any("tilted by 20.0 degrees" in warning for warning in result.prediction["warnings"])
