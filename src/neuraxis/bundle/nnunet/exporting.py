"""From a bundle to a results folder that nnU-Net 2 predicts with.

Own models see scans on canonical axes, which nnU-Net's `NibabelIOWithReorient` gives; imported ones go back as they
came. What nnU-Net always does (crop to what is not zero, clip cubic values, its own Gaussian and sums) it does here
too, so a result may differ by a few voxels from ours where the bundle's recipe does otherwise.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.places import new_folder
from neuraxis.bundle.nnunet.layers import NETWORKS
from neuraxis.bundle.nnunet.plans import NORMALISATIONS, RESAMPLING, THICK
from neuraxis.bundle.weights import read_weights
from neuraxis.errors import BundleError

TRAINER, PLANS = "nnUNetTrainer", "nnUNetPlans"
PLANS_FILE, CHECKPOINT = "plans.json", "checkpoint_final.pth"
SCT_RAS = "LPI"  # how the Spinal Cord Toolbox calls RAS+: by where axes come from
_CLASSES = {ours: theirs for theirs, ours in NETWORKS.items()}
_ARCHITECTURES = "dynamic_network_architectures.architectures.unet"
_SCHEMES = {ours: theirs for theirs, ours in NORMALISATIONS.items()}
_WITHIN = {"zscore_nonzero", "zscore_head"}


def export_nnunet(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write a bundle as nnU-Net's results folder: plans, dataset description, a checkpoint for each fold.

    Args:
        bundle: of a plain or residual-encoder U-Net.
        into: the folder to write; name it TRAINER__PLANS__CONFIGURATION to use it from `nnUNet_results`.
        overwrite: whether an existing folder may be replaced.

    Returns:
        The folder.

    Raises:
        BundleError: nnU-Net cannot do what the recipe says.
        UsageError: the folder exists.
        ResourceError: it cannot be written.
    """
    plans, dataset = describe(bundle)
    with new_folder(into, overwrite, PLANS_FILE) as part:
        for name, content in ((PLANS_FILE, plans), ("dataset.json", dataset)):
            (part / name).write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        for fold in bundle.folds:
            place = part / f"fold_{fold.index}"
            place.mkdir()
            packed = io.BytesIO()  # torch ends the process where the disk is full
            torch.save(_checkpoint(bundle, fold.index, read_weights(fold.weights), plans, dataset), packed)
            (place / CHECKPOINT).write_bytes(packed.getbuffer())
    return into


def folder_name(bundle: ModelBundle) -> str:
    """Return the name of the folder as nnU-Net looks for it."""
    return f"{TRAINER}__{PLANS}__{configuration_of(bundle)}"


def configuration_of(bundle: ModelBundle) -> str:
    """Return nnU-Net's name for what the recipe trains."""
    if _flat_axis(bundle) is not None:
        return "2d"
    return "3d_lowres" if bundle.recipe.configuration == "3d_low" else "3d_fullres"


def describe(bundle: ModelBundle) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the content of `plans.json` and `dataset.json`.

    Raises:
        BundleError: nnU-Net cannot do what the recipe says.
    """
    recipe = bundle.recipe
    if recipe.inference.arithmetic == "monai" or recipe.preparation.keeps == "centres":
        _refuse(bundle, "its voxels and windows lie as MONAI lays them")
    if recipe.network.name not in _CLASSES:
        _refuse(bundle, f"its network '{recipe.network.name}' is none of nnU-Net's")
    order = _order(bundle)
    axes = tuple(2 - recipe.preparation.axes[axis] for axis in order)
    kept = [axis for axis in order if axis != _flat_axis(bundle)]
    preparation = recipe.preparation
    if any(preparation.spacing_mm[axis] == 0 for axis in kept):
        _refuse(bundle, "it keeps the scan's own spacing along an axis")
    apart = {0.0: False, THICK: None}
    if preparation.thick_ratio not in apart:
        _refuse(
            bundle, f"slices count as thick from a ratio of {preparation.thick_ratio:g} on, in nnU-Net of {THICK:g}"
        )
    across = int(preparation.thick_across == "linear")
    resampling = {"is_seg": False, "order_z": across, "force_separate_z": apart[preparation.thick_ratio]}
    data = bundle.card.get("training_data", {})
    shape, spacing = data.get("median_shape") or recipe.patches.shape, data.get("median_spacing_mm") or (1, 1, 1)
    configuration = {
        "data_identifier": f"{PLANS}_{configuration_of(bundle)}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": recipe.patches.batch,
        "patch_size": [recipe.patches.shape[axis] for axis in kept],
        "median_image_size_in_voxels": [float(shape[axis]) for axis in kept],
        "spacing": [preparation.spacing_mm[axis] for axis in kept],
        "normalization_schemes": [_scheme(bundle, channel) for channel in bundle.channels],
        "use_mask_for_norm": [preparation.normalisation[channel] in _WITHIN for channel in bundle.channels],
        "resampling_fn_data": RESAMPLING,
        "resampling_fn_seg": RESAMPLING,
        "resampling_fn_data_kwargs": {**resampling, "order": preparation.image_order},
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": RESAMPLING,
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "architecture": _architecture(bundle, kept),
        "batch_dice": recipe.loss.batch_dice,
    }
    stored = preparation.orientation == "stored"
    plans = {
        "dataset_name": _dataset_name(bundle),
        "plans_name": PLANS,
        "original_median_spacing_after_transp": [float(spacing[axis]) for axis in order],
        "original_median_shape_after_transp": [float(shape[axis]) for axis in order],
        "image_reader_writer": "SimpleITKIO" if stored else "NibabelIOWithReorient",
        "transpose_forward": list(axes),
        "transpose_backward": [axes.index(axis) for axis in range(3)],
        "configurations": {configuration_of(bundle): configuration},
        "experiment_planner_used": "neuraxis",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": _intensities(bundle),
    }
    return plans, _dataset(bundle)


def _order(bundle: ModelBundle) -> tuple[int, ...]:
    """Return the network's axes as nnU-Net needs them: of a 2D network the flat one comes first."""
    flat = _flat_axis(bundle)
    return (0, 1, 2) if flat is None else (flat, *(axis for axis in range(3) if axis != flat))


def _flat_axis(bundle: ModelBundle) -> int | None:
    axis: int | None = bundle.recipe.network.options.get("flat_axis")
    return axis


def _architecture(bundle: ModelBundle, kept: list[int]) -> dict[str, Any]:
    options = bundle.recipe.network.options
    stages, end = len(options["features"]), "2d" if len(kept) == 2 else "3d"
    given = {
        "n_stages": stages,
        "features_per_stage": list(options["features"]),
        "conv_op": f"torch.nn.modules.conv.Conv{end}",
        "kernel_sizes": [[size[axis] for axis in kept] for size in options["kernels"]],
        "strides": [[size[axis] for axis in kept] for size in options["strides"]],
        "n_conv_per_stage_decoder": [options["convolutions"]] * (stages - 1),
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{end}",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    if "blocks" in options:
        given["n_blocks_per_stage"] = list(options["blocks"])
    else:
        given["n_conv_per_stage"] = [options["convolutions"]] * stages
    return {
        "network_class_name": f"{_ARCHITECTURES}.{_CLASSES[bundle.recipe.network.name]}",
        "arch_kwargs": given,
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _scheme(bundle: ModelBundle, channel: str) -> str:
    rule = bundle.recipe.preparation.normalisation[channel]
    if rule not in _SCHEMES and rule not in _WITHIN:
        _refuse(bundle, f"nnU-Net has no normalisation '{rule}' (channel '{channel}')")
    return _SCHEMES["zscore" if rule in _WITHIN else rule]


def _intensities(bundle: ModelBundle) -> dict[str, dict[str, float]]:
    known = bundle.recipe.preparation.intensity
    blank = {"mean": 0.0, "std": 1.0, "percentile_00_5": 0.0, "percentile_99_5": 0.0}
    found = {}
    for place, channel in enumerate(bundle.channels):
        values = known.get(channel)
        found[str(place)] = blank if values is None else _intensity(values)
    return found


def _intensity(values: Any) -> dict[str, float]:
    ends = {"percentile_00_5": values.low, "percentile_99_5": values.high}
    return {"mean": values.mean, "std": values.std, "min": values.low, "max": values.high, **ends}


def _dataset(bundle: ModelBundle) -> dict[str, Any]:
    labels = bundle.labels
    numbers = sorted(labels.names.values())
    if numbers != list(range(len(numbers))) or labels.ignore not in (None, len(numbers)):
        _refuse(bundle, f"nnU-Net needs the labels 0, 1, 2, ... without a gap, the ignored one last; found {numbers}")
    named: dict[str, Any] = {"background": 0}
    if labels.regions:
        named |= {name: list(joined) for name, joined in labels.regions.items()}
    else:
        named |= {name: labels.names[name] for name in labels.outputs if labels.names[name]}
    if labels.ignore is not None:
        named["ignore"] = labels.ignore
    return {
        "channel_names": {str(place): channel for place, channel in enumerate(bundle.channels)},
        "labels": named,
        **({"regions_class_order": list(labels.paint)} if labels.regions else {}),
        "numTraining": bundle.card.get("training_data", {}).get("cases", 0),
        "file_ending": ".nii.gz",
        **({"image_orientation": SCT_RAS} if bundle.recipe.preparation.orientation == "canonical" else {}),
        "licence": str(bundle.card.get("licence", "")),
        "reference": str(bundle.card.get("citation", "")),
    }


def _dataset_name(bundle: ModelBundle) -> str:
    known = re.match(r"Dataset\d{3}_\w+", bundle.name)
    return known[0] if known else "Dataset999_" + (re.sub(r"\W+", "", bundle.name.title()) or "Model")


def _checkpoint(
    bundle: ModelBundle, fold: int, weights: dict[str, np.ndarray], plans: dict[str, Any], dataset: dict[str, Any]
) -> dict[str, Any]:
    stages = len(bundle.recipe.network.options["features"])
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in weights.items()}
    order = _order(bundle)
    mirror = sorted(
        order.index(axis) - (_flat_axis(bundle) is not None) for axis in bundle.recipe.inference.mirror_axes
    )
    return {
        "network_weights": dict(theirs(tensors, stages, bundle.recipe.network.name == "residual-unet")),
        "optimizer_state": None,
        "grad_scaler_state": None,
        "logging": {},
        "_best_ema": None,
        "current_epoch": 0,
        "init_args": {
            "plans": plans,
            "configuration": configuration_of(bundle),
            "fold": fold,
            "dataset_json": dataset,
        },
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": tuple(axis for axis in mirror if axis >= 0) or None,
    }


def theirs(weights: dict[str, torch.Tensor], stages: int, residual: bool) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield weights by nnU-Net's names, those that it keeps twice twice.

    Args:
        weights: by our names.
        stages: of the encoder.
        residual: whether the encoder has residual blocks.
    """
    for key, value in weights.items():
        name = _their_name(key, value.ndim == 1, stages, residual)
        layer, end = name.rsplit(".", 1)
        unit, _, kind = layer.rpartition(".")
        names = [name]
        if kind in ("conv", "norm"):
            names.append(f"{unit}.all_modules.{int(kind == 'norm')}.{end}")
        for one in names:
            yield one, value
            if one.startswith("encoder."):
                yield f"decoder.{one}", value


def _their_name(key: str, is_vector: bool, stages: int, residual: bool) -> str:
    part, stage, *rest = key.split(".")
    if part in ("upsample", "heads"):
        kind = "transpconvs" if part == "upsample" else "seg_layers"
        return f"decoder.{kind}.{stages - 2 - int(stage)}.{rest[-1]}"
    if part == "decoder":
        return f"decoder.stages.{stages - 2 - int(stage)}.convs.{_unit(rest)}"
    if not residual:
        return f"encoder.stages.{stage}.0.convs.{_unit(rest)}"
    stem = 3 if stage == "0" else 0
    place = int(rest[0])
    if place < stem:
        return f"encoder.stem.convs.{_unit(rest)}"
    block = f"encoder.stages.{stage}.blocks.{place - stem}"
    inner = int(rest[2])
    if rest[1] == "main":
        return f"{block}.conv{1 + inner // 3}.{'norm' if inner % 3 else 'conv'}.{rest[3]}"
    return f"{block}.skip.{inner - is_vector}.{'norm' if is_vector else 'conv'}.{rest[3]}"


def _unit(rest: list[str]) -> str:
    place = int(rest[0])
    return f"{place // 3}.{'norm' if place % 3 else 'conv'}.{rest[1]}"


def _refuse(bundle: ModelBundle, why: str) -> NoReturn:
    raise BundleError(f"{bundle.path}: nnU-Net cannot run it, since {why}. Choose --to folder or --to onnx.")
