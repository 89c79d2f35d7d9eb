from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.dataset.layouts.nnunet import LAYOUT, read_labels
from neuraxis.dataset.opening import PLAIN_OPENING
from neuraxis.dataset.splits import Fold
from neuraxis.errors import DataError

Make = Callable[..., Path]


def test_channels_labels_and_cases_are_read(nnunet: Make) -> None:
    folder = nnunet("Dataset004_Toy", ("b", "a"))
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert (dataset.name, dataset.root, dataset.layout) == ("Dataset004_Toy", folder, "nnunet")
    assert dataset.channels == ("FLAIR", "T1")
    assert dataset.modality == {"FLAIR": "MRI", "T1": "MRI"}
    assert dataset.labels.names == {"background": 0, "one": 1, "two": 2}
    assert [case.id for case in dataset.cases] == ["a", "b"]
    case = dataset.case("a")
    assert {name: file.path.name for name, file in case.images.items()} == {
        "FLAIR": "a_0000.nii.gz",
        "T1": "a_0001.nii.gz",
    }
    assert (case.label, case.subject, case.site) == (folder / "labelsTr" / "a.nii.gz", "a", "")
    assert dataset.notes == ()
    assert case.read_images().array.shape == (2, 6, 7, 8)
    assert np.unique(case.read_label().array).tolist() == [0, 1, 2]


def test_ids_may_hold_underscores_and_numbers(nnunet: Make) -> None:
    ids = ("case_0001", "case_0001_0002", "sub-01_ses-1")
    dataset = LAYOUT.read(nnunet(ids=ids), PLAIN_OPENING)
    assert tuple(case.id for case in dataset.cases) == ids
    assert dataset.case("sub-01_ses-1").subject == "sub-01"


def test_test_images_are_unlabelled_cases(nnunet: Make) -> None:
    folder = nnunet()
    (folder / "imagesTs").mkdir()
    for place in range(2):
        shutil.copy(folder / "imagesTr" / f"a_{place:04d}.nii.gz", folder / "imagesTs" / f"new_{place:04d}.nii.gz")
    shutil.copy(folder / "imagesTr" / "a_0000.nii.gz", folder / "imagesTs" / "half_0000.nii.gz")
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert [(case.id, case.label) for case in dataset.unlabelled] == [("new", None)]
    assert len(dataset.cases) == 3


def test_hidden_files_are_passed_over(nnunet: Make) -> None:
    folder = nnunet()
    (folder / "imagesTr" / "._a_0000.nii.gz").write_text("macOS")
    (folder / "labelsTr" / "._a.nii.gz").write_text("macOS")
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert len(dataset.cases) == 3
    assert dataset.notes == ()


def test_everything_without_a_partner_is_left_out_and_noted(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b", "c", "d", "e"))
    (folder / "labelsTr" / "b.nii.gz").unlink()
    for place in range(2):
        (folder / "imagesTr" / f"c_{place:04d}.nii.gz").unlink()
    (folder / "imagesTr" / "d_0001.nii.gz").unlink()
    shutil.copy(folder / "imagesTr" / "e_0000.nii.gz", folder / "imagesTr" / "e_0002.nii.gz")
    shutil.copy(folder / "imagesTr" / "a_0000.nii.gz", folder / "imagesTr" / "loose.nii.gz")
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert [case.id for case in dataset.cases] == ["a"]
    assert dataset.notes == (
        f"loose: {folder}/imagesTr/loose.nii.gz does not end in a channel's number, _0000.nii.gz",
        f"b: image {folder}/imagesTr/b_0000.nii.gz has no label map",
        f"c: label map {folder}/labelsTr/c.nii.gz has no image",
        "d: channel 'T1', d_0001.nii.gz, is missing",
        "e: has more image files (3) than there are channels (2)",
        "dataset.json: numTraining is 5 and does not agree with the number of cases, 1",
    )


def test_a_dataset_without_a_complete_case_is_refused_with_what_is_missing(nnunet: Make) -> None:
    folder = nnunet(ids=("a", "b"))
    shutil.rmtree(folder / "labelsTr")
    with pytest.raises(DataError, match=r"no case has both an image and a label map\. a: image .* has no label map\."):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_listed_files_may_lie_anywhere(nnunet: Make, tmp_path: Path) -> None:
    folder = nnunet(ids=("a", "b"))
    (tmp_path / "elsewhere").mkdir()
    shutil.move(folder / "imagesTr" / "b_0000.nii.gz", tmp_path / "elsewhere" / "flair.nii.gz")
    listing = {
        "one": {"images": ["imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz"], "label": "labelsTr/a.nii.gz"},
        "two": {
            "images": [str(tmp_path / "elsewhere" / "flair.nii.gz"), "imagesTr/b_0001.nii.gz"],
            "label": "../" + folder.name + "/labelsTr/b.nii.gz",
        },
        "three": {"images": ["imagesTr/gone.nii.gz", "imagesTr/b_0001.nii.gz"], "label": "labelsTr/b.nii.gz"},
        "four": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"},
    }
    content = {**json.loads((folder / "dataset.json").read_text()), "dataset": listing, "numTraining": 2}
    (folder / "dataset.json").write_text(json.dumps(content))
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert [case.id for case in dataset.cases] == ["one", "two"]
    assert dataset.case("two").images["FLAIR"].path == tmp_path / "elsewhere" / "flair.nii.gz"
    assert dataset.case("two").read_label().array.max() == 2
    assert dataset.notes == (
        "four: channel 'T1', number 1, is missing",
        f"three: {folder}/imagesTr/gone.nii.gz is missing",
    )


@pytest.mark.parametrize("listing", [[], {"a": []}, {"a": {"images": "x", "label": "y"}}, {"a": {"images": ["x"]}}])
def test_a_listing_that_cannot_be_understood_is_refused(nnunet: Make, change_json: Any, listing: Any) -> None:
    folder = nnunet()
    change_json(folder, dataset=listing)
    with pytest.raises(DataError, match=r'needed is \{"images": \[paths\], "label": path\}'):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_splits_beside_the_data_are_its_own(nnunet: Make) -> None:
    folder = nnunet()
    splits = [{"train": ["b", "a"], "val": ["c"]}, {"train": ["c"], "val": ["a", "b"]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    assert LAYOUT.read(folder, PLAIN_OPENING).own_folds == (Fold(("a", "b"), ("c",)), Fold(("c",), ("a", "b")))


@pytest.mark.parametrize(
    "splits", [{}, [1], [{"train": ["a"]}], [{"train": "a", "val": ["b"]}], [{"train": [1], "val": []}]]
)
def test_splits_that_cannot_be_understood_are_refused(nnunet: Make, splits: Any) -> None:
    folder = nnunet()
    (folder / "splits_final.json").write_text(json.dumps(splits))
    with pytest.raises(DataError, match=r"splits_final\.json: needed is a list of"):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_regions_are_read_in_their_order_with_the_numbers_that_are_written() -> None:
    labels = read_labels(
        {
            "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3, "ignore": 4},
            "regions_class_order": [1, 2, 3],
        },
        "here",
    )
    assert labels.regions == {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}
    assert labels.paint == (1, 2, 3)
    assert labels.ignore == 4
    assert labels.names == {"background": 0, "label 1": 1, "label 2": 2, "enhancing": 3}
    assert labels.outputs == ("whole", "core", "enhancing")


def test_lists_of_one_number_are_plain_labels_and_ignore_is_no_label() -> None:
    labels = read_labels({"labels": {"lesion": [1], "background": [0], "ignore": 2}}, "here")
    assert labels.outputs == ("background", "lesion")
    assert (labels.regions, labels.ignore) == ({}, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"labels": {"a": [1, 2], "b": 2}}, "2 regions, but regions_class_order has 0"),
        ({"labels": {"a": [1, 2], "b": 2}, "regions_class_order": [1]}, "2 regions, but regions_class_order has 1"),
        ({"labels": {"a": []}}, "every other label has at least one"),
        ({"labels": {"a": 1, "ignore": [2, 3]}}, "'ignore' is one number"),
        ({"labels": {"a": 1.5}}, r"here\.a: needed is a whole number, found 1\.5"),
        ({"labels": {"a": 1, "b": 1}}, "different numbers"),
        ({"labels": {"background": 0}}, "at least one besides the background"),
        ({}, "needed are labels"),
    ],
)
def test_labels_that_cannot_be_understood_are_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labels(content, "here")


def test_scans_of_another_format_are_refused_with_what_to_do(nnunet: Make, change_json: Any) -> None:
    folder = nnunet()
    change_json(folder, file_ending=".docx")
    with pytest.raises(DataError, match=r"file_ending is '\.docx'; .*\.nii\.gz.* \.nii.* are read"):
        LAYOUT.read(folder, PLAIN_OPENING)
