"""What a bundle of MONAI says about itself: `metadata.json` and the README, made of the card."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import torch

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.monai_config import window_of
from neuraxis.bundle.exports.words import describe_steps

SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
MONAI = "1.6.0"  # with which the configuration was tested
NEEDED = {"fire": "0.7.1", "nibabel": "5.4.2", "pytorch-ignite": "0.5.5", "scipy": "1.17.1"}
UNSTATED = "not stated"
_RUN = """python -m monai.bundle run --bundle_root . --meta_file configs/metadata.json \\
    --config_file configs/inference.json --dataset_dir SCANS --output_dir SEGMENTATIONS"""
_LOAD = """import torch

network = torch.jit.load("models/model.ts")
network.load_state_dict(torch.load("models/model.pt", weights_only=True))  # the same weights, by name"""


def describe(bundle: ModelBundle) -> dict[str, Any]:
    """Return the content of `metadata.json`."""
    card = bundle.card
    task = f"Segmentation of {', '.join(bundle.labels.scored)} in {', '.join(bundle.channels)}"
    notice = card.get("notice", "")
    about = [card.get("summary", ""), *card.get("limits", ()), "Exported from a bundle of neuraxis.", notice]
    citation = card.get("citation", "")
    content = {
        "schema": SCHEMA,
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported from the bundle of neuraxis with the hash {bundle.hash}"},
        "monai_version": MONAI,
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": np.__version__,
        "required_packages_version": NEEDED,
        "name": bundle.name,
        "task": task,
        "description": _joined(about),
        "authors": UNSTATED,
        "copyright": card.get("licence", UNSTATED),
        "intended_use": _joined([card.get("intended_use", ""), notice]),
        "references": [citation] if citation else [],
        "image_classes": f"channels in this order: {', '.join(bundle.channels)}",
        "pred_classes": f"numbers of the written file: {_numbers(bundle)}",
        "eval_metrics": _metrics(card.get("metrics", {})),
        "differences_from_neuraxis": list(differences(bundle)),
        "network_data_format": _formats(bundle),
    }
    return {key: _harmless(value) for key, value in content.items()}


def readme(bundle: ModelBundle) -> str:
    """Return the text of the README: how to run it, on what terms, and what differs from neuraxis."""
    card = bundle.card
    several = len(bundle.channels) > 1
    layout = "one file a scan (`.nii` or `.nii.gz`)"
    if several:
        named = ", ".join(f"`CASE_{place:04}.nii.gz` ({name})" for place, name in enumerate(bundle.channels))
        layout = f"a file for each channel of a case: {named}"
    about = [card.get(key, "") for key in ("summary", "intended_use", "notice")]
    terms = [f"{key}: {card[key]}" for key in ("licence", "citation") if card.get(key)]
    parts = [
        f"# {bundle.name}",
        *filter(None, about),
        f"It writes these numbers: {_numbers(bundle)}.",
        "## Run it",
        f"SCANS is a folder with {layout}. Each result lies on its scan's grid, as `NAME_seg.nii.gz`.",
        _code(_RUN, "sh"),
        f"Needed: monai {MONAI} or newer, {', '.join(f'{name} {number}' for name, number in NEEDED.items())}.",
        "## The network",
        _network(bundle),
        _code(_LOAD, "python"),
        "## Limits",
        _bullets([*card.get("limits", ()), *differences(bundle)]),
        "## What the model was made for, step by step",
        "\n".join(f"{place}. {step}" for place, step in enumerate(describe_steps(bundle), start=1)),
        *(["## Terms", _bullets(terms)] if terms else []),
    ]
    return "\n\n".join(parts) + "\n"


def differences(bundle: ModelBundle) -> tuple[str, ...]:
    """Return in words what the configuration does otherwise than `neuraxis segment`, so that voxels may differ."""
    recipe = bundle.recipe
    preparation = recipe.preparation
    found = [
        "Windows lie at multiples of their step, and no weight is below 0.001; neuraxis spreads windows evenly, and no "
        "weight is below 1e-10.",
    ]
    if preparation.thick_ratio:
        found.append(
            "Where a scan's slices are thick along another axis than the model's, the way back goes by the scan's."
        )
    if preparation.clip_overshoot:
        found.append("Cubic interpolation may go a little beyond the scan's values; neuraxis brings it back to them.")
    if recipe.inference.arithmetic == "nnunet":
        found.append("Sums run in float32; neuraxis rounds them to float16 for this model, as nnU-Net does.")
    return (*found, "Scans are not examined before: a wrong or damaged one gets no warning.")


def _formats(bundle: ModelBundle) -> dict[str, Any]:
    kinds = {bundle.modality.get(name, "") for name in bundle.channels} - {""}
    shape = {"spatial_shape": window_of(bundle), "dtype": "float32", "value_range": [], "is_patch_data": True}
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": ", ".join(sorted(kinds)) or "unknown",
        "num_channels": len(bundle.channels),
        **shape,
        "channel_def": {str(place): name for place, name in enumerate(bundle.channels)},
    }
    outputs = bundle.labels.outputs
    logits = {
        "type": "image",
        "format": "segmentation",
        "num_channels": len(outputs),
        **shape,
        "channel_def": {str(place): name for place, name in enumerate(outputs)},
    }
    return {"inputs": {"image": image}, "outputs": {"pred": logits}}


def _network(bundle: ModelBundle) -> str:
    window = " x ".join(map(str, window_of(bundle)))
    text = (
        f"`models/model.ts` takes float32 of (batch, {len(bundle.channels)} channels, {window}) and returns logits of "
        f"{len(bundle.labels.outputs)} outputs ({bundle.labels.activation}). `models/model.pt` holds its weights."
    )
    if bundle.recipe.inference.mirror_axes:
        text += " It runs mirrored images too and averages; that is inside."
    if len(bundle.folds) > 1:
        text += (
            f" It is an ensemble of {len(bundle.folds)} folds: called as a whole it returns the logits of their mean. "
            "The configuration merges the windows of each fold (`network.folds`) first, as neuraxis does."
        )
    return text


def _metrics(metrics: dict[str, Any]) -> dict[str, float]:
    means = {
        f"mean {metric} of {structure}": summary.get("mean")
        for structure, table in metrics.get("structures", {}).items()
        for metric, summary in table.items()
    }
    return {name: value for name, value in means.items() if value is not None and math.isfinite(value)}


def _numbers(bundle: ModelBundle) -> str:
    labels = bundle.labels
    if labels.regions:
        pairs = zip(labels.regions, labels.paint, strict=True)
        return "0 background, then one over the other: " + ", ".join(f"{number} {name}" for name, number in pairs)
    return ", ".join(f"{labels.names[name]} {name}" for name in labels.outputs)


def _harmless(content: Any) -> Any:
    """Return content whose texts and keys MONAI takes for texts.

    It would run what begins with "$", look up what begins with "@", read the file that "%" names, and count the colons
    or hashes after such a sign as steps up in the configuration.
    """
    if isinstance(content, dict):
        return {_harmless(key): _harmless(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_harmless(value) for value in content]
    if not isinstance(content, str):
        return content
    text = re.sub(r"([@%])(?=[#:])", r"\1 ", content)
    return f"'{text}'" if text.lstrip()[:1] in ("$", "@", "%") else text


def _joined(texts: list[str]) -> str:
    return " ".join(text for text in texts if text)


def _bullets(texts: list[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _code(text: str, language: str) -> str:
    return f"```{language}\n{text}\n```"
