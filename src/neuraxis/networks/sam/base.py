"""The weights that a promptable network begins with: a folder, or a name on the Hugging Face hub. No torch.

Only `config.json`, which is read as JSON, and `model.safetensors` are taken: nothing that could run code.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.errors import BundleError, RecipeError
from neuraxis.files import sha256
from neuraxis.registry import import_extra

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MOST_CONFIG = 2**20  # bytes
ABOUT = ("architectures", "auto_map", "dtype", "torch_dtype", "transformers_version", "_name_or_path", "_commit_hash")
HUB_EXAMPLES = {"sam": "facebook/sam-vit-base", "sam2": "facebook/sam2.1-hiera-tiny"}


@dataclass(frozen=True)
class Base:
    """Where the weights lie.

    Attributes:
        folder: with both files.
        architecture: the content of `config.json`, without what does not describe the network.
        hash: SHA-256 of `model.safetensors`.
    """

    folder: Path
    architecture: dict[str, Any]
    hash: str


def find_base(name: str, kinds: Sequence[str]) -> Base:
    """Find the weights of a promptable network.

    Args:
        name: a folder, or a name on the hub, such as "facebook/sam-vit-base".
        kinds: values of `model_type` that fit, the network's own name first.

    Raises:
        RecipeError: no name is given, or the weights are of another network.
        BundleError: they are not there, are pickled, or cannot be fetched.
        MissingExtra: huggingface_hub is not installed.
    """
    if not name:
        raise RecipeError(
            f"network.options.base is empty: network '{kinds[0]}' begins with trained weights. Set it to a folder with "
            f"{CONFIG} and {WEIGHTS}, or to a name on the hub such as {HUB_EXAMPLES[kinds[0]]}."
        )
    folder = Path(name).expanduser()
    looks_like_path = folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1
    if looks_like_path:
        _refuse_folder(folder)
    else:
        folder = _fetched(name)
    architecture = _architecture(folder / CONFIG, kinds)
    return Base(folder, architecture, sha256(folder / WEIGHTS))


def _refuse_folder(folder: Path) -> None:
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "no such folder"
        raise BundleError(f"{folder}: {found}. Name a folder with {CONFIG} and {WEIGHTS}, or a name on the hub.")
    if (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file():
        return
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pth", ".pt", ".ckpt", ".pkl"))
    if pickled and not (folder / WEIGHTS).is_file():
        raise BundleError(
            f"{folder}: holds {pickled[0]}, a pickle, which can run code and is not read. Needed is {WEIGHTS}: save "
            "the model with safe_serialization, or take one from the hub that has it."
        )
    lacking = CONFIG if (folder / WEIGHTS).is_file() else WEIGHTS
    raise BundleError(f"{folder}: has no {lacking}. Needed are {CONFIG} and {WEIGHTS}, as save_pretrained writes them.")


def _fetched(name: str) -> Path:
    hub = import_extra("huggingface_hub", "sam")
    offline = bool(import_extra("huggingface_hub.constants", "sam").HF_HUB_OFFLINE)
    try:
        paths = [Path(hub.hf_hub_download(name, file, local_files_only=offline)) for file in (CONFIG, WEIGHTS)]
    except Exception as error:  # the hub's client raises its own, requests' and the system's errors
        if offline:
            raise BundleError(
                f"{name}: is not in the hub's cache on this machine, and while offline (NEURAXIS_OFFLINE) nothing is "
                "fetched. Unset it, or set network.options.base to a folder with the weights."
            ) from error
        raise BundleError(
            f"{name}: {CONFIG} and {WEIGHTS} cannot be fetched from the hub ({_reason(error)}). Check the name and the "
            "net, or set network.options.base to a folder with the weights."
        ) from error
    return paths[0].parent


def _architecture(path: Path, kinds: Sequence[str]) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_CONFIG:
            raise ValueError("it is too large")
        content = json.loads(path.read_bytes())
        kind = content.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path}: is no description of a model ({_reason(error)}). Fetch it again.") from error
    if kind not in kinds:
        known = {"sam": "sam", "sam2": "sam2", "sam2_video": "sam2"}.get(str(kind))
        offer = f"Set network.name to '{known}'." if known else f"Needed is one of {', '.join(kinds)}."
        raise RecipeError(f"{path.parent}: holds a model of the kind {str(kind)[:40]!a}, not '{kinds[0]}'. {offer}")
    return {key: _plain(value) for key, value in content.items() if key not in ABOUT and value is not None}


def _plain(content: Any) -> Any:
    """Return content as a recipe can hold it: without null, which TOML does not know, and without what is about it."""
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items() if key not in ABOUT and value is not None}
    return [_plain(value) for value in content] if isinstance(content, list) else content


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
