"""The weights of one fold: a safetensors file of float32 tensors, read without torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from neuraxis.errors import BundleError


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Read every tensor of a weights file.

    Raises:
        BundleError: it is no whole safetensors file, or a tensor is not float32 or not finite.
    """
    return dict(_tensors(path))


def check_weights(path: Path) -> None:
    """Refuse what `read_weights` refuses, with one tensor in memory at a time."""
    for _ in _tensors(path):
        pass


def tensor_places(path: Path) -> dict[str, tuple[int, int]]:
    """Return where each tensor's bytes lie in a safetensors file: name to (offset from the file's start, length)."""
    with Path(path).open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
    return {
        name: (8 + size + entry["data_offsets"][0], entry["data_offsets"][1] - entry["data_offsets"][0])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as content:
            names = sorted(content.keys())
            for name in names:
                kind = content.get_slice(name).get_dtype()
                if kind != "F32":
                    raise BundleError(
                        f"{path.name}: tensor '{name}' is {kind}; needed is F32 (float32). Export it again."
                    )
                tensor = content.get_tensor(name)
                if not np.isfinite(tensor).all():
                    raise BundleError(
                        f"{path.name}: tensor '{name}' holds NaN or infinity, so the training diverged or the file is "
                        "damaged. Fetch it again, or train with a lower training.learning_rate."
                    )
                yield name, tensor
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such weights file. Fetch the bundle again.") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise BundleError(f"{path.name}: is no whole safetensors file ({error}). Fetch the bundle again.") from error
    if not names:
        raise BundleError(f"{path.name}: holds no tensors. Export it again.")
