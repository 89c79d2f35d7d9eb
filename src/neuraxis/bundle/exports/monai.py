"""A bundle as one of MONAI, which `monai.bundle run` opens where neuraxis is not installed.

The format: https://docs.monai.io/en/stable/mb_specification.html
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.monai_card import UNSTATED, describe, readme
from neuraxis.bundle.exports.monai_config import inference_config
from neuraxis.bundle.exports.places import new_folder
from neuraxis.bundle.exports.torchscript import script_of, write_script
from neuraxis.errors import BundleError

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
_REFUSED = {
    "nyul": "matched with the histogram of the training scans",
    "zscore_head": "normalised within the head and its holes",
}


def export_monai(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write a bundle of MONAI: metadata, the configuration of inference, the network as TorchScript and as weights.

    Args:
        bundle: the opened bundle.
        into: the folder.
        overwrite: whether an older export may be replaced.

    Raises:
        BundleError: MONAI has no transform for how the scans are normalised, or the model came from there.
        UsageError: the folder exists and is not to be replaced.
        ResourceError: it cannot be written.
    """
    if bundle.recipe.inference.arithmetic == "monai":
        raise BundleError(f"{bundle.path}: was imported from a bundle of MONAI. Use that one: it does the same there.")
    for channel in bundle.channels:
        rule = bundle.recipe.preparation.normalisation[channel]
        if rule in _REFUSED:
            raise BundleError(
                f"{bundle.path}: channel '{channel}' is {_REFUSED[rule]} ({rule}), for which MONAI has no transform. "
                "Export it with --to onnx or --to folder."
            )
    with new_folder(into, overwrite, METADATA) as part:
        script = script_of(bundle)
        texts = {
            METADATA: _as_json(describe(bundle)),
            INFERENCE: _as_json(inference_config(bundle)),
            "docs/README.md": readme(bundle),
        }
        licence = bundle.card.get("licence", UNSTATED)
        if licence != UNSTATED:
            texts["LICENSE"] = f"The weights of this model are under: {licence}\n"
        for name, text in texts.items():
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text(text, encoding="utf-8")
        _write_models(script, part / "models", {Path(name).name: texts[name] for name in (METADATA, INFERENCE)})
    return into


def _write_models(script: Any, folder: Path, notes: dict[str, str]) -> None:
    folder.mkdir()
    write_script(script, folder / "model.ts", notes)
    state = io.BytesIO()
    torch.save(dict(script.state_dict()), state)
    (folder / "model.pt").write_bytes(state.getbuffer())


def _as_json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False) + "\n"
