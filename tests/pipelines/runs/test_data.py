"""What a recipe makes of label maps holds from the check to the bundle, and when a run is gone on with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.opening import Opening, Place
from neuraxis.errors import DataError, RecipeError, UsageError
from neuraxis.files import read_json
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.runs.data import dataset_of_run, open_datasets
from neuraxis.pipelines.steps import PlanOptions, plan_all, prepare_datasets
from neuraxis.preparation.store import Store
from neuraxis.recipe.branches.labels import LabelRecipe

JOINED = 'labels.merge.whole=["ball", "shell"]'
BY_PAIRS = Opening(subject=r"^toy_0([0-7])$", volume=0)


@pytest.fixture(scope="module")
def run(toy_dataset, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "joined"
    settings = (*toy_settings, "training.steps=6", JOINED)
    return fit([Place(toy_dataset, BY_PAIRS)], FitOptions(into=folder, settings=settings, device="cpu"))


def test_scores_bundle_and_report_know_the_labels_that_came_out(run) -> None:
    assert {row.structure for row in run.scores.rows} == {"whole"}
    bundle = open_bundle(run.bundle)
    assert bundle.labels.names == {"background": 0, "whole": 1}
    assert bundle.recipe.labels == LabelRecipe(merge={"whole": ("ball", "shell")})
    assert {row.numbers for row in run.scores.rows} == {(1,)}


def test_a_run_remembers_how_its_folder_was_understood(run, toy_dataset) -> None:
    request = read_json(run.run / "run.json")["request"]
    assert request["datasets"] == [str(toy_dataset)]
    assert request["openings"] == [BY_PAIRS.to_dict()]
    found = dataset_of_run(run.run, request)
    assert (found.opening, found.labels.names) == (BY_PAIRS, {"background": 0, "whole": 1})
    assert found.content_hash() == read_json(run.run / "run.json")["data_hash"]
    assert {case.subject for case in found.cases} == set("01234567")


def test_the_same_call_goes_on_and_another_understanding_does_not(run, toy_dataset, toy_settings) -> None:
    options = FitOptions(into=run.run, settings=(*toy_settings, "training.steps=6", JOINED), device="cpu")
    again = fit([Place(toy_dataset, BY_PAIRS)], options)
    assert again.scores.mean("dice") == run.scores.mean("dice")
    with pytest.raises(UsageError, match="openings"):
        fit([toy_dataset], options)


def test_a_store_holds_the_labels_that_came_out(toy_dataset, toy_settings, tmp_path: Path) -> None:
    prepare_datasets([toy_dataset], "auto", (*toy_settings, JOINED), tmp_path / "joined")
    prepare_datasets([toy_dataset], "auto", toy_settings, tmp_path / "plain")
    joined, plain = (Store(tmp_path / name).read("toy_00")[1] for name in ("joined", "plain"))
    assert set(np.unique(joined)) == {0, 1}
    np.testing.assert_array_equal(joined, plain > 0)
    with pytest.raises(UsageError, match="holds the store of other data"):
        prepare_datasets([toy_dataset], "auto", toy_settings, tmp_path / "joined")


def masked(toy_dataset: Path, folder: Path, value: float, dtype: str) -> Path:
    """Copy the toy with masks of 0 and a value."""
    shutil.copytree(toy_dataset, folder)
    for path in (folder / "labelsTr").iterdir():
        image = nib.load(path)
        array = (np.asarray(image.dataobj) > 0) * np.array(value, dtype)
        nib.save(nib.Nifti1Image(array.astype(dtype), image.affine), path)
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, "labels": {"background": 0, "ball": 1}}))
    return folder


@pytest.mark.parametrize(
    ("value", "dtype", "setting"), [(255, "u1", "labels.map.255=1"), (0.7, "f4", "labels.threshold=0.5")]
)
def test_masks_of_255_and_probabilities_are_planned_when_told_how(
    value: float, dtype: str, setting: str, toy_dataset, toy_settings, tmp_path: Path
) -> None:
    folder = masked(toy_dataset, tmp_path / "masks", value, dtype)
    with pytest.raises(DataError, match=setting.replace("threshold=0.5", "threshold")):
        plan_all([folder], settings=toy_settings)
    planned = plan_all([folder], settings=(*toy_settings, setting))
    assert planned.fingerprint.voxels_per_label.keys() == {0, 1}
    assert planned.dataset.labels.names == {"background": 0, "ball": 1}


def test_datasets_that_differ_are_joined_once_their_labels_agree(toy_dataset, tmp_path: Path) -> None:
    other = masked(toy_dataset, tmp_path / "other", 1, "u1")
    with pytest.raises(DataError, match="Needed are the same"):
        open_datasets([toy_dataset, other])
    joined = open_datasets([toy_dataset, other], LabelRecipe(threshold=0.5, names={"ball": 1}))
    assert len(joined.cases) == 16
    assert joined.labels.names == {"background": 0, "ball": 1}


def test_a_label_that_the_data_lack_is_refused_before_any_scan_is_read(toy_dataset, toy_settings) -> None:
    with pytest.raises(RecipeError, match=r"labels\.merge\.x: the data have no label 'bell'\. Did you mean 'ball'"):
        plan_all([toy_dataset], settings=(*toy_settings, 'labels.merge.x=["bell"]'))


def test_corrected_label_maps_hold_the_labels_that_came_out(toy_dataset, toy_settings, tmp_path: Path) -> None:
    label = nib.load(toy_dataset / "labelsTr" / "toy_00.nii.gz")
    array = (np.asarray(label.dataobj) > 0).astype("u1")
    array[0, 0, 0] = 1
    (tmp_path / "corrected").mkdir()
    nib.save(nib.Nifti1Image(array, label.affine), tmp_path / "corrected" / "toy_00.nii.gz")
    options = PlanOptions(add=[tmp_path / "corrected"])
    planned = plan_all([toy_dataset], settings=(*toy_settings, JOINED), options=options)
    assert int(planned.dataset.case("toy_00").read_label().array.sum()) == int(array.sum())


def test_what_is_hashed_is_what_the_files_mean(toy_dataset) -> None:
    plain = open_dataset(toy_dataset)
    joined = open_datasets([toy_dataset], LabelRecipe(merge={"whole": ("ball", "shell")}))
    assert plain.content_hash() != joined.content_hash()
