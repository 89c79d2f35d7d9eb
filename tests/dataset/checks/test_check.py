from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.dataset.checks.check import Finding, check_dataset, check_whole, refuse_errors
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError

Make = Callable[..., Path]


def test_a_sound_dataset_has_no_findings(nnunet: Make, msd: Make, found: Callable) -> None:
    assert found(open_dataset(nnunet())) == []
    assert found(open_dataset(msd(modality=("FLAIR", "T1")))) == []


def test_a_finding_is_json() -> None:
    finding = Finding("a", "error", "constant", "it is flat", "Export it again.")
    assert json.loads(json.dumps(finding.to_dict())) == {
        "case": "a",
        "severity": "error",
        "code": "constant",
        "message": "it is flat",
        "advice": "Export it again.",
        "other": "",
    }
    assert str(finding) == "a: it is flat. Export it again."
    assert str(replace(finding, case="")) == "it is flat. Export it again."


def test_a_label_that_never_occurs_is_a_warning_for_the_whole(nnunet: Make, only: Callable) -> None:
    folder = nnunet(labels={"background": 0, "one": 1, "two": 2, "three": 3})
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("", "warning", "absent_label")
    assert finding.message == "label 'three' (3) occurs in no case"


def test_a_region_occurs_where_any_of_its_numbers_does(nnunet: Make, found: Callable) -> None:
    folder = nnunet(labels={"background": 0, "both": [1, 3], "three": [3, 2]}, regions_class_order=[1, 2])
    assert found(open_dataset(folder)) == []


def test_a_dataset_without_any_labelled_voxel_is_an_error(nnunet: Make, found: Callable, change: Callable) -> None:
    folder = nnunet()
    for id in ("a", "b", "c"):
        change(folder / "labelsTr" / f"{id}.nii.gz", np.zeros_like)
    assert found(open_dataset(folder))[0] == ("", "error", "no_foreground")


def test_one_bad_case_does_not_hide_the_others(nnunet: Make, found: Callable, change: Callable, put: Callable) -> None:
    folder = nnunet()
    (folder / "imagesTr" / "a_0000.nii.gz").write_bytes(b"")
    change(folder / "labelsTr" / "b.nii.gz", put(7, "u1"))
    change(folder / "labelsTr" / "c.nii.gz", np.zeros_like)
    assert found(open_dataset(folder)) == [
        ("a", "error", "unreadable"),
        ("b", "error", "unknown_label"),
        ("c", "warning", "empty_label"),
    ]


def test_two_cases_of_one_id_are_an_error(nnunet: Make, found: Callable) -> None:
    dataset = open_dataset(nnunet())
    doubled = replace(dataset, cases=(*dataset.cases, dataset.cases[0]))
    assert ("a", "error", "duplicate_id") in found(doubled)


def test_pairs_that_do_not_pair_are_told_with_their_files(msd: Make, change_json: Any, change: Callable) -> None:
    folder = msd()
    shutil.move(folder / "labelsTr" / "b.nii.gz", folder / "labelsTr" / "z.nii.gz")
    change(folder / "labelsTr" / "z.nii.gz", lambda array: array[::-1])
    findings = check_dataset(open_dataset(folder))
    assert [(finding.case, finding.severity, finding.code) for finding in findings] == [
        ("b", "error", "missing_file"),
        ("z", "warning", "missing_pair"),
    ]
    assert f"{folder}/labelsTr/b.nii.gz is missing" in findings[0].message


def test_images_and_label_maps_alone_in_nnunets_layout_are_warnings(nnunet: Make, found: Callable) -> None:
    folder = nnunet(numTraining=1)
    (folder / "labelsTr" / "a.nii.gz").unlink()
    for place in range(2):
        (folder / "imagesTr" / f"b_{place:04d}.nii.gz").unlink()
    assert found(open_dataset(folder)) == [("a", "warning", "missing_pair"), ("b", "warning", "missing_pair")]


def test_a_note_of_an_unknown_kind_is_passed_on(nnunet: Make) -> None:
    dataset = replace(open_dataset(nnunet()), notes=("b: something else",))
    (finding,) = check_dataset(dataset)
    assert str(finding) == "b: something else. Check that it is as you mean it."
    assert finding.severity == "note"


def test_one_scan_under_two_names_is_an_error_between_patients(nnunet: Make, only: Callable) -> None:
    folder = nnunet()
    for place in range(2):
        shutil.copy(folder / "imagesTr" / f"a_{place:04d}.nii.gz", folder / "imagesTr" / f"c_{place:04d}.nii.gz")
    finding = only(folder)
    assert (finding.case, finding.severity, finding.code) == ("a", "error", "equal_scans")
    assert finding.message == "the images of a and c hold the same bytes"


def test_one_scan_twice_of_one_patient_is_a_warning(nnunet: Make, found: Callable) -> None:
    folder = nnunet(ids=("sub-1_ses-1", "sub-1_ses-2", "sub-2"))
    shutil.copy(folder / "imagesTr" / "sub-1_ses-1_0000.nii.gz", folder / "imagesTr" / "sub-1_ses-2_0000.nii.gz")
    assert found(open_dataset(folder)) == [("sub-1_ses-1", "warning", "equal_scans")]


def test_a_test_image_that_also_trains_is_an_error(nnunet: Make, only: Callable) -> None:
    folder = nnunet()
    (folder / "imagesTs").mkdir()
    for place in range(2):
        shutil.copy(folder / "imagesTr" / f"a_{place:04d}.nii.gz", folder / "imagesTs" / f"new_{place:04d}.nii.gz")
    finding = only(folder)
    assert (finding.severity, finding.code) == ("error", "equal_scans")
    assert "the image and test image of a and new" in finding.message


def test_equal_label_maps_are_a_warning_but_empty_ones_are_not(nnunet: Make, found: Callable, change: Callable) -> None:
    folder = nnunet()
    shutil.copy(folder / "labelsTr" / "a.nii.gz", folder / "labelsTr" / "b.nii.gz")
    assert found(open_dataset(folder)) == [("a", "warning", "equal_labels")]
    for id in ("a", "b"):
        change(folder / "labelsTr" / f"{id}.nii.gz", np.zeros_like)
    assert found(open_dataset(folder)) == [("a", "warning", "empty_label"), ("b", "warning", "empty_label")]


def test_one_channel_twice_is_a_warning_and_an_image_as_label_map_an_error(nnunet: Make) -> None:
    folder = nnunet()
    shutil.copy(folder / "imagesTr" / "a_0000.nii.gz", folder / "imagesTr" / "a_0001.nii.gz")
    shutil.copy(folder / "imagesTr" / "b_0000.nii.gz", folder / "labelsTr" / "b.nii.gz")
    findings = check_dataset(open_dataset(folder))
    assert ("b", "error", "equal_files") in [(finding.case, finding.severity, finding.code) for finding in findings]
    assert ("a", "warning", "equal_files") in [(finding.case, finding.severity, finding.code) for finding in findings]


def test_files_of_one_size_but_other_content_are_told_apart(nnunet: Make) -> None:
    dataset = open_dataset(nnunet())
    for case in dataset.cases:
        for file in case.images.values():
            size = 300_000
            content = bytearray(size)
            content[-1] = ord(case.id)
            file.path.write_bytes(content)
    equal = [finding for finding in check_whole(dataset, {}) if finding.code.startswith("equal")]
    assert {finding.code for finding in equal} == {"equal_files"}
    assert len(equal) == 3


def test_errors_come_first_and_refusal_tells_the_first_and_the_number_of_others(nnunet: Make, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "a.nii.gz", np.zeros_like)
    for id in ("b", "c"):
        change(folder / "imagesTr" / f"{id}_0000.nii.gz", np.ones_like)
        change(folder / "imagesTr" / f"{id}_0001.nii.gz", lambda array: np.full_like(array, 2))
    findings = check_dataset(open_dataset(folder))
    assert [(finding.case, finding.code) for finding in findings] == [
        ("b", "constant"), ("b", "constant"), ("c", "constant"), ("c", "constant"), ("b", "equal_scans"),
        ("a", "empty_label"),
    ]  # fmt: skip
    with pytest.raises(DataError) as caught:
        refuse_errors(findings)
    first = "b: 'FLAIR' is 1 everywhere. Export it again or leave the case out."
    assert str(caught.value) == f"{first} (4 more errors; `neuraxis check` lists all.)"


def test_warnings_alone_are_not_refused(nnunet: Make, change: Callable) -> None:
    folder = nnunet()
    change(folder / "labelsTr" / "a.nii.gz", np.zeros_like)
    refuse_errors(check_dataset(open_dataset(folder)))


def test_labels_of_the_dataset_decide_what_is_unknown(nnunet: Make) -> None:
    dataset = replace(open_dataset(nnunet()), labels=Labels(names={"one": 1}))
    assert {finding.code for finding in check_dataset(dataset)} == {"unknown_label"}


@pytest.mark.data
def test_the_real_hippocampus_has_no_faults_and_its_orphans_are_told(
    shared_data: Path, tmp_path: Path, found: Callable
) -> None:
    assert found(open_dataset(shared_data / "hippocampus-msd")) == [
        ("", "note", "mixed_types"), ("", "note", "float_labels")
    ]  # fmt: skip
    folder = shutil.copytree(shared_data / "hippocampus-msd-orphans", tmp_path / "orphans")
    whole = shared_data / "hippocampus-msd"
    for kind in ("imagesTr", "labelsTr"):
        folder.chmod(0o755)
        (folder / kind).chmod(0o755)
        shutil.copy(whole / kind / "hippocampus_001.nii.gz", folder / kind)
    description = json.loads((whole / "dataset.json").read_text())
    pair = {"image": "./imagesTr/hippocampus_001.nii.gz", "label": "./labelsTr/hippocampus_001.nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**description, "training": [pair], "numTraining": 1}))
    assert found(open_dataset(folder)) == [
        ("hippocampus_010", "warning", "missing_pair"),
        ("hippocampus_118", "warning", "missing_pair"),
        ("hippocampus_281", "warning", "missing_pair"),
    ]
