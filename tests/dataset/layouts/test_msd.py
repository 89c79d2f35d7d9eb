from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.dataset.layouts.msd import LAYOUT
from neuraxis.dataset.opening import PLAIN_OPENING
from neuraxis.errors import DataError

Make = Callable[..., Path]


def test_the_listed_pairs_are_the_cases(msd: Make) -> None:
    folder = msd("Task04_Toy", ("b", "a"))
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert (dataset.name, dataset.layout, dataset.channels) == ("Task04_Toy", "msd", ("MRI",))
    assert dataset.labels.names == {"background": 0, "one": 1, "two": 2}
    assert [case.id for case in dataset.cases] == ["a", "b"]
    case = dataset.case("a")
    assert (case.images["MRI"].index, case.subject, case.site) == (None, "a", "")
    assert case.read_images().array.shape == (1, 6, 7, 8)
    assert dataset.notes == ()


def test_channels_of_4d_scans_are_taken_by_their_index(msd: Make) -> None:
    dataset = LAYOUT.read(msd(modality=("FLAIR", "T1w", "t1gd", "T2w")), PLAIN_OPENING)
    assert dataset.channels == ("FLAIR", "T1w", "t1gd", "T2w")
    assert [file.index for file in dataset.case("a").images.values()] == [0, 1, 2, 3]
    assert dataset.case("a").read_images().array.shape == (4, 6, 7, 8)


def test_ct_is_known_by_its_modality(msd: Make) -> None:
    assert LAYOUT.read(msd(modality=("CT",)), PLAIN_OPENING).modality == {"CT": "CT"}


def test_test_images_that_are_there_are_unlabelled_cases(msd: Make, change_json: Any) -> None:
    folder = msd()
    (folder / "imagesTs").mkdir()
    shutil.copy(folder / "imagesTr" / "a.nii.gz", folder / "imagesTs" / "new.nii.gz")
    change_json(folder, test=["./imagesTs/new.nii.gz", "./imagesTs/not_fetched.nii.gz"])
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert [(case.id, case.label) for case in dataset.unlabelled] == [("new", None)]


def test_everything_that_does_not_pair_is_noted(msd: Make, change_json: Any) -> None:
    folder = msd(ids=("a", "b", "c"))
    (folder / "labelsTr" / "b.nii.gz").unlink()
    shutil.copy(folder / "imagesTr" / "a.nii.gz", folder / "imagesTr" / "image_only.nii.gz")
    shutil.copy(folder / "labelsTr" / "a.nii.gz", folder / "labelsTr" / "label_only.nii.gz")
    for kind in ("images", "labels"):
        shutil.copy(folder / f"{kind}Tr" / "a.nii.gz", folder / f"{kind}Tr" / "both.nii.gz")
        (folder / f"{kind}Tr" / "._a.nii.gz").write_text("macOS")
    pairs = [{"image": f"imagesTr/{id}.nii.gz", "label": f"labelsTr/{id}.nii.gz"} for id in ("a", "b")]
    pairs.append({"image": "imagesTr/c.nii.gz", "label": "labelsTr/a.nii.gz"})
    change_json(folder, training=pairs, numTraining=200)
    dataset = LAYOUT.read(folder, PLAIN_OPENING)
    assert [case.id for case in dataset.cases] == ["a", "c"]
    assert dataset.notes == (
        f"b: {folder}/labelsTr/b.nii.gz is missing",
        f"c: {folder}/imagesTr/c.nii.gz is paired with a label map of another name, a.nii.gz",
        f"both: {folder}/imagesTr/both.nii.gz is not listed in dataset.json",
        f"c: label map {folder}/labelsTr/c.nii.gz has no image",
        f"image_only: image {folder}/imagesTr/image_only.nii.gz has no label map",
        f"label_only: label map {folder}/labelsTr/label_only.nii.gz has no image",
        "dataset.json: numTraining is 200 and does not agree with the number of cases, 3",
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/a.nii.gz", "imagesTr/../../a.nii.gz", "..", "./../a.nii.gz"])
@pytest.mark.parametrize("side", ["image", "label"])
def test_a_path_that_leads_out_of_the_folder_is_refused(msd: Make, change_json: Any, side: str, path: str) -> None:
    folder = msd()
    pair = {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz", side: path}
    change_json(folder, training=[pair])
    with pytest.raises(DataError, match=f"'{path}' leads out of the folder"):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_a_test_image_outside_the_folder_is_refused_as_well(msd: Make, change_json: Any) -> None:
    folder = msd()
    change_json(folder, test=["../x.nii.gz"])
    with pytest.raises(DataError, match="leads out of the folder"):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_dots_that_stay_inside_are_allowed(msd: Make, change_json: Any) -> None:
    folder = msd()
    pair = {"image": "./labelsTr/../imagesTr/a.nii.gz", "label": ".//labelsTr/a.nii.gz"}
    change_json(folder, training=[pair], numTraining=1)
    assert LAYOUT.read(folder, PLAIN_OPENING).case("a").read_images().channels == 1


def test_a_link_inside_the_folder_may_lead_out(msd: Make, tmp_path: Path) -> None:
    folder = msd()
    (tmp_path / "annex").mkdir()
    shutil.move(folder / "imagesTr" / "a.nii.gz", tmp_path / "annex" / "key")
    (folder / "imagesTr" / "a.nii.gz").symlink_to(tmp_path / "annex" / "key")
    assert LAYOUT.read(folder, PLAIN_OPENING).case("a").read_images().channels == 1


@pytest.mark.parametrize(
    "training",
    [{}, [1], ["a.nii.gz"], [{"image": "a"}], [{"image": 1, "label": 2}], [{"image": "a\0", "label": "b"}]],
)
def test_a_list_that_cannot_be_understood_is_refused(msd: Make, change_json: Any, training: Any) -> None:
    folder = msd()
    change_json(folder, training=training)
    with pytest.raises(DataError, match="needed is"):
        LAYOUT.read(folder, PLAIN_OPENING)


def test_an_empty_list_is_refused(msd: Make, change_json: Any) -> None:
    folder = msd()
    change_json(folder, training=[])
    with pytest.raises(DataError, match="no case has both an image and a label map"):
        LAYOUT.read(folder, PLAIN_OPENING)


@pytest.mark.data
def test_the_real_hippocampus_is_read_whole(shared_data: Path) -> None:
    dataset = LAYOUT.read(shared_data / "hippocampus-msd", PLAIN_OPENING)
    assert len(dataset.cases) == 200
    assert dataset.labels.names == {"background": 0, "Anterior": 1, "Posterior": 2}
    assert dataset.channels == ("MRI",)
    assert dataset.notes == ()
    case = dataset.case("hippocampus_001")
    assert case.read_images().grid.matches(case.read_label().grid)
    assert np.unique(case.read_label().array).tolist() == [0, 1, 2]
