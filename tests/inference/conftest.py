"""Models without weights, and networks that are one line of arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.bundle.bundle import FoldFiles, ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.recipe.wishes import overlay, resolve

LESION = Labels(names={"background": 0, "lesion": 1})


class ArithmeticRuntime:
    """A runtime whose network is a function of the windows (B, C, x, y, z)."""

    precision, device, version = "fp32", "cpu", "arithmetic 1"

    def __init__(self, network: Callable[[np.ndarray], np.ndarray], batch: int = 1) -> None:
        self._network, self._batch = network, batch
        self.batches: list[int] = []

    def run(self, windows: np.ndarray) -> np.ndarray:
        self.batches.append(len(windows))
        return self._network(windows).astype(np.float32)

    def batch_of(self, voxels: int) -> int:
        return self._batch


@pytest.fixture
def arithmetic() -> type[ArithmeticRuntime]:
    return ArithmeticRuntime


@pytest.fixture
def model() -> Callable[..., ModelBundle]:
    """Makes a bundle that has no files: what a predictor reads of it is there."""

    def make(labels: Labels = LESION, channels: tuple[str, ...] = ("FLAIR",), **decisions: Any) -> ModelBundle:
        recipe = {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": dict.fromkeys(channels, "none")},
            "patches": {"shape": [4, 4, 4]},
            "network": {
                "options": {"features": [2, 2], "kernels": [[1, 1, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]},
            },
        }
        nowhere = Path("nowhere")
        return ModelBundle(
            path=nowhere / "model.nxb",
            folder=nowhere,
            name="toy",
            recipe=resolve(overlay(recipe, decisions)),
            labels=labels,
            channels=channels,
            modality=dict.fromkeys(channels, "MRI"),
            card={},
            folds=(FoldFiles(0, nowhere / "fold-0.safetensors", nowhere / "fold-0.onnx"),),
            hash="0123",
        )

    return make
