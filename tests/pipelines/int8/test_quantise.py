"""A bundle gets int8 networks that segment nearly as before, and its card says how nearly."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle, open_bundle, parts_of, write_bundle
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.errors import BundleError, DataError, MissingExtra, UsageError
from neuraxis.evaluation.evaluate import score_case
from neuraxis.pipelines.int8 import quantise
from neuraxis.pipelines.int8.quantise import QuantiseOptions, quantise_bundle
from neuraxis.pipelines.steps import choose_folds

QUICK = QuantiseOptions(patches=2)


def test_a_quantised_bundle_opens_and_segments_nearly_as_in_fp32(quantised: ModelBundle, toy: Path) -> None:
    assert [fold.int8.name for fold in quantised.folds] == ["fold-0.int8.onnx", "fold-2.int8.onnx"]
    scan = toy / "imagesTr" / "sub-5_0000.nii.gz"
    exact = nx.segment(scan, quantised, precision="fp32")
    rough = nx.segment(scan, quantised, precision="int8")
    assert rough.provenance["precision"] == "int8"
    assert rough.provenance["runtime"] == "openvino"
    same = exact.segmentation.array == rough.segmentation.array
    assert same.mean() > 0.99
    assert set(np.unique(rough.segmentation.array)) == {0, 1, 2}


def test_auto_never_takes_int8(quantised: ModelBundle, toy: Path) -> None:
    found = nx.segment(toy / "imagesTr" / "sub-5_0000.nii.gz", quantised)
    assert found.provenance["precision"] in ("bf16", "fp32")


def test_the_loss_on_the_card_is_what_segmenting_the_held_out_cases_gives(quantised: ModelBundle, toy: Path) -> None:
    dataset, told = nx.open_dataset(toy), quantised.card["int8"]
    splits = choose_folds(dataset, quantised.recipe)
    found: dict[str, list[float]] = {"fp32": [], "int8": []}
    for precision, dice in found.items():
        for fold in (0, 2):
            for id in splits[fold].validation:
                case = dataset.case(id)
                options = {"precision": precision, "folds": (fold,), "mirror_axes": ()}
                predicted = nx.segment(case.read_images(), quantised, **options).segmentation.array[0]
                reference = case.read_label().array[0]
                rows = score_case(predicted, reference, dataset.labels, (1.0, 1.0, 1.0), ("dice",))
                dice.append(np.mean([row["dice"] for row in rows.values()]))
    assert told["cases"] == 4
    assert told["held_out"] is True
    assert np.mean(found["fp32"]) > 0.5
    assert told["dice"]["fp32"] == pytest.approx(np.mean(found["fp32"]))
    assert told["dice_loss"] == pytest.approx(np.mean(found["fp32"]) - np.mean(found["int8"]))
    assert abs(told["dice_loss"]) < 0.02
    assert set(told["structures"]) == {"cube", "slab"}
    assert told["calibration_patches"] == 6
    assert {"nncf", "openvino"} <= set(told["versions"])


def test_without_another_name_the_bundle_itself_is_added_to_once_and_always_the_same(
    trained: Path, quantised: ModelBundle, toy: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copy(trained, tmp_path / "model.nxb"))
    before = open_bundle(model)
    after = quantise_bundle(model, toy, options=QUICK)
    assert after.path == model
    assert [fold.weights.read_bytes() for fold in after.folds] == [fold.weights.read_bytes() for fold in before.folds]
    assert {key: value for key, value in after.card.items() if key != "int8"} == before.card
    with pytest.raises(UsageError, match=r"is quantised already\. Add --overwrite"):
        quantise_bundle(model, toy, options=QUICK)
    assert quantise_bundle(model, toy, options=replace(QUICK, overwrite=True)).hash == after.hash
    assert quantised.folds[0].int8.read_bytes() != after.folds[0].int8.read_bytes(), "more patches, other ranges"


def test_a_folder_takes_it_along(quantised: ModelBundle, tmp_path: Path) -> None:
    place = export_bundle(quantised, tmp_path / "folder", "folder")
    assert open_bundle(place).hash == quantised.hash
    with pytest.raises(UsageError, match=r"is a folder, to which nothing is added\. Name a file with --into"):
        quantise_bundle(place, tmp_path)


def test_what_is_there_is_refused_before_anything_is_read(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "there.nxb").touch()
    with pytest.raises(UsageError, match="exists already"):
        quantise_bundle(trained, tmp_path / "no-data", tmp_path / "there.nxb")
    with pytest.raises(UsageError, match=r"ends in \.nxb\. Name it there\.nxb"):
        quantise_bundle(trained, tmp_path / "no-data", tmp_path / "there.zip")
    with pytest.raises(UsageError, match="--patches 0: needed is at least one"):
        QuantiseOptions(patches=0)


def test_data_of_other_channels_are_refused_and_nothing_is_written(
    without: Callable[..., ModelBundle], toy: Path, tmp_path: Path
) -> None:
    recipe = without().card["recipe"]
    recipe["preparation"]["normalisation"] = {"FLAIR": "zscore"}
    model = without(channels=("FLAIR",), recipe=recipe)
    with pytest.raises(DataError, match=r"has the channels T2\. The model 'toy' needs FLAIR"):
        quantise_bundle(model, toy, tmp_path / "new.nxb", QUICK)
    assert not (tmp_path / "new.nxb").exists()


def test_a_model_without_onnx_or_of_two_stages_is_refused(trained: Path, toy: Path, tmp_path: Path) -> None:
    bundle = open_bundle(trained)
    bare = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    with pytest.raises(BundleError, match="fold 0 has no ONNX file, so there is nothing to quantise"):
        quantise_bundle(bare, toy, tmp_path / "new.nxb")
    with pytest.raises(BundleError, match="second stage of a cascade"):
        quantise_bundle(replace(bundle, previous=bundle), toy, tmp_path / "new.nxb")


def test_a_missing_package_is_told_with_the_line_to_type(
    trained: Path, toy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(package: str, extra: str) -> None:
        if package == "onnxruntime":
            raise MissingExtra(package, extra)

    monkeypatch.setattr(quantise, "need", lacking)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[onnx\]'"):
        quantise_bundle(trained, toy, trained.with_name("new.nxb"))


def test_an_ensemble_needs_every_fold_in_int8(quantised: ModelBundle, toy: Path, tmp_path: Path) -> None:
    parts = parts_of(quantised)
    partly = replace(parts, folds=(parts.folds[0], replace(parts.folds[1], int8=None)))
    bundle = open_bundle(write_bundle(partly, tmp_path / "partly.nxb"))
    scan = toy / "imagesTr" / "sub-5_0000.nii.gz"
    with pytest.raises(BundleError, match=r"fold 2 was not quantised.*neuraxis bundle quantise .*partly\.nxb --data"):
        nx.segment(scan, bundle, precision="int8")
    assert nx.segment(scan, bundle, precision="int8", folds=(0,)).provenance["precision"] == "int8"
