"""Fixtures for every test, and the rule for skips: in CI one that tests/skips.toml does not list is a failure."""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

SKIPS = Path(__file__).with_name("skips.toml")
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real scans beside the checkout; CI always has them."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real scans: {SHARED_DATA} is missing")
    return SHARED_DATA


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium; .ci/run installs it."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium: apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which judges whether a page is accessible; .ci/run fetches it."""
    place = Path(__file__).parents[1] / ".axe" / "node_modules" / "axe-core" / "axe.min.js"
    if not place.is_file():
        pytest.skip("no axe-core: npm install --prefix .axe axe-core@4.14.1")
    return place.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def sam_bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny SAM and SAM 2 of random weights, large enough that prompts count, in folders as transformers writes them."""
    import torch
    from transformers import Sam2Config, Sam2Model, SamConfig, SamModel

    decoder = {"mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 16}
    one = SamConfig(
        vision_config={
            "hidden_size": 16, "output_channels": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 8, "global_attn_indexes": [1], "window_size": 4, "mlp_dim": 32,
            "num_pos_feats": 8,
        },
        prompt_encoder_config={
            "hidden_size": 16, "image_size": 64, "patch_size": 8, "image_embedding_size": 8, "mask_input_channels": 4,
        },
        mask_decoder_config={"hidden_size": 16, **decoder},
    )  # fmt: skip
    hiera = {
        "model_type": "sam2_hiera_det_model", "hidden_size": 8, "num_attention_heads": 1, "image_size": [64, 64],
        "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
        "num_attention_heads_per_stage": [1, 2, 4, 8], "window_size_per_stage": [4, 2, 2, 2],
        "global_attention_blocks": [3], "window_positional_embedding_background_size": [4, 4],
    }  # fmt: skip
    two = Sam2Config(
        vision_config={
            "model_type": "sam2_vision_model", "backbone_config": hiera, "backbone_channel_list": [64, 32, 16, 8],
            "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]], "fpn_hidden_size": 32,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": 64, "patch_size": 16, "mask_input_channels": 4},
        mask_decoder_config={"hidden_size": 32, **decoder},
    )  # fmt: skip
    folders = {}
    for name, kind, config in (("sam", SamModel, one), ("sam2", Sam2Model, two)):
        folders[name] = tmp_path_factory.mktemp(name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = kind(config)
            for weight in model.parameters():
                if weight.ndim > 1:
                    torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
            for place, buffer in model.named_buffers():
                if place.endswith("positional_embedding"):
                    torch.nn.init.normal_(buffer, std=0.7)  # as waves that are as long as a few structures
        model.save_pretrained(folders[name])
    return folders


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("browser") and shutil.which("chromium") is None:
        pytest.skip("no chromium: apt-get install chromium")
    if item.get_closest_marker("data") and not SHARED_DATA.is_dir():
        pytest.skip(f"no real scans: {SHARED_DATA} is missing")
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("no GPU that torch can use")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn an unlisted skip or expected failure into a failure, in CI."""
    report = yield
    return _judge(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a whole file that skips itself."""
    report = yield
    return _judge(report)


def _judge(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
    if not (IN_CI and report.skipped) or _is_listed(report.nodeid):
        return report
    kind = "expected failure" if hasattr(report, "wasxfail") else "skip"
    reason = getattr(report, "wasxfail", "") or (report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
    report.outcome = "failed"
    report.longrepr = (
        f"{report.nodeid}: {kind} in CI ({reason}). Mend it, or list it with its reason in tests/skips.toml."
    )
    if hasattr(report, "wasxfail"):
        del report.wasxfail
    return report


def _is_listed(nodeid: str) -> bool:
    return any(fnmatch.fnmatchcase(nodeid, pattern) for pattern in _listed())


@cache
def _listed() -> tuple[str, ...]:
    entries = tomllib.loads(SKIPS.read_text("utf-8")).get("skip", []) if SKIPS.exists() else []
    for entry in entries:
        if not str(entry.get("reason", "")).strip():
            raise pytest.UsageError(f"tests/skips.toml: '{entry.get('test')}' has no reason.")
    return tuple(entry["test"] for entry in entries)


@cache
def _has_gpu() -> bool:
    try:
        import torch
    except ModuleNotFoundError:
        return False
    return torch.cuda.is_available()


@pytest.fixture(scope="session")
def toy_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset in nnU-Net's layout: 8 scans of 20 x 18 x 16 voxels, each with a bright ball and a shell around it."""
    return _write_toy(tmp_path_factory.mktemp("data") / "Dataset001_Toy", {"T2": (0.0, 300.0, 150.0)})


@pytest.fixture(scope="session")
def toy_channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with three channels; each of them alone shows ball and shell, one more clearly than another."""
    channels = {"FLAIR": (0.0, 300.0, 150.0), "T1": (200.0, 0.0, 80.0), "T2": (0.0, 120.0, 240.0)}
    return _write_toy(tmp_path_factory.mktemp("data") / "Dataset002_Toys", channels)


def _write_toy(folder: Path, channels: dict[str, tuple[float, float, float]]) -> Path:
    """Write a dataset of channels, each with its brightness of background, ball and shell."""
    import nibabel as nib
    import numpy as np

    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    places = np.stack(np.meshgrid(np.arange(20), np.arange(18), np.arange(16), indexing="ij"))
    for number in range(8):
        draws = np.random.default_rng(number)
        middle = draws.uniform(7, 10, 3)
        distance = np.sqrt(((places - middle[:, None, None, None]) ** 2).sum(axis=0))
        label = np.where(distance < 3, 1, np.where(distance < 5, 2, 0)).astype(np.uint8)
        affine = np.diag([-1.0, 1.0, 1.2, 1.0]) if number % 2 else np.diag([1.0, 1.0, 1.2, 1.0])
        for place, brightness in enumerate(channels.values()):
            image = (np.choose(label, brightness) + draws.normal(100, 30, label.shape)).astype(np.int16)
            nib.save(nib.Nifti1Image(image, affine), folder / "imagesTr" / f"toy_{number:02}_{place:04}.nii.gz")
        nib.save(nib.Nifti1Image(label, affine), folder / "labelsTr" / f"toy_{number:02}.nii.gz")
    content = {
        "channel_names": {str(place): name for place, name in enumerate(channels)},
        "labels": {"background": 0, "ball": 1, "shell": 2},
        "numTraining": 8,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="session")
def toy_settings() -> tuple[str, ...]:
    """Settings that make a training on `toy_dataset` take seconds."""
    return (
        "patches.shape=[16,16,16]",
        "network.options.features=[4,8,16]",
        "network.options.strides=[[1,1,1],[2,2,2],[2,2,2]]",
        "network.options.kernels=[[3,3,3],[3,3,3],[3,3,3]]",
        "training.steps=30",
        "training.learning_rate=0.01",
        "training.ema_decay=0.8",
        "training.validations=3",
        "splits.folds=2",
        "previews.every=0",
    )


@pytest.fixture(scope="session")
def head():
    """FLAIR, T1 and T2 of one phantom's head, 2.5 mm, each a volume, and where its brain is (X, Y, Z)."""
    from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
    from neuraxis.dataset.phantoms.scanner import SITES

    spacing = (2.5, 2.5, 2.5)
    images = make_phantom(SITES[0], 3, 1, PhantomOptions(skull=True, spacing_mm=spacing)).images
    cut_out = make_phantom(SITES[0], 3, 1, PhantomOptions(spacing_mm=spacing, shape=images.grid.shape)).images
    channels = [images.with_array(channel[None].astype("float32")) for channel in images.array]
    return channels, (cut_out.array != 0).any(axis=0)
