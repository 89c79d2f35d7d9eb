"""Drawn scans, tiny networks trained on drawn patches, and the bundles of MONAI that hold them.

The configurations have the wording of two bundles of the model zoo (models/spleen_ct_segmentation and
models/brats_mri_segmentation of Project-MONAI/model-zoo), with smaller networks and windows.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.networks.nets import DynUNet, SegResNet, UNet

Config = dict[str, Any]
SIDE = 16


@dataclass(frozen=True)
class Made:
    """A bundle of MONAI: its folder, its configuration, the channels that its scans have, and the scans' shapes."""

    folder: Path
    config: Config
    channels: int
    shapes: dict[str, tuple[int, int, int]]


def affine(codes: str, spacing: tuple[float, float, float], degrees: float = 0.0) -> np.ndarray:
    """Return an affine whose axes run along `codes`, turned a little about an oblique axis."""
    from scipy.spatial.transform import Rotation

    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt(codes), nib.orientations.axcodes2ornt(tuple("RAS"))
    )
    matrix = np.zeros((3, 3))
    for axis, (world, sign) in enumerate(turn):
        matrix[int(world), axis] = sign
    oblique = Rotation.from_rotvec(np.deg2rad(degrees) * np.array([0.3, 0.5, 0.8])).as_matrix()
    whole = np.eye(4)
    whole[:3, :3] = oblique @ matrix @ np.diag(spacing)
    whole[:3, 3] = (-20, 31, 7)
    return whole


# name -> orientation, voxels, spacing in mm, degrees off the axes
SCANS = {
    "ras": ("RAS", (37, 29, 23), (1.1, 1.3, 1.9), 0.0),
    "las-oblique": ("LAS", (31, 36, 14), (1.5, 0.9, 3.1), 12.0),
    "pir-small": ("PIR", (12, 25, 27), (2.0, 1.0, 1.2), 5.0),
}


def draw(name: str, channels: int) -> list[nib.Nifti1Image]:
    """Draw a ball in a ball in noise, a channel each in a file of its own; air around it is 0."""
    codes, shape, spacing, degrees = SCANS[name]
    drawn = np.random.default_rng(len(name))
    places = np.stack(np.meshgrid(*[np.arange(size) for size in shape], indexing="ij"), -1) * spacing
    middle = np.array(shape) * spacing / 2 + drawn.uniform(-2, 2, 3)
    distance = np.sqrt(((places - middle) ** 2).sum(-1))
    images = []
    for channel in range(channels):
        values = 10 + 100 * (distance < 9) + (60 + 30 * channel) * (distance < 5) + drawn.normal(0, 25, shape)
        values[distance > 14] = 0
        images.append(nib.Nifti1Image(values.astype(np.float32), affine(codes, spacing, degrees)))
    return images


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Return a function that gives the folder of the drawn scans with so many channels."""
    folders: dict[int, Path] = {}

    def folder(channels: int) -> Path:
        if channels not in folders:
            folders[channels] = tmp_path_factory.mktemp(f"scans-{channels}")
            for name in SCANS:
                for channel, image in enumerate(draw(name, channels)):
                    end = f"_{channel:04}" if channels > 1 else ""
                    nib.save(image, folders[channels] / f"{name}{end}.nii.gz")
        return folders[channels]

    return folder


def train(network: torch.nn.Module, channels: int, regions: bool, scale: float, steps: int = 40) -> torch.nn.Module:
    """Teach a network to tell two balls apart, on patches whose values were divided by `scale`."""
    torch.manual_seed(0)
    drawn = np.random.default_rng(0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), -1)
    for _ in range(steps):
        distance = np.sqrt(((grid - drawn.uniform(4, SIDE - 4, (2, 1, 1, 1, 3))) ** 2).sum(-1))
        large, small = distance < 6, distance < 3.5
        base = 10 + 100 * large + 60 * small
        image = np.stack([base + 30 * channel * small for channel in range(channels)], 1)
        image = torch.tensor((image + drawn.normal(0, 25, image.shape)) / scale, dtype=torch.float32)
        masks = [small, large, small] if regions else [~large, large & ~small, small]
        target = torch.tensor(np.stack(masks, 1), dtype=torch.float32)
        logits = network(image)
        logits = logits[:, 0] if logits.ndim == 6 else logits
        if regions:
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, target)
        else:
            loss = torch.nn.functional.cross_entropy(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def image_format(channels: int) -> Config:
    return {"modality": "CT", "num_channels": channels, "channel_def": {str(n): f"c{n}" for n in range(channels)}}


def metadata(channels: int, outputs: tuple[str, ...]) -> Config:
    pred = {"num_channels": len(outputs), "channel_def": {str(n): name for n, name in enumerate(outputs)}}
    return {
        "version": "0.1.0",
        "monai_version": "1.6.0",
        "task": "Two balls",
        "description": "Finds two balls",
        "copyright": "Nobody",
        "references": ["Somebody 2020"],
        "network_data_format": {"inputs": {"image": image_format(channels)}, "outputs": {"pred": pred}},
    }


def configuration(network: Config, before: list[Config], inferer: Config, after: list[Config]) -> Config:
    """Return a configuration of the zoo's wording around its four parts."""
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "output_dir": "$@bundle_root + '/eval'",
        "dataset_dir": "/workspace/data",
        "image_key": "image",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii.gz')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": before},
        "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [SIDE] * 3, "sw_batch_size": 4, **inferer},
        "postprocessing": {"_target_": "Compose", "transforms": after},
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": ["$monai.utils.set_determinism(seed=123)", "$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


LOAD: list[Config] = [
    {"_target_": "LoadImaged", "keys": "@image_key"},
    {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
]
RAS: Config = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
INVERT: Config = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "image",
    "nearest_interp": False,
    "to_tensor": True,
}
SAVE: Config = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "separate_folder": False}
PAINT = "$lambda x: torch.where(x[[2]] > 0, 4, torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))"


def ct_config() -> Config:
    """Spacing, a clipped range, constant weights, interpolated probabilities: as spleen_ct_segmentation."""
    network = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3, "norm": "batch"}
    network |= {"channels": [4, 8, 8], "strides": [2, 2], "num_res_units": 2, "dropout": 0.1}
    spacing = {"_target_": "Spacingd", "keys": "image", "pixdim": [1.5, 1.5, 2.0], "mode": "bilinear"}
    scale = {"a_min": -57, "a_max": 164, "b_min": 0, "b_max": 1, "clip": True}
    before = [
        *LOAD,
        RAS,
        spacing,
        {"_target_": "ScaleIntensityRanged", "keys": "image", **scale},
        {"_target_": "EnsureTyped", "keys": "image"},
    ]
    decide = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}
    after = [{"_target_": "Activationsd", "keys": "pred", "softmax": True}, INVERT, decide, SAVE]
    return configuration(network, before, {"overlap": 0.5}, after)


def mri_config() -> Config:
    """Two files a scan, no turning, regions painted one over the other: as brats_mri_segmentation."""
    network = {"_target_": "SegResNet", "blocks_down": [1, 1], "blocks_up": [1], "init_filters": 8}
    network |= {"in_channels": 2, "out_channels": 3, "dropout_prob": 0.2}
    normalise = {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True}
    after = [
        {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
        INVERT,
        {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
        {"_target_": "Lambdad", "keys": "pred", "func": PAINT},
        {**SAVE, "resample": False, "squeeze_end_dims": True, "output_dtype": "uint8"},
    ]
    config = configuration(network, [LOAD[0], normalise], {"overlap": 0.5}, after)
    first = "sorted(glob.glob(@dataset_dir + '/*_0000.nii.gz'))"
    config["datalist"] = f"$[[name, name.replace('_0000', '_0001')] for name in {first}]"
    return config


def dynunet_config() -> Config:
    """A crop, an unusual overlap, Gaussian weights, logits whose largest counts: nnU-Net's network of MONAI."""
    network = {"_target_": "monai.networks.nets.DynUNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 3}
    network |= {"kernel_size": [3, 3, 3], "strides": [1, 2, [2, 2, 1]], "upsample_kernel_size": [2, [2, 2, 1]]}
    network |= {"filters": [4, 6, 8], "deep_supervision": True, "norm_name": "instance"}
    before = [
        *LOAD,
        {"_target_": "Orientationd", "keys": "image", "axcodes": "SAR"},
        {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "margin": 0},
        {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0, "maxv": 1},
        {"_target_": "NormalizeIntensityd", "keys": "image"},
        {"_target_": "CastToTyped", "keys": "image", "dtype": "$np.float32"},
    ]
    after = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}, {**INVERT, "nearest_interp": True}, SAVE]
    inferer = {"overlap": 0.3, "mode": "gaussian", "padding_mode": "replicate", "roi_size": [SIDE, SIDE, 12]}
    return configuration(network, before, inferer, after)


def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(1)
    ct = UNet(3, 1, 3, (4, 8, 8), (2, 2), num_res_units=2, norm="batch")
    mri = SegResNet(3, 8, 2, 3, blocks_down=(1, 1), blocks_up=(1,))
    own = {"filters": [4, 6, 8], "norm_name": "instance", "deep_supervision": True}
    dynunet = DynUNet(3, 1, 3, [3, 3, 3], [1, 2, [2, 2, 1]], [2, [2, 2, 1]], **own)
    return {"ct": train(ct, 1, False, 164), "mri": train(mri, 2, True, 60), "dynunet": train(dynunet, 1, False, 60)}


def write(folder: Path, config: Config, about: Config, weights: Any) -> Path:
    """Write a bundle of MONAI."""
    for inner in ("configs", "models"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    (folder / "configs" / "metadata.json").write_text(json.dumps(about))
    torch.save(weights, folder / "models" / "model.pt")
    return folder


NAMES = {
    "ct": ("background", "shell", "core"),
    "mri": ("Tumor core", "Whole tumor", "Enhancing tumor"),
    "dynunet": ("background", "shell", "core"),
}
CONFIGS = {"ct": ct_config, "mri": mri_config, "dynunet": dynunet_config}


@pytest.fixture(scope="session")
def trained() -> dict[str, torch.nn.Module]:
    return networks()


@pytest.fixture(scope="session")
def bundles(trained: dict[str, torch.nn.Module], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """The three bundles, by name."""
    folder, made = tmp_path_factory.mktemp("bundles"), {}
    for name, network in trained.items():
        channels = 2 if name == "mri" else 1
        state: Any = network.state_dict()
        content = {"model": state, "epoch": 3} if name == "dynunet" else state
        config = CONFIGS[name]()
        place = write(folder / name, config, metadata(channels, NAMES[name]), content)
        made[name] = Made(place, config, channels, {scan: shape for scan, (_, shape, _, _) in SCANS.items()})
    return made


@pytest.fixture
def changed(bundles: dict[str, Made], tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a bundle with another configuration: `change` is given a copy to alter."""

    def make(name: str, change: Callable[[Config], None]) -> Path:
        config = copy.deepcopy(bundles[name].config)
        change(config)
        state = torch.load(bundles[name].folder / "models" / "model.pt", weights_only=True)
        return write(tmp_path / "given" / name, config, metadata(bundles[name].channels, NAMES[name]), state)

    return make
