"""Imported models give what nnU-Net itself gave (fixtures trained and predicted by nnU-Net 2.8.1)."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.volume.formats import nifti

FIXTURES = Path(__file__).parent / "fixtures"
HEAD = ("head", "nnUNetTrainer__nnUNetPlans__3d_fullres")
HEAD_2D = ("head", "nnUNetTrainer__nnUNetPlans__2d")
SPINE = ("spine", "nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres")
MODELS = [
    pytest.param(*HEAD, id="3d, two channels, cropped"),
    pytest.param(*HEAD_2D, id="2d"),
    pytest.param(*SPINE, id="residual, CT, regions, thick slices"),
]
SCANS = ("unseen_0", "unseen_1", "unseen_2")


def channels_of(name: str, scan: str, bundle: ModelBundle) -> dict[str, Path]:
    files = sorted((FIXTURES / name / "scans").glob(f"{scan}_*.nii.gz"))
    return dict(zip(bundle.channels, files, strict=True))


def expected(name: str, model: str, kind: str, scan: str) -> np.ndarray:
    folder = FIXTURES / name / "expected" / model.rpartition("__")[2] / kind
    return nifti.read(folder / f"{scan}.nii.gz").array[0]


@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize(("name", "model"), MODELS)
def test_every_voxel_is_nnunets(name: str, model: str, scan: str, mirrored: bool, imported) -> None:
    bundle = imported[name, model]
    given = channels_of(name, scan, bundle)
    options = {} if mirrored else {"mirror_axes": ()}

    found = nx.segment(given, bundle, precision="fp32", device="cpu", **options)

    theirs = expected(name, model, "mirrored" if mirrored else "plain", scan)
    ours = found.segmentation.array[0]
    assert set(np.unique(theirs)) == {0, 1, 2}  # else equality would say little
    assert ours.shape == theirs.shape
    assert (ours != theirs).sum() <= 1e-4 * theirs.size
    for number in (1, 2):
        both = ((ours == number) & (theirs == number)).sum()
        assert 2 * both / ((ours == number).sum() + (theirs == number).sum()) >= 0.9999


@pytest.mark.parametrize(("name", "model"), MODELS)
def test_a_bundle_says_where_it_came_from(name: str, model: str, imported) -> None:
    bundle = imported[name, model]

    assert bundle.recipe.inference.arithmetic == "nnunet"
    assert bundle.recipe.preparation.orientation == "stored"
    assert "nnUNetTrainer" in bundle.card["summary"]
    assert "doi:10.1038/s41592-020-01008-z" in bundle.card["citation"]
    assert bundle.card["licence"] == "drawn, public domain"


def test_the_thick_axis_comes_first_as_nnunet_turns_it(imported) -> None:
    recipe = imported[SPINE].recipe

    assert recipe.preparation.axes == (0, 2, 1)
    assert recipe.preparation.thick_ratio == 3
    assert recipe.preparation.spacing_mm[0] > 3


def test_regions_and_ignored_voxels_come_along(imported) -> None:
    labels = imported[SPINE].labels

    assert labels.regions == {"whole": (1, 2), "core": (2,)}
    assert (labels.paint, labels.ignore, labels.activation) == ((1, 2), 3, "sigmoid")


def test_an_exported_zip_gives_the_same_bundle_as_the_folder(tmp_path: Path, imported) -> None:
    name, model = HEAD
    archive = tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for path in sorted((FIXTURES / name / model).rglob("*.*")):
            content.write(path, Path("Dataset901_Head") / model / path.relative_to(FIXTURES / name / model))

    again = nx.import_bundle(archive, tmp_path / "again.nxb")

    assert [fold.weights.read_bytes() for fold in again.folds] == [
        fold.weights.read_bytes() for fold in imported[name, model].folds
    ]
    assert again.recipe == imported[name, model].recipe


def test_of_several_models_one_must_be_named(tmp_path: Path) -> None:
    for model in (HEAD[1], HEAD_2D[1]):
        shutil.copytree(FIXTURES / "head" / model, tmp_path / "Dataset901_Head" / model)

    with pytest.raises(nx.UsageError, match=r"holds 2 models .*--configuration"):
        nx.import_bundle(tmp_path, tmp_path / "a.nxb")
    with pytest.raises(nx.UsageError, match=r"no configuration '3d_lowres'. It has: 2d, 3d_fullres"):
        nx.import_bundle(tmp_path, tmp_path / "a.nxb", configuration="3d_lowres")
    assert nx.import_bundle(tmp_path, tmp_path / "a.nxb", configuration="2d").recipe.configuration == "2d"


def test_several_folds_are_averaged_as_nnunet_averages_them(tmp_path: Path, imported) -> None:
    name, model = HEAD
    shutil.copytree(FIXTURES / name / model, tmp_path / model)
    shutil.copytree(tmp_path / model / "fold_0", tmp_path / model / "fold_3")

    twice = nx.import_bundle(tmp_path / model, tmp_path / "twice.nxb")

    assert [fold.index for fold in twice.folds] == [0, 3]
    given = channels_of(name, "unseen_0", twice)
    found = nx.segment(given, twice, precision="fp32", device="cpu", mirror_axes=())
    assert (found.segmentation.array[0] == expected(name, model, "plain", "unseen_0")).mean() >= 0.9999
    assert [fold.index for fold in nx.import_bundle(tmp_path / model, tmp_path / "b.nxb", folds=(3,)).folds] == [3]
    with pytest.raises(nx.UsageError, match=r"has no fold 1. It has: 0, 3"):
        nx.import_bundle(tmp_path / model, tmp_path / "c.nxb", folds=(1,))


def test_an_existing_bundle_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.nxb").write_bytes(b"mine")

    with pytest.raises(nx.UsageError, match="exists already"):
        nx.import_bundle(FIXTURES / "head" / HEAD[1], tmp_path / "a.nxb")
    assert (tmp_path / "a.nxb").read_bytes() == b"mine"


def test_plans_of_before_nnunet_2_5_are_read(tmp_path: Path, imported) -> None:
    name, model = HEAD
    shutil.copytree(FIXTURES / name / model, tmp_path / model)
    plans = json.loads((tmp_path / model / "plans.json").read_text("utf-8"))
    for configuration in plans["configurations"].values():
        if "architecture" in configuration:
            given = configuration.pop("architecture")["arch_kwargs"]
            configuration |= {
                "UNet_class_name": "PlainConvUNet",
                "UNet_base_num_features": 6,
                "unet_max_num_features": 24,
                "n_conv_per_stage_encoder": given["n_conv_per_stage"],
                "n_conv_per_stage_decoder": given["n_conv_per_stage_decoder"],
                "conv_kernel_sizes": given["kernel_sizes"],
                "pool_op_kernel_sizes": given["strides"],
            }
    (tmp_path / model / "plans.json").write_text(json.dumps(plans), "utf-8")

    assert nx.import_bundle(tmp_path / model, tmp_path / "a.nxb").recipe == imported[name, model].recipe
