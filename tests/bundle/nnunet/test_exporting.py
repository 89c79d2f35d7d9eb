"""Bundles as nnU-Net's results folders."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.sct import export_sct
from neuraxis.bundle.nnunet.exporting import configuration_of, describe, export_nnunet
from neuraxis.recipe.recipe import Recipe

FIXTURES = Path(__file__).parent / "fixtures"
MODELS = [
    ("head", "nnUNetTrainer__nnUNetPlans__3d_fullres"),
    ("head", "nnUNetTrainer__nnUNetPlans__2d"),
    ("spine", "nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres"),
]
# what nnU-Net's predictor looks at
READ = (
    "patch_size",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "preprocessor_name",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_probabilities",
    "resampling_fn_probabilities_kwargs",
)


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_an_imported_model_goes_back_as_it_came(name: str, model: str, imported, tmp_path: Path) -> None:
    came = FIXTURES / name / model

    went = export_nnunet(imported[name, model], tmp_path / model)

    old, new = (torch.load(folder / "fold_0" / "checkpoint_final.pth", weights_only=False) for folder in (came, went))
    assert set(new["network_weights"]) == set(old["network_weights"])
    for key, value in old["network_weights"].items():
        assert torch.equal(new["network_weights"][key], value), key
    for key in ("trainer_name", "inference_allowed_mirroring_axes"):
        assert new[key] == old[key]
    old, new = (json.loads((folder / "plans.json").read_text("utf-8")) for folder in (came, went))
    for key in ("transpose_forward", "transpose_backward", "image_reader_writer", "dataset_name"):
        assert new[key] == old[key], key
    configuration = configuration_of(imported[name, model])
    old, new = (plans["configurations"][configuration] for plans in (old, new))
    for key in READ:
        assert new[key] == old[key], key
    kept = set(old["architecture"]["arch_kwargs"]) - {"stem_channels"}
    assert {key: new["architecture"]["arch_kwargs"][key] for key in kept} == {
        key: old["architecture"]["arch_kwargs"][key] for key in kept
    }
    old, new = (json.loads((folder / "dataset.json").read_text("utf-8")) for folder in (came, went))
    assert (new["labels"], new["channel_names"]) == (old["labels"], old["channel_names"])


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_what_was_exported_imports_as_the_same_model(name: str, model: str, imported, tmp_path: Path) -> None:
    bundle = imported[name, model]

    again = nx.import_bundle(export_nnunet(bundle, tmp_path / model), tmp_path / "again.nxb")

    assert again.recipe.preparation == bundle.recipe.preparation
    assert again.recipe.network == bundle.recipe.network
    assert again.recipe.inference == bundle.recipe.inference
    assert (again.labels, again.channels) == (bundle.labels, bundle.channels)
    assert again.folds[0].weights.read_bytes() == bundle.folds[0].weights.read_bytes()


def test_an_existing_folder_is_kept_unless_overwriting_is_asked_for(imported, tmp_path: Path) -> None:
    out = export_nnunet(imported[MODELS[0]], tmp_path / "out")
    (out / "old.txt").write_text("of an older export", "utf-8")

    with pytest.raises(nx.UsageError, match="exists already"):
        export_nnunet(imported[MODELS[0]], out)
    assert (out / "old.txt").is_file()
    export_nnunet(imported[MODELS[0]], out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["dataset.json", "fold_0", "plans.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_of_something_else_is_never_replaced(imported, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine", "utf-8")

    with pytest.raises(nx.UsageError, match="is not replaced"):
        export_nnunet(imported[MODELS[0]], tmp_path / "thesis", overwrite=True)
    assert (tmp_path / "thesis" / "chapter.txt").is_file()


def changed(bundle: ModelBundle, **changes: Any) -> ModelBundle:
    """Return a bundle with other values in branches of its recipe, such as preparation={"thick_ratio": 2}."""
    recipe = bundle.recipe.model_dump()
    for branch, values in changes.items():
        recipe[branch] |= values
    return replace(bundle, recipe=Recipe.model_validate(recipe))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"preparation": {"thick_ratio": 2.0}}, "slices count as thick from a ratio of 2 on"),
        ({"preparation": {"normalisation": {"T1": "percentile", "T2": "zscore"}}}, "no normalisation 'percentile'"),
        ({"preparation": {"spacing_mm": (0, 1, 1)}}, "keeps the scan's own spacing"),
        ({"network": {"name": "classic-unet", "options": {}}}, "network 'classic-unet' is none of nnU-Net's"),
    ],
)
def test_what_nnunet_cannot_do_is_refused(changes, words: str, imported, tmp_path: Path) -> None:
    bundle = imported[MODELS[0]]
    if "network" in changes:
        options = {key: bundle.recipe.network.options[key] for key in ("features", "kernels", "strides")}
        changes = {"network": {"name": "classic-unet", "options": options}}

    with pytest.raises(nx.BundleError) as refusal:
        export_nnunet(changed(bundle, **changes), tmp_path / "out")
    assert words in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_labels_with_a_gap_are_refused(imported, tmp_path: Path) -> None:
    bundle = replace(imported[MODELS[0]], labels=nx.Labels(names={"background": 0, "core": 1, "rim": 5}))

    with pytest.raises(nx.BundleError, match="without a gap"):
        export_nnunet(bundle, tmp_path / "out")


def test_a_model_of_canonical_axes_is_read_by_the_reader_that_turns_to_ras(imported) -> None:
    bundle = changed(imported[MODELS[1]], preparation={"orientation": "canonical", "axes": (0, 1, 2)})

    plans, dataset = describe(bundle)

    assert plans["image_reader_writer"] == "NibabelIOWithReorient"
    assert plans["transpose_forward"] == [2, 1, 0]  # its arrays are (Z, Y, X), ours (X, Y, Z)
    assert dataset["image_orientation"] == "LPI"


def test_a_2d_model_has_its_flat_axis_first(imported) -> None:
    bundle = imported[MODELS[1]]
    options = bundle.recipe.network.options
    turned = {key: [(*size[1:], 1) for size in options[key]] for key in ("kernels", "strides")}
    patch = bundle.recipe.patches.shape
    bundle = changed(
        bundle,
        preparation={"orientation": "canonical", "axes": (0, 1, 2), "spacing_mm": (0.9, 1.1, 0)},
        network={"options": {**options, **turned, "flat_axis": 2}},
        patches={"shape": (*patch[1:], 1)},
        inference={"mirror_axes": (1,)},
    )

    plans, _ = describe(bundle)

    assert plans["transpose_forward"] == [0, 2, 1]
    assert plans["configurations"]["2d"]["spacing"] == [0.9, 1.1]
    assert plans["configurations"]["2d"]["patch_size"] == list(patch[1:])


def test_the_zip_for_the_spinal_cord_toolbox_holds_one_trainers_folder(imported, tmp_path: Path) -> None:
    name, model = MODELS[2]

    archive = export_sct(imported[name, model], tmp_path / "model_spine.zip")

    with zipfile.ZipFile(archive) as content:
        assert sorted(content.namelist()) == [
            f"model_spine/nnUNetTrainer__nnUNetPlans__3d_fullres/{file}"
            for file in ("dataset.json", "fold_0/checkpoint_final.pth", "plans.json")
        ]
    assert nx.import_bundle(archive, tmp_path / "again.nxb").labels == imported[name, model].labels
    with pytest.raises(nx.BundleError, match="needs 2 channels"):
        export_sct(imported[MODELS[0]], tmp_path / "head.zip")
    with pytest.raises(nx.UsageError, match="installs a zip"):
        export_sct(imported[name, model], tmp_path / "head.nxb")
