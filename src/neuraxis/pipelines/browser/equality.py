"""How far a rewritten network's probabilities lie from those of the bundle's own, on images drawn from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage, special

from neuraxis.bundle.network_file import INPUT, OUTPUT
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime

SEED, PROCESSOR = 0, "CPUExecutionProvider"
SMOOTH = (0.0, 2.0)  # standard deviations of the blur, in voxels: noise, and soft shapes


@dataclass(frozen=True)
class Equality:
    """What two networks of the same weights were found to differ by.

    Attributes:
        probability: the largest difference of any output's probability.
        other_labels: voxels whose labels differ.
        voxels: how many were compared.
    """

    probability: float
    other_labels: int
    voxels: int

    def to_dict(self) -> dict[str, Any]:
        """Return the content for JSON, with how it was found."""
        return {
            "largest_difference_of_probability": self.probability,
            "voxels_of_other_labels": self.other_labels,
            "voxels": self.voxels,
            "images": f"{len(SMOOTH)} of the network's size, of seeded normal noise, one of them blurred",
            "seed": SEED,
            "engine": f"onnxruntime {onnxruntime.__version__}, processor, float32",
        }


def compare(own: Path, rewritten: Path, image: tuple[int, ...], activation: str) -> Equality:
    """Run both networks on the same images.

    Args:
        own: the bundle's ONNX file.
        rewritten: the other one.
        image: (1, C, X, Y, Z).
        activation: "softmax" over the outputs, or "sigmoid" of each.
    """
    sessions = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]) for path in (own, rewritten)
    ]
    worst, others, voxels = 0.0, 0, 0
    for drawn in _images(image):
        first, second = (_probabilities(session.run([OUTPUT], {INPUT: drawn})[0], activation) for session in sessions)
        worst = max(worst, float(np.abs(first - second).max()))
        same = _labels(first, activation) == _labels(second, activation)
        others, voxels = others + int((~same.all(axis=0)).sum()), voxels + same[0].size
    return Equality(worst, others, voxels)


def _images(shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    random = np.random.default_rng(SEED)
    for blur in SMOOTH:
        noise = ndimage.gaussian_filter(
            random.normal(size=shape), (0, 0, *(blur if side > 1 else 0 for side in shape[2:]))
        )
        yield (noise / noise.std()).astype(np.float32)


def _probabilities(logits: np.ndarray, activation: str) -> np.ndarray:
    return np.asarray(special.softmax(logits, axis=1) if activation == "softmax" else special.expit(logits))


def _labels(probabilities: np.ndarray, activation: str) -> np.ndarray:
    """Return labels as (1 or K, ...): the most probable output, or each one's own decision."""
    if activation == "softmax":
        return np.asarray(probabilities.argmax(axis=1))
    return np.asarray(probabilities[0] > 0.5)
