"""Whole datasets in other layouts: opened again, they are the same cases, voxels, labels, patients and sites."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.pipelines.forms.convert import convert


@pytest.fixture
def odd(toy_channels: Path, tmp_path: Path) -> Path:
    """A dataset with numbers that have gaps, an ignored one, sites, patients, a split and a test image."""
    folder = tmp_path / "odd"
    shutil.copytree(toy_channels, folder)
    for path in (folder / "labelsTr").iterdir():
        image = nib.load(path)
        array = np.asarray(image.dataobj)
        nib.save(nib.Nifti1Image(np.choose(array, [0, 4, 9]).astype(np.uint8), image.affine), path)
    (folder / "imagesTs").mkdir()
    for place in range(3):
        source = folder / "imagesTr" / f"toy_00_{place:04}.nii.gz"
        shutil.copyfile(source, folder / "imagesTs" / f"new_{place:04}.nii.gz")
    content = json.loads((folder / "dataset.json").read_text())
    content |= {"labels": {"background": 0, "ball": 4, "shell": 9, "ignore": 2}}
    content |= {"site": "Leeds", "subject": {"toy_00": "anna", "toy_01": "anna", "toy_02": "an-na"}}
    (folder / "dataset.json").write_text(json.dumps(content))
    ids = [f"toy_{number:02}" for number in range(8)]
    splits = [{"train": ids[2:], "val": ids[:2]}, {"train": ids[:6], "val": ids[6:]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    return folder


def test_nnunets_layout_has_numbers_without_gaps_and_everything_else_as_it_was(odd: Path, tmp_path: Path) -> None:
    (result,) = convert(odd, tmp_path / "Dataset007_Odd", "nnunet")
    before, after = open_dataset(odd), open_dataset(result.path)
    assert after.layout == "nnunet"
    assert json.loads((result.path / "dataset.json").read_text())["labels"] == {
        "background": 0,
        "ball": 1,
        "shell": 2,
        "ignore": 3,
    }
    assert [case.id for case in after.cases] == [case.id for case in before.cases]
    assert [case.id for case in after.unlabelled] == ["new"]
    assert [case.subject for case in after.cases] == [case.subject for case in before.cases]
    assert {case.site for case in after.cases} == {"Leeds"}
    assert after.own_folds == before.own_folds
    for one, other in zip(before.cases, after.cases, strict=True):
        np.testing.assert_array_equal(other.read_images().array, one.read_images().array)
        np.testing.assert_array_equal(other.read_images().grid.affine, one.read_images().grid.affine)
        stored = one.read_label().array
        np.testing.assert_array_equal(other.read_label().array, np.select([stored == 4, stored == 9], [1, 2], 0))


def test_regions_stay_regions(tumour: Path, tmp_path: Path) -> None:
    (result,) = convert(tumour, tmp_path / "Dataset008", "nnunet")
    content = json.loads((result.path / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "whole": [1, 2], "core": [2]}
    assert content["regions_class_order"] == [1, 2]
    before, after = open_dataset(tumour).labels, open_dataset(result.path).labels
    assert after.outputs == before.outputs
    with pytest.raises(DataError, match="has regions, which the Decathlon's layout cannot say"):
        convert(tumour, tmp_path / "msd", "msd")
    assert not (tmp_path / "msd").exists()


@pytest.fixture
def tumour(toy_dataset: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "tumour"
    shutil.copytree(toy_dataset, folder)
    content = json.loads((folder / "dataset.json").read_text())
    content |= {"labels": {"background": 0, "whole": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


def test_the_decathlons_layout_joins_channels(toy_channels: Path, tmp_path: Path) -> None:
    (result,) = convert(toy_channels, tmp_path / "Task01", "msd")
    before, after = open_dataset(toy_channels), open_dataset(result.path)
    assert (after.layout, after.channels, after.labels) == ("msd", before.channels, before.labels)
    assert nib.load(result.path / "imagesTr" / "toy_03.nii.gz").shape == (20, 18, 16, 3)
    for one, other in zip(before.cases, after.cases, strict=True):
        np.testing.assert_array_equal(other.read_images().array, one.read_images().array)
        np.testing.assert_array_equal(other.read_label().array, one.read_label().array)


def test_a_bids_dataset_keeps_patients_and_is_valid(odd: Path, tmp_path: Path, bids_errors) -> None:
    (result,) = convert(odd, tmp_path / "bids", "bids")
    assert bids_errors(result.path) == []
    assert bids_errors(result.path / "derivatives" / "labels") == []
    subjects = {path.name for path in result.path.glob("sub-*")}
    assert len(subjects) == 8  # nine cases, two of them of one patient
    assert {"sub-anna", "sub-toy07", "sub-new"} < subjects
    table = (result.path / "participants.tsv").read_text().splitlines()
    assert table[0] == "participant_id\tsite"
    assert "sub-anna\tLeeds" in table
    before = open_dataset(odd).case("toy_04")
    base = "sub-toy04/anat/sub-toy04"
    np.testing.assert_array_equal(
        nib.load(result.path / f"{base}_T1w.nii.gz").get_fdata(), nib.load(before.images["T1"].path).get_fdata()
    )
    np.testing.assert_array_equal(
        nib.load(result.path / "derivatives" / "labels" / f"{base}_dseg.nii.gz").get_fdata(),
        nib.load(before.label).get_fdata(),
    )


def test_a_channel_without_a_name_in_bids_is_refused(odd: Path, tmp_path: Path) -> None:
    content = json.loads((odd / "dataset.json").read_text())
    content["channel_names"]["1"] = "DWI"
    (odd / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="the channel 'DWI' has no name in BIDS that is known here"):
        convert(odd, tmp_path / "bids", "bids")
    assert not (tmp_path / "bids").exists()


def test_a_bad_case_leaves_nothing_behind_and_places_are_not_mixed_up(odd: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds the dataset that is converted"):
        convert(odd, odd, "msd")
    with pytest.raises(UsageError, match="holds the dataset that is converted"):
        convert(odd, odd.parent, "nnunet")
    with pytest.raises(DataError, match="no layout recognises it"):
        convert(odd / "imagesTr", tmp_path / "out", "nnunet")
    (odd / "labelsTr" / "toy_05.nii.gz").write_text("broken")
    with pytest.raises(DataError, match="toy_05"):
        convert(odd, tmp_path / "out", "nnunet")
    assert not (tmp_path / "out").exists()


def test_of_a_dataset_the_label_maps_are_taken_each_with_its_scan(odd: Path, tmp_path: Path) -> None:
    results = convert(odd, tmp_path / "out", "overlay")
    assert [result.path.name for result in results] == [f"toy_{number:02}_overlay.png" for number in range(8)]
    results = convert(odd, tmp_path / "models", "glb")
    assert len(results) == 8
    assert all(result.error is None for result in results)
