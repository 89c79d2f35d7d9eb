"""A bundle as ONNX files that hold their weights, and `model.json` for whoever writes a program around them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.bundle.exports.places import new_folder
from neuraxis.bundle.exports.words import FLOOR, SHARE, describe_rule, describe_steps
from neuraxis.bundle.network_file import INPUT, OUTPUT
from neuraxis.errors import BundleError
from neuraxis.files import sha256, write_json
from neuraxis.recipe.recipe import InferenceRecipe

MODEL = "model.json"
SCHEMA = 1
LARGEST = 2**31 - 2**24  # bytes of weights in one file: a message of protocol buffers ends at 2 GiB


def export_onnx(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write `fold-K.onnx` for each fold, its weights inside, and `model.json`.

    Weights of 2 GiB and more lie beside it in `fold-K.onnx.data`, where every reader of ONNX looks for them.

    Args:
        bundle: the opened bundle.
        into: the folder.
        overwrite: whether an older export may be replaced.

    Raises:
        BundleError: a fold has no network in ONNX.
        UsageError: the folder exists and is not to be replaced.
        ResourceError: it cannot be written.
    """
    with new_folder(into, overwrite, MODEL) as part:
        networks = [_write_network(bundle, fold, part) for fold in bundle.folds]
        write_json(part / MODEL, describe(bundle, networks))
    return into


def _write_network(bundle: ModelBundle, fold: FoldFiles, folder: Path) -> dict[str, Any]:
    """Write the network of one fold and return what `model.json` says of its files."""
    if fold.onnx is None:
        raise BundleError(
            f"{bundle.path}: fold {fold.index} has no ONNX file, only weights. Export it with --to monai, or name a "
            "bundle that has one."
        )
    model = onnx.load(fold.onnx)  # what it refers to was checked when the bundle was opened
    path, beside = folder / fold.onnx.name, folder / f"{fold.onnx.name}.data"
    if sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST:
        onnx.save(model, path, save_as_external_data=True, location=beside.name)
    else:
        path.write_bytes(model.SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path))
    files = [file for file in (path, beside) if file.is_file()]
    return {"fold": fold.index, "network": path.name, "sha256": {file.name: sha256(file) for file in files}}


def describe(bundle: ModelBundle, networks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a program must know around the networks; of each it is given what to say of its files."""
    recipe, labels, card = bundle.recipe, bundle.labels, bundle.card
    window = list(recipe.patches.shape)
    told = ("name", "summary", "notice", "intended_use", "limits", "licence", "citation", "created", "versions")
    preparation = recipe.preparation.model_dump(mode="json", exclude={"label_order"})
    rules = {channel: describe_rule(recipe.preparation, channel) for channel in bundle.channels}
    return {
        "schema_version": SCHEMA,
        **{key: card[key] for key in told if key in card},
        "bundle_hash": bundle.hash,
        "networks": networks,
        "input": {
            "name": INPUT,
            "type": "float32",
            "axes": ["batch", "channel", "X", "Y", "Z"],
            "shape": ["any", len(bundle.inputs), *window],
        },
        "output": {
            "name": OUTPUT,
            "type": "float32",
            "shape": ["any", len(labels.outputs), *window],
            "meaning": "logits",
            "activation": labels.activation,
            "outputs": list(labels.outputs),
        },
        "channels": [{"name": name, "modality": bundle.modality.get(name, "")} for name in bundle.channels],
        "labels": labels.model_dump(mode="json"),
        "preparation": {**preparation, "normalisation_in_words": rules},
        "tiling": {
            "window": window,
            "overlap": recipe.inference.overlap,
            "mirror_axes": list(recipe.inference.mirror_axes),
            "arithmetic": recipe.inference.arithmetic,
            "weight": _weight(recipe.inference),
            "padding": f"{recipe.inference.padding}, evenly before and after, an odd one after",
        },
        "steps": list(describe_steps(bundle)),
    }


def _weight(tiling: InferenceRecipe) -> dict[str, Any]:
    if tiling.weight == "constant":
        return {"shape": "constant"}
    least = 1e-3 if tiling.arithmetic == "monai" else FLOOR
    return {"shape": "gaussian", "sd_as_share_of_side": SHARE, "least": least}
