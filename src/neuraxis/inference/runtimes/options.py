"""What every runtime takes, and what it must be able to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.errors import BundleError

Precision = Literal["auto", "fp32", "bf16", "int8"]
GPU_VOXELS = 2**22  # that a GPU computes at once
TINY = 2**14  # voxels of a window, such as 128 x 128, that takes next to no time in float32 either


@dataclass(frozen=True)
class RuntimeOptions:
    """How a bundle's network is run.

    Attributes:
        fold: index of the fold whose weights are loaded.
        precision: "auto" takes bf16 where the hardware multiplies it, else fp32, and for tiny windows, which show
            small structures, fp32 always; never int8, which loses a little.
        threads: processor threads; 0 means one per usable core.
        device: "auto", or a device that the runtime knows ("cpu", "cuda", "cuda:1", "mps").
        cache: folder for compiled models; None means the user's own cache folder.
    """

    fold: int = 0
    precision: Precision = "auto"
    threads: int = 0
    device: str = "auto"
    cache: Path | None = None


def takes_half(bundle: ModelBundle, precision: Precision, has_bf16: bool) -> bool:
    """Tell whether a network computes in bfloat16."""
    is_tiny = math.prod(bundle.recipe.patches.shape) <= TINY
    return precision == "bf16" or (precision == "auto" and has_bf16 and not is_tiny)


class Runtime(Protocol):
    """A loaded network. Its class is built from (bundle, options).

    Attributes:
        precision: what it computes in, "fp32", "bf16" or "int8".
        device: where it computes, in words.
        version: the library behind it and its version.
    """

    precision: str
    device: str
    version: str

    def run(self, windows: np.ndarray) -> np.ndarray:
        """Turn windows (B, C, x, y, z) float32 into logits (B, K, x, y, z) float32."""

    def batch_of(self, voxels: int) -> int:
        """Return how many windows of that many voxels are best run at once."""


def fold_of(bundle: ModelBundle, index: int) -> FoldFiles:
    """Return the files of one fold.

    Raises:
        BundleError: the bundle has no such fold.
    """
    for fold in bundle.folds:
        if fold.index == index:
            return fold
    known = ", ".join(str(fold.index) for fold in bundle.folds)
    raise BundleError(f"{bundle.path}: has no fold {index}. It has: {known}.")


def short_reason(error: Exception) -> str:
    """Return what an engine's long error message comes down to: its last line that says something, without a path."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
