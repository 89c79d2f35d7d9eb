"""A recipe in MONAI's own transforms: the `inference.json` of a bundle of MONAI.

The scan is read, turned, cut and normalised under the key "image"; before it is resampled a copy is kept as "native".
The prediction is brought onto the voxels of "native", where probabilities become labels, and the cut and the turn of
"native" are undone. (To undo the resampling itself would interpolate probabilities as the image was: with splines.)
"""

from __future__ import annotations

from typing import Any

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.recipe.preparation import PreparationRecipe

Config = dict[str, Any]


def inference_config(bundle: ModelBundle) -> Config:
    """Return the content of `inference.json`; `monai_limits` tells what it cannot say.

    Args:
        bundle: one that `monai_limits` does not refuse.
    """
    window = list(_on_scan_axes(bundle, bundle.recipe.patches.shape))
    several = len(bundle.folds) > 1
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/scans'",
        "output_dir": "$@bundle_root + '/segmentations'",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "datalist": _datalist(len(bundle.channels)),
        "network_def": "$torch.jit.load(@bundle_root + '/models/model.ts', map_location=@device).eval()",
        **_functions(bundle),
        "reading": {"_target_": "Compose", "transforms": _reading(bundle)},
        "preprocessing": {"_target_": "Compose", "transforms": ["@reading", *_resampling(bundle)]},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': scan} for scan in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": 0,
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": window,
            "sw_batch_size": 1,
            "overlap": bundle.recipe.inference.overlap,
            "mode": "gaussian",
            "sigma_scale": 0.125,
            "padding_mode": "constant",
            "cval": 0.0,
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(bundle)},
        "evaluator": {
            "_target_": "EnsembleEvaluator" if several else "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            **({"networks": "$list(@network_def.folds.children())"} if several else {"network": "@network_def"}),
            **({"pred_keys": _predictions(bundle)} if several else {}),
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def _datalist(channels: int) -> str:
    """Return the expression of all scans: a file each, or by nnU-Net's numbers a list of files, one a channel."""
    if channels == 1:
        return "$sorted(glob.glob(os.path.join(@dataset_dir, '*.nii*')))"
    others = f"[first.replace('_0000.nii', '_%04d.nii' % channel) for channel in range({channels})]"
    return f"$[{others} for first in sorted(glob.glob(os.path.join(@dataset_dir, '*_0000.nii*')))]"


def _reading(bundle: ModelBundle) -> list[Config]:
    recipe = bundle.recipe.preparation
    steps: list[Config] = [
        {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader", "ensure_channel_first": True}
    ]
    if recipe.orientation == "canonical":
        steps.append({"_target_": "Orientationd", "keys": "image", "axcodes": "RAS", "labels": None})
    if recipe.crop == "nonzero":
        cut = {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "allow_smaller": True}
        steps.append({**cut, "select_fn": "$lambda scan: scan != 0", "margin": 0})
    return [*steps, *_normalisation(bundle)]


def _normalisation(bundle: ModelBundle) -> list[Config]:
    """Return one step for all channels where they share a rule, else each channel's own on its own."""
    recipe = bundle.recipe.preparation
    rules = [_rule(recipe, channel) for channel in bundle.channels]
    if all(rule == rules[0] for rule in rules):
        return [{**rules[0], "keys": "image"}] if rules[0] else []
    names = [f"image_{place}" for place in range(len(rules))]
    return [
        {"_target_": "SplitDimd", "keys": "image", "dim": 0, "keepdim": True},
        *({**rule, "keys": name} for rule, name in zip(rules, names, strict=True) if rule),
        {"_target_": "ConcatItemsd", "keys": names, "name": "image", "dim": 0},
        {"_target_": "DeleteItemsd", "keys": names},
    ]


def _rule(recipe: PreparationRecipe, channel: str) -> Config:
    """Return the transform of a channel's rule, its keys left out; empty where values stay as they are."""
    rule = recipe.normalisation[channel]
    if rule in ("zscore", "zscore_nonzero"):
        return {"_target_": "NormalizeIntensityd", "nonzero": rule == "zscore_nonzero", "channel_wise": True}
    if rule == "ct":
        known = recipe.intensity[channel]
        low, high = ((end - known.mean) / known.std for end in (known.low, known.high))
        ends = {"a_min": known.low, "a_max": known.high, "b_min": low, "b_max": high}
        return {"_target_": "ScaleIntensityRanged", **ends, "clip": True}
    if rule == "percentile":
        ends = {"lower": 0.5, "upper": 99.5, "b_min": 0.0, "b_max": 1.0}
        return {"_target_": "ScaleIntensityRangePercentilesd", **ends, "clip": True, "channel_wise": True}
    if rule == "range":
        return {"_target_": "ScaleIntensityd", "minv": 0.0, "maxv": 1.0, "channel_wise": True}
    if rule == "picture":
        return {"_target_": "ScaleIntensityRanged", "a_min": 0.0, "a_max": 255.0, "b_min": 0.0, "b_max": 1.0}
    return {}


def _functions(bundle: ModelBundle) -> Config:
    """Return what the way to another spacing is made of: grids that share the outer edges of the scan's voxels.

    MONAI's own Spacing shares the centre of the first voxel instead, and rounds the number of voxels otherwise.
    """
    recipe = bundle.recipe.preparation
    wanted = "[there or here for here, there in zip(scan.pixdim.tolist(), @spacing)]"
    numbers = f"zip(scan.shape[1:], scan.pixdim.tolist(), {wanted})"
    matrix = "monai.transforms.utils.scale_affine(list(scan.shape[1:]), shape)"
    functions = {
        "spacing": [float(size) for size in _on_scan_axes(bundle, recipe.spacing_mm)],
        "shape_at_spacing": f"$lambda scan: [max(1, round(here / there * count)) for count, here, there in {numbers}]",
        "resampled": "$lambda scan, shape, how: monai.transforms.SpatialResample(**how)(scan, dst_affine="
        f"scan.affine.matmul(torch.as_tensor({matrix})), spatial_size=shape)",
        "within": _CUBIC if recipe.image_order == 3 else _LINEAR,
    }
    if not recipe.thick_ratio:
        return functions
    longest = "sizes.index(max(sizes)) if sizes.count(max(sizes)) == 1 else None"
    thick = f"for sizes in (scan.pixdim.tolist(), {wanted}) if max(sizes) > {recipe.thick_ratio!r} * min(sizes)"
    kept = "[old if axis == @thick_axis(scan) else new for axis, (old, new) in "
    functions |= {
        "thick_axis": f"$lambda scan: next(({longest} {thick}), None)",
        "shape_within_slices": f"$lambda scan: {kept}enumerate(zip(scan.shape[1:], @shape_at_spacing(scan)))]",
    }
    if recipe.thick_across == "nearest":
        functions["nearest"] = "$lambda old, new: (2 * torch.arange(new) + 1).mul(old) // (2 * new)"
        x, y, z = (f"@nearest(scan.shape[{1 + axis}], shape[{axis}])" for axis in range(3))
        return {**functions, "picked": f"$lambda scan, shape: scan[:, {x}][:, :, {y}][:, :, :, {z}]"}
    return {**functions, "across": _LINEAR}


def _resampling(bundle: ModelBundle) -> list[Config]:
    """Return the way to the recipe's spacing; of thick slices within them first, then across."""
    if not bundle.recipe.preparation.thick_ratio:
        return [_copy("native"), _lambda("image", "@resampled(scan, @shape_at_spacing(scan), @within)")]
    return [
        _copy("native"),
        _lambda("image", "@resampled(scan, @shape_within_slices(scan), @within)"),
        _copy("slices"),
        _across(bundle),
    ]


def _across(bundle: ModelBundle) -> Config:
    """Return the step across thick slices; slices that are picked lose track of where they lie, until `_back`."""
    if bundle.recipe.preparation.thick_across == "nearest":
        return _lambda("image", "@picked(scan, @shape_at_spacing(scan))")
    return _lambda("image", "@resampled(scan, @shape_at_spacing(scan), @across)")


def _back(bundle: ModelBundle) -> list[Config | str]:
    """Return the way from the network's voxels to those of "native"."""
    recipe = bundle.recipe.preparation
    match: Config = {"_target_": "ResampleToMatchd", "keys": "pred", **_LINEAR}
    steps: list[Config | str] = [{**match, "key_dst": "native"}]
    if recipe.thick_ratio and recipe.thick_across == "nearest":
        steps.insert(0, "$lambda data: {**data, 'pred': @picked(data['pred'], data['slices'].shape[1:])}")
    return steps


def _postprocessing(bundle: ModelBundle) -> list[Config | str]:
    labels, recipe = bundle.labels, bundle.recipe
    of_logits = recipe.inference.arithmetic == "nnunet"
    keys = _predictions(bundle)
    activate = {"_target_": "Activationsd", "keys": keys, labels.activation: True}
    steps: list[Config | str] = []
    if len(keys) > 1:
        steps += [] if of_logits else [activate]
        steps.append({"_target_": "MeanEnsembled", "keys": keys, "output_key": "pred"})
        if labels.regions and not of_logits:
            steps.append(_lambda("pred", "torch.logit(scan, eps=1e-7)"))
    elif not labels.regions and not of_logits:
        steps.append(activate)
    return [*steps, *_back(bundle), *_labelling(bundle), *_back_to_the_scan(), _saving(bundle)]


def _labelling(bundle: ModelBundle) -> list[Config]:
    """Return the way from outputs to label numbers: the largest, or regions painted one over the other."""
    labels = bundle.labels
    if labels.regions:
        numbers = [0, *labels.paint]
        later = f"torch.arange(1, {len(numbers)}, device=scan.device).reshape(-1, 1, 1, 1)"
        steps = [_lambda("pred", f"((scan > 0) * {later}).amax(0, keepdim=True).float()")]
    else:
        numbers = [labels.names[name] for name in labels.outputs]
        steps = [{"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]
    places = list(range(len(numbers)))
    if numbers != places:
        steps.append({"_target_": "MapLabelValued", "keys": "pred", "orig_labels": places, "target_labels": numbers})
    return steps


def _back_to_the_scan() -> list[Config]:
    """Return how "native", by the name that the transforms knew it by, leads the prediction back."""
    return [
        {"_target_": "DeleteItemsd", "keys": "image"},
        {"_target_": "CopyItemsd", "keys": "native", "names": "image"},
        {"_target_": "Invertd", "keys": "pred", "transform": "@reading", "orig_keys": "image", "nearest_interp": True},
    ]


def _saving(bundle: ModelBundle) -> Config:
    return {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": "seg",
        "output_ext": ".nii.gz",
        "output_dtype": f"$np.{'uint8' if max(bundle.labels.allowed()) < 256 else 'int16'}",
        "resample": False,
        "separate_folder": False,
    }


def window_of(bundle: ModelBundle) -> list[int]:
    """Return the sides of the window on the scan's axes."""
    return [int(side) for side in _on_scan_axes(bundle, bundle.recipe.patches.shape)]


def _on_scan_axes(bundle: ModelBundle, values: tuple[Any, ...]) -> list[Any]:
    """Return values that go by the network's axes by those of the scan."""
    axes = bundle.recipe.preparation.axes
    return [values[axes.index(axis)] for axis in range(3)]


def _predictions(bundle: ModelBundle) -> list[str]:
    folds = [fold.index for fold in bundle.folds]
    return ["pred"] if len(folds) == 1 else [f"pred_{fold}" for fold in folds]


_CUBIC: Config = {"mode": 3, "padding_mode": "nearest"}  # a number is an order of scipy's splines
_LINEAR: Config = {"mode": "bilinear", "padding_mode": "border"}


def _copy(name: str) -> Config:
    return {"_target_": "CopyItemsd", "keys": "image", "names": name}


def _lambda(key: str, expression: str) -> Config:
    return {"_target_": "Lambdad", "keys": key, "func": f"$lambda scan: {expression}"}
