"""A promptable bundle of random weights, and a network that is one line of arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.networks.sam.prompts import Prompt
from neuraxis.recipe.wishes import resolve

CORD = Labels(names={"background": 0, "cord": 1})
CELLS = 8


class BrightNetwork:
    """Answers a prompt with what is bright inside of its box, or about its point.

    Its own coarse map shows what is brighter than 2.
    """

    precision, device, version = "fp32", "cpu", "arithmetic 1"

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[int, int], Sequence[Prompt]]] = []
        self.seen = 0

    def run(self, windows: np.ndarray) -> np.ndarray:
        raise AssertionError("windows are not run")

    def batch_of(self, voxels: int) -> int:
        return 1

    def ask(self, method: str, *arguments: Any) -> Any:
        return getattr(self, method)(*arguments)

    def see(self, pixels: np.ndarray) -> tuple[np.ndarray, ...]:
        self.seen += 1
        return (pixels[0],)

    def coarse_map(self, embedding: tuple[np.ndarray, ...]) -> np.ndarray:
        (pixels,) = embedding
        side = max(pixels.shape)
        cells = np.full((CELLS, CELLS), -5.0, np.float32)
        for a, b in np.argwhere(pixels > 2):
            cells[a * CELLS // side, b * CELLS // side] = 5
        return cells[None]

    def answer_to(
        self, embedding: tuple[np.ndarray, ...], prompts: Sequence[Prompt], shape: tuple[int, int]
    ) -> np.ndarray:
        (pixels,) = embedding
        assert pixels.shape == shape
        self.asked.append((shape, prompts))
        answers = np.full((len(prompts), *shape), -5.0, np.float32)
        for answer, prompt in zip(answers, prompts, strict=True):
            inside = np.zeros(shape, bool)
            if prompt.box is not None:
                a0, b0, a1, b1 = (round(edge) for edge in prompt.box)
                inside[a0:a1, b0:b1] = True
            for a, b, is_inside in prompt.points:
                low, high = (max(0, int(a) - 3), max(0, int(b) - 3)), (int(a) + 4, int(b) + 4)
                inside[low[0] : high[0], low[1] : high[1]] = is_inside
            answer[inside & (pixels > 1)] = 5
        return answers


@pytest.fixture
def bright() -> BrightNetwork:
    return BrightNetwork()


@pytest.fixture
def model() -> Callable[..., ModelBundle]:
    """Makes a promptable bundle that has no files: what a predictor reads of it is there."""

    def make(labels: Labels = CORD, axis: int = 2, window: tuple[int, int, int] = (16, 16, 1), **options: Any) -> Any:
        recipe = {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T2": "none"}},
            "patches": {"shape": list(window)},
            "network": {"name": "sam", "options": {"flat_axis": axis, "margin": 1.0, **options}},
        }
        nowhere = Path("nowhere")
        return ModelBundle(
            path=nowhere / "model.nxb",
            folder=nowhere,
            name="toy",
            recipe=resolve(recipe),
            labels=labels,
            channels=("T2",),
            modality={"T2": "MRI"},
            card={},
            folds=(),
            hash="0" * 64,
        )

    return make
