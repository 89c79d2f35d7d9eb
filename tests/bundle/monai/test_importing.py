"""Imported bundles of MONAI against MONAI itself, which runs their configurations on drawn scans."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from monai.bundle import run as run_monai

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError

EQUAL = 0.9999
Config = dict[str, Any]
Segmentations = dict[str, np.ndarray]


def by_monai(folder: Path, made: Any, scans: Path, into: Path) -> Segmentations:
    """Run a bundle with MONAI; return what it wrote by the scan's name."""
    run_monai(
        config_file=str(folder / "configs" / "inference.json"),
        meta_file=str(folder / "configs" / "metadata.json"),
        bundle_root=str(folder),
        dataset_dir=str(scans),
        output_dir=str(into),
        device="cpu",
    )
    written = {name: nib.load(next(into.glob(f"{name}*"))) for name in made.shapes}
    return {name: np.asarray(image.dataobj).reshape(made.shapes[name]) for name, image in written.items()}


def by_us(model: ModelBundle, made: Any, scans: Path, into: Path) -> Segmentations:
    """Segment each scan with our bundle, in single precision; return what was written."""
    into.mkdir()
    for name in made.shapes:
        files = sorted(scans.glob(f"{name}*"))
        scan = dict(zip(model.channels, files, strict=True)) if len(files) > 1 else files[0]
        nx.segment(scan, model, precision="fp32").save(into / f"{name}.nii.gz")
    return {name: np.asarray(nib.load(into / f"{name}.nii.gz").dataobj) for name in made.shapes}


@pytest.fixture
def assert_equal(scans: Callable[[int], Path], tmp_path: Path) -> Callable[[Path, Any], ModelBundle]:
    """Return a function that imports a bundle and holds what it finds against what MONAI finds."""

    def check(folder: Path, made: Any) -> ModelBundle:
        model = nx.import_bundle(folder, tmp_path / "model.nxb")
        theirs = by_monai(folder, made, scans(made.channels), tmp_path / "theirs")
        ours = by_us(model, made, scans(made.channels), tmp_path / "ours")
        for name, expected in theirs.items():
            assert ours[name].shape == expected.shape
            assert (ours[name] == expected).mean() >= EQUAL, name
        assert len(np.unique(np.concatenate([found.ravel() for found in theirs.values()]))) > 2
        return model

    return check


@pytest.mark.parametrize("name", ["ct", "mri", "dynunet"])
def test_its_voxels_are_monais(name: str, bundles: dict[str, Any], assert_equal) -> None:
    assert_equal(bundles[name].folder, bundles[name])


def spaced(config: Config) -> None:
    """Turn, interpolate and only then normalise; masks of regions come from interpolated probabilities."""
    load, normalise = config["preprocessing"]["transforms"]
    normalise["nonzero"] = False
    turn = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
    spacing = {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.2, -1], "align_corners": True}
    config["preprocessing"]["transforms"] = [load, turn, spacing, normalise]
    config["inferer"] |= {"mode": "gaussian", "overlap": 0.25}


def cut_and_chosen(config: Config) -> None:
    """Cut to what is not 0, then interpolate; values are told by expressions and references."""
    before = config["preprocessing"]["transforms"]
    select = {"select_fn": "$lambda x: x != 0", "source_key": "@image_key", "keys": "image"}
    before.insert(3, {"_target_": "CropForegroundd", **select})
    before.insert(1, {"_target_": "ScaleIntensityd", "keys": "image", "_disabled_": True})
    config["fine"] = False
    config["sizes"] = {"coarse": [2.0, 2.0, 2.0]}
    before[5]["pixdim"] = "$[1.0, 1.0, 1.0] if @fine else @sizes#coarse"
    config["inferer"] |= {"roi_size": "%window", "overlap": "@inferer_overlap"}
    config |= {"window": [16, 16, 16], "inferer_overlap": 0.7}


@pytest.mark.parametrize(("name", "change"), [("mri", spaced), ("ct", cut_and_chosen)])
def test_its_voxels_are_monais_with_other_steps(name: str, change, bundles, changed, assert_equal) -> None:
    assert_equal(changed(name, change), bundles[name])


def test_the_regions_of_a_painted_model_lie_one_over_the_other(bundles, tmp_path: Path) -> None:
    """The trained order is core, whole, enhancing; the first of the expression covers all others."""
    labels = nx.import_bundle(bundles["mri"].folder, tmp_path / "model.nxb").labels

    assert labels.outputs == ("Whole tumor", "Tumor core", "Enhancing tumor")
    assert labels.paint == (2, 1, 4)
    assert labels.regions["Whole tumor"] == (2, 1, 4)
    assert labels.names["Enhancing tumor"] == 4


def test_a_zip_is_imported_and_its_card_says_what_the_metadata_say(bundles, tmp_path: Path) -> None:
    packed = tmp_path / "ct.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(bundles["ct"].folder.rglob("*.*")):
            archive.write(file, Path("ct") / file.relative_to(bundles["ct"].folder))

    model = nx.import_bundle(packed, tmp_path / "model.nxb")

    assert (model.name, model.channels, model.modality) == ("Two balls", ("c0",), {"c0": "CT"})
    assert (model.card["licence"], model.card["citation"]) == ("Nobody", "Somebody 2020")
    assert model.labels.names == {"background": 0, "shell": 1, "core": 2}
    assert model.recipe.inference.arithmetic == "monai"
    assert nx.import_bundle(bundles["ct"].folder, tmp_path / "b.nxb").folds[0].weights.read_bytes() == (
        model.folds[0].weights.read_bytes()
    )


def test_weights_of_several_names_and_places_are_found(changed, tmp_path: Path) -> None:
    def elsewhere(config: Config) -> None:
        config["checkpointloader"]["load_path"] = "$@bundle_root + '/models/' + @modelname"
        config["modelname"] = "$'fine.pt' if @displayable_configs#highres else 'coarse.pt'"
        config["displayable_configs"] = {"highres": True}

    folder = changed("ct", elsewhere)
    (folder / "models" / "model.pt").rename(folder / "models" / "fine.pt")

    assert nx.import_bundle(folder, tmp_path / "model.nxb").recipe.network.name == "monai-unet"


@pytest.mark.parametrize(("to", "words"), [("monai", "Use that one"), ("nnunet", "as MONAI lays them")])
def test_it_is_not_exported_to_where_it_would_do_something_else(to, words, bundles, tmp_path: Path) -> None:
    model = nx.import_bundle(bundles["ct"].folder, tmp_path / "model.nxb")

    with pytest.raises(BundleError, match=words):
        nx.export_bundle(model, tmp_path / "exported", to)
    assert not (tmp_path / "exported").exists()
