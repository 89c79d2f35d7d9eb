"""An imported cascade gives what nnU-Net gave with two commands (fixtures of nnU-Net 2.8.1), or is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.cli import main
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.previous import Previous
from neuraxis.volume.formats import nifti

TRUNK = Path(__file__).parent / "fixtures" / "trunk"
START = "nnUNetTrainer__nnUNetPlans__"
FIRST, SECOND = f"{START}3d_lowres", f"{START}3d_cascade_fullres"
CHECKPOINT = Path("fold_0") / "checkpoint_final.pth"
SCANS = ("unseen_0", "unseen_1", "unseen_2")


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    into = tmp_path_factory.mktemp("imported") / "trunk.nxb"
    return nx.import_bundle(TRUNK, into, configuration="3d_cascade_fullres")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Both models as nnU-Net leaves them."""
    for model in (FIRST, SECOND):
        shutil.copytree(TRUNK / model, tmp_path / "Dataset903_Trunk" / model)
    return tmp_path / "Dataset903_Trunk"


def image_of(scan: str) -> Path:
    return TRUNK / "scans" / f"{scan}_0000.nii.gz"


def expected(configuration: str, kind: str, scan: str) -> np.ndarray:
    return nifti.read(TRUNK / "expected" / configuration / kind / f"{scan}.nii.gz").array[0]


def change_plans(model: Path, change: Callable[[dict[str, Any]], None]) -> None:
    plans = json.loads((model / "plans.json").read_text("utf-8"))
    change(plans["configurations"])
    (model / "plans.json").write_text(json.dumps(plans), "utf-8")


# --- exactness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
@pytest.mark.parametrize("scan", SCANS)
def test_every_voxel_is_nnunets(scan: str, mirrored: bool, cascade: ModelBundle) -> None:
    options = {} if mirrored else {"mirror_axes": ()}

    found = nx.segment({"T1": image_of(scan)}, cascade, precision="fp32", device="cpu", **options)

    theirs = expected("3d_cascade_fullres", "mirrored" if mirrored else "plain", scan)
    ours = found.segmentation.array[0]
    assert set(np.unique(theirs)) == {0, 1, 2, 3}  # else equality would say little
    assert ours.shape == theirs.shape
    assert (ours != theirs).sum() <= 1e-4 * theirs.size
    for number in (1, 2, 3):
        both = ((ours == number) & (theirs == number)).sum()
        assert 2 * both / ((ours == number).sum() + (theirs == number).sum()) >= 0.9999


@pytest.mark.parametrize("scan", SCANS)
def test_the_labels_of_the_first_stage_are_prepared_as_nnunet_does(scan: str, cascade: ModelBundle) -> None:
    theirs = np.load(TRUNK / "previous" / f"{scan}.npz")["labels"]
    previous = Previous(expected("3d_lowres", "plain", scan), cascade.previous_labels)

    image = prepare_volume(nifti.read(image_of(scan)), ("T1",), cascade.recipe.preparation, previous=previous).image

    assert (theirs == -1).any()
    for number, channel in zip(cascade.previous_labels, image[1:], strict=True):
        assert channel.any()
        assert np.array_equal(channel, theirs == number)


def test_the_second_stage_needs_the_first(cascade: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal voxels would prove little of a network that looks at the scan alone."""
    monkeypatch.setattr(Previous, "write", lambda self, into, *_: into.fill(0))
    found = nx.segment({"T1": image_of("unseen_0")}, cascade, precision="fp32", device="cpu", mirror_axes=())
    assert (found.segmentation.array[0] != expected("3d_cascade_fullres", "plain", "unseen_0")).sum() > 100


def test_one_command_segments_with_both_stages_and_without_torch(cascade: ModelBundle, tmp_path: Path) -> None:
    arguments = [
        "segment",
        str(image_of("unseen_1")),
        "--model",
        str(cascade.path),
        "--into",
        str(tmp_path / "a.nii.gz"),
    ]
    words = f"""
import sys
from neuraxis.cli import main
code = main.run({arguments!r} + ["--precision", "fp32", "--no-mirror"])
sys.exit(code or 99 * ("torch" in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert (nifti.read(tmp_path / "a.nii.gz").array[0] == expected("3d_cascade_fullres", "plain", "unseen_1")).all()
    stage = json.loads((tmp_path / "a.json").read_text("utf-8"))["previous_stage"]
    assert (stage["model"], stage["tiling"]["mirror_axes"]) == ("Dataset903_Trunk 3d_lowres", [])


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_the_bundle_says_what_it_is(cascade: ModelBundle) -> None:
    assert "second stage of a cascade after 3d_lowres" in cascade.card["summary"]
    assert (cascade.channels, cascade.previous_labels, len(cascade.inputs)) == (("T1",), (1, 2, 3), 4)
    assert (cascade.recipe.configuration, cascade.previous.recipe.configuration) == ("3d", "3d_low")
    assert cascade.recipe.preparation.label_order == "linear"


def test_a_zip_and_the_second_folder_alone_give_the_same_bundle(
    cascade: ModelBundle, results: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w") as content:
        for path in sorted(results.rglob("*.*")):
            content.write(path, path.relative_to(tmp_path))

    packed = nx.import_bundle(archive, tmp_path / "zip.nxb", configuration="3d_cascade_fullres")
    alone = nx.import_bundle(results / SECOND, tmp_path / "alone.nxb")

    for again in (packed, alone):
        assert again.recipe == cascade.recipe
        assert again.previous.recipe == cascade.previous.recipe
        for stage, known in ((again, cascade), (again.previous, cascade.previous)):
            assert [fold.weights.read_bytes() for fold in stage.folds] == [
                fold.weights.read_bytes() for fold in known.folds
            ]


def test_folds_are_taken_of_both_stages(results: Path, tmp_path: Path) -> None:
    shutil.copytree(results / SECOND / "fold_0", results / SECOND / "fold_2")
    assert [fold.index for fold in nx.import_bundle(results / SECOND, tmp_path / "a.nxb").previous.folds] == [0]
    with pytest.raises(nx.UsageError, match=r"3d_lowres: has no fold 2. It has: 0"):
        nx.import_bundle(results / SECOND, tmp_path / "b.nxb", folds=(2,))
    shutil.copytree(results / FIRST / "fold_0", results / FIRST / "fold_2")
    both = nx.import_bundle(results / SECOND, tmp_path / "b.nxb", folds=(2,))
    assert [[fold.index for fold in stage.folds] for stage in (both, both.previous)] == [[2], [2]]


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.run(["bundle", "import", str(model), "--into", str(tmp_path / "m.nxb")]) == 4
    assert not (tmp_path / "m.nxb").exists()
    message = capsys.readouterr().err.strip()
    assert len(message.splitlines()) == 1
    return message


def test_a_cascade_without_its_first_stage_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    shutil.rmtree(results / FIRST)
    message = refused(results / SECOND, tmp_path, capsys)
    assert f"needs the result of 3d_lowres, whose folder {FIRST} is not beside it" in message


def test_a_first_stage_without_weights_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    (results / FIRST / CHECKPOINT).unlink()
    assert "3d_lowres: " + FIRST + " has no fold with a checkpoint_final.pth" in refused(
        results / SECOND, tmp_path, capsys
    )


@pytest.mark.parametrize("stage", ["../elsewhere", "a/b", "", "x" * 100, "\x1b[31m", "3d_lowres\n"])
def test_a_stage_of_an_unsafe_name_is_not_looked_for(stage: str, results: Path, tmp_path: Path, capsys: Any) -> None:
    change_plans(results / SECOND, lambda plans: plans["3d_cascade_fullres"].update(previous_stage=stage))
    message = refused(results / SECOND, tmp_path, capsys)
    assert "is not beside it" in message if stage else "has the shape" in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("resampling_fn_seg", "mine", "it resamples labels by mine"),
        ("resampling_fn_seg_kwargs", {"order": 1}, "it resamples labels as if they were an image"),
        ("resampling_fn_seg_kwargs", {"is_seg": True, "order": 3}, "it resamples labels with orders 3 and 0"),
        ("resampling_fn_seg_kwargs", {"is_seg": True, "order": 1, "order_z": 1}, "labels with orders 1 and 1"),
        ("resampling_fn_seg_kwargs", {"is_seg": True, "order": 1, "force_separate_z": False}, "or axes as no scan"),
    ],
)
def test_labels_that_are_resampled_in_a_way_of_their_own_are_refused(
    key: str, value: Any, words: str, results: Path, tmp_path: Path, capsys: Any
) -> None:
    change_plans(results / SECOND, lambda plans: plans["3d_fullres"].update({key: value}))
    assert words in refused(results / SECOND, tmp_path, capsys)


def test_a_cascade_of_three_stages_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    change_plans(results / FIRST, lambda plans: plans["3d_lowres"].update(previous_stage="2d"))
    assert "it is a cascade of more than two stages, with '2d'" in refused(results / SECOND, tmp_path, capsys)
    change_plans(
        results / SECOND, lambda plans: plans["3d_cascade_fullres"].update(previous_stage="3d_cascade_fullres")
    )
    assert "more than two stages, with '3d_cascade_fullres'" in refused(results / SECOND, tmp_path, capsys)


def test_a_first_stage_of_another_configuration_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    path = results / FIRST / CHECKPOINT
    content = torch.load(path, weights_only=False)
    content["init_args"]["configuration"] = "3d_fullres"
    torch.save(content, path)
    assert "is of the configuration '3d_fullres', not 3d_lowres" in refused(results / SECOND, tmp_path, capsys)


def test_a_first_stage_of_other_labels_is_refused(results: Path, tmp_path: Path, capsys: Any) -> None:
    path = results / FIRST / "dataset.json"
    content = json.loads(path.read_text("utf-8"))
    content["channel_names"] = {"0": "T2"}
    path.write_text(json.dumps(content), "utf-8")
    message = refused(results / SECOND, tmp_path, capsys)
    assert "previous.nxb: needs the channels T2. Needed are the channels T1 and the labels 1, 2, 3" in message
