"""Checkpoints, plans and archives that must not become a bundle: exit 4, one line, nothing run, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import neuraxis as nx

MODEL = Path(__file__).parent / "fixtures" / "head" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
CHECKPOINT = Path("fold_0") / "checkpoint_final.pth"


class Command:
    """Runs a shell command where a pickle of it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODEL, tmp_path / "given" / MODEL.name))


def content_of(model: Path) -> dict[str, Any]:
    return dict(torch.load(MODEL / CHECKPOINT, weights_only=False))


def refused(source: Path, tmp_path: Path, words: str) -> None:
    """Import through the command line, and expect one line and exit 4."""
    into = tmp_path / "into"
    into.mkdir(exist_ok=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    cache = tmp_path.with_name(f"{tmp_path.name}-torch")  # torch makes this one itself, when it is imported
    before = sorted(path for path in tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "neuraxis", "bundle", "import", source, "--into", into / "model.nxb"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(scratch), "TORCHINDUCTOR_CACHE_DIR": str(cache)},
    )
    assert (done.returncode, done.stdout) == (4, ""), done.stderr
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_a_checkpoint_that_would_run_code_is_refused_and_does_not(model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({**content_of(model), "logging": Command(mark)}, model / CHECKPOINT)

    refused(model, tmp_path, "could run code. It is refused; nothing was run.")
    assert not mark.exists()


def changed_weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    def apply(model: Path) -> None:
        content = content_of(model)
        change(content["network_weights"])
        torch.save(content, model / CHECKPOINT)

    return apply


FIRST = "encoder.stages.0.0.convs.0.conv.weight"


def absurd(weights: dict[str, torch.Tensor]) -> None:
    weights[FIRST] = torch.zeros(1).expand(10**6, 10**6)


def batch_norm(weights: dict[str, torch.Tensor]) -> None:
    weights["encoder.stages.0.0.convs.0.norm.running_mean"] = torch.zeros(6)


def not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights[FIRST][0] = torch.nan


def whole_numbers(weights: dict[str, torch.Tensor]) -> None:
    weights[FIRST] = weights[FIRST].int()


def lacking(weights: dict[str, torch.Tensor]) -> None:
    del weights["decoder.seg_layers.0.bias"]


def one_more(weights: dict[str, torch.Tensor]) -> None:
    weights["encoder.stages.9.0.convs.0.conv.bias"] = torch.zeros(6)


def no_tensor(weights: dict[str, Any]) -> None:
    weights[FIRST] = [1.0, 2.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (absurd, "has the shape (1000000, 1000000), needed is (6, 2, "),
        (batch_norm, "which no network of ours has"),
        (not_finite, "holds NaN or infinity"),
        (whole_numbers, "needed are floating-point numbers"),
        (lacking, "lacks heads."),
        (one_more, "holds encoder.9.0.bias, for which the network has no place"),
        (no_tensor, "holds no tensor at"),
    ],
)
def test_weights_of_another_network_are_refused(change, words: str, model: Path, tmp_path: Path) -> None:
    changed_weights(change)(model)

    refused(model, tmp_path, words)


def test_a_tensor_that_claims_more_than_the_file_holds_is_refused(model: Path, tmp_path: Path) -> None:
    """A record of the archive is cut to a few bytes; its tensor still claims its size."""
    path = model / CHECKPOINT
    with zipfile.ZipFile(MODEL / CHECKPOINT) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            new.writestr(member.filename, data[:4] if "/data/" in member.filename else data)

    refused(model, tmp_path, "cannot be read")


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: path.write_bytes(b"no checkpoint"), "is no checkpoint as torch writes it"),
        (
            lambda path: path.write_bytes((MODEL / CHECKPOINT).read_bytes()[:5000]),
            "is no checkpoint as torch writes it",
        ),
        (lambda path: torch.save([1, 2], path), "is no checkpoint of nnU-Net 2"),
        (lambda path: torch.save({"state_dict": {}}, path), "is no checkpoint of nnU-Net 2"),
        (
            lambda path: torch.save({}, path, _use_new_zipfile_serialization=False),
            "is no checkpoint as torch writes it",
        ),
    ],
)
def test_what_is_no_checkpoint_is_refused(write, words: str, model: Path, tmp_path: Path) -> None:
    write(model / CHECKPOINT)

    refused(model, tmp_path, words)


def test_a_compressed_checkpoint_may_be_a_bomb_and_is_refused(model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(MODEL / CHECKPOINT) as old, zipfile.ZipFile(model / CHECKPOINT, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member), zipfile.ZIP_DEFLATED)

    refused(model, tmp_path, "is compressed, as torch never does it")


def set_key(*keys: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(plans: dict[str, Any]) -> None:
        for key in keys[:-1]:
            plans = plans[key]
        plans[keys[-1]] = to

    return apply


FULL = ("configurations", "3d_fullres")
KEPT = (*FULL, "architecture", "arch_kwargs")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_key("image_reader_writer", to="Tiff3DIO"), "its reader Tiff3DIO is none of"),
        (set_key(*FULL, "preprocessor_name", to="MyPreprocessor"), "its preprocessor MyPreprocessor"),
        (set_key(*FULL, "normalization_schemes", to=["Mine", "Mine"]), "its normalisation Mine is none of"),
        (set_key(*FULL, "normalization_schemes", to=["ZScoreNormalization"]), "its plans normalise 1 channels"),
        (set_key(*FULL, "resampling_fn_data", to="mine"), "it resamples by mine"),
        (set_key(*FULL, "resampling_fn_data_kwargs", "order", to=2), "it resamples with orders 2"),
        (set_key(*FULL, "resampling_fn_data_kwargs", "force_separate_z", to=True), "force_separate_z"),
        (set_key(*FULL, "previous_stage", to="3d_lowres"), "needs the result of 3d_lowres, whose folder"),
        (set_key(*FULL, "architecture", "network_class_name", to="a.b.PrimusM"), "its network PrimusM is none of"),
        (set_key(*KEPT, "norm_op", to="torch.nn.BatchNorm3d"), "its network has norm_op = torch.nn.BatchNorm3d"),
        (set_key(*KEPT, "nonlin", to="torch.nn.ReLU"), "its network has nonlin = torch.nn.ReLU"),
        (set_key(*KEPT, "n_conv_per_stage", to=[1, 2, 2, 2]), "convolutions from stage to stage"),
        (set_key(*KEPT, "kernel_sizes", to=None), "lack arch_kwargs.kernel_sizes"),
        (set_key(*KEPT, "kernel_sizes", to=[[3, 3]] * 4), "arch_kwargs.kernel_sizes"),
        (set_key("configurations", to={}), "lack the configuration '3d_fullres'"),
        (set_key(*FULL, to={"inherits_from": "3d_fullres"}), "lack the configuration '3d_fullres'"),
        (set_key("transpose_forward", to=[0, 1, 5]), "transpose_forward"),
        (set_key(*FULL, "patch_size", to=[31, 32, 32]), "patches.shape"),
        (set_key(*FULL, "spacing", to=[-1, 1, 1]), "spacing_mm"),
        (set_key(*FULL, "patch_size", to=[10**5] * 3), "which no network can take"),
        (set_key(*KEPT, "features_per_stage", to=[8] * 10**6), "1000000 stages"),
        (set_key(*KEPT, "features_per_stage", to=[10**9] * 3), "3 stages of up to 1000000000 channels"),
        (set_key(*KEPT, "norm_op_kwargs", to=[1]), "a value of the wrong kind"),
    ],
)
def test_plans_that_no_recipe_can_follow_are_refused(change, words: str, model: Path, tmp_path: Path) -> None:
    plans = json.loads((model / "plans.json").read_text("utf-8"))
    change(plans)
    (model / "plans.json").write_text(json.dumps(plans), "utf-8")

    with pytest.raises(nx.BundleError) as refusal:
        nx.import_bundle(model, tmp_path / "model.nxb")
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "model.nxb").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("labels", {"background": 0, "a": 2}, "not 0, 1, 2, ... without a gap"),
        ("labels", {"background": 0, "a": [1, 2], "b": 2}, "regions_class_order"),
        ("labels", {"background": 0}, "at least one besides the background"),
        ("labels", {"background": 0, "a": 1, "ignore": [2]}, "must be a number"),
        ("labels", "none", "labels"),
        ("channel_names", {"1": "T1", "2": "T2"}, "names no channels 0, 1, ..."),
        ("channel_names", {"0": "T1"}, "dataset.json names 1"),
        ("channel_names", {"0": "T1\x1b[2J", "1": "T2"}, "control characters"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(key, value, words: str, model: Path, tmp_path: Path) -> None:
    dataset = json.loads((model / "dataset.json").read_text("utf-8")) | {key: value}
    (model / "dataset.json").write_text(json.dumps(dataset), "utf-8")

    with pytest.raises(nx.BundleError) as refusal:
        nx.import_bundle(model, tmp_path / "model.nxb")
    assert words in str(refusal.value)
    assert not (tmp_path / "model.nxb").exists()


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([("../out.json", b"{}")], "would leave the folder"),
        ([("/tmp/out.json", b"{}")], "would leave the folder"),
        ([(link("a/plans.json"), b"/etc/passwd")], "is a link"),
        ([("a/plans.json", b"{}"), ("a/PLANS.json", b"{}")], "is there twice"),
        ([("a/plans.json", bytes(50_000_000))], "a bomb"),
        ([("a/readme.txt", b"hello")], "holds no model of nnU-Net"),
    ],
)
def test_unsafe_archives_are_refused(members, words: str, tmp_path: Path) -> None:
    archive = tmp_path / "exported.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as content:
        for name, data in members:
            content.writestr(name, data)

    refused(archive, tmp_path, words)


def test_what_is_not_there_or_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK no zip")

    refused(tmp_path / "missing", tmp_path, "no such folder or file")
    refused(tmp_path / "a.zip", tmp_path, "is not a readable zip archive")


def test_a_fold_without_its_final_checkpoint_says_so(model: Path, tmp_path: Path) -> None:
    (model / CHECKPOINT).rename(model / "fold_0" / "checkpoint_best.pth")

    refused(model, tmp_path, "--checkpoint best")
    assert nx.import_bundle(model, tmp_path / "best.nxb", checkpoint="best").folds
