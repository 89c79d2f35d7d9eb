"""Plan arithmetic of encoder-decoder networks, without torch.

Where to halve, which kernels, how wide, how much memory a training step takes. The rules are those of nnU-Net
(Isensee et al. 2021, supplementary note 2): halve an axis while its spacing is less than twice the finest of the
axes still halved and at least `MIN_EDGE` voxels remain; a kernel is flat along an axis until its spacing is within
a factor 2 of the finest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Triple = tuple[int, int, int]
MIN_EDGE = 4
MAX_STAGES = 6


@dataclass(frozen=True)
class Topology:
    """Strides and kernels of each stage, from fine to coarse."""

    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]

    @property
    def stride(self) -> Triple:
        """What every side of a patch must be a multiple of."""
        x, y, z = (prod(stride[axis] for stride in self.strides) for axis in range(3))
        return x, y, z


def plan_topology(patch: Triple, spacing_mm: Sequence[float], max_stages: int = MAX_STAGES) -> Topology:
    """Decide where to halve a patch.

    Args:
        patch: voxels along each axis; an axis of 1 stays flat.
        spacing_mm: distance of voxels along each axis.
        max_stages: stages of the encoder at the most, the full resolution included.

    >>> plan_topology((40, 56, 40), (1, 1, 1)).stride
    (8, 8, 8)
    >>> plan_topology((256, 256, 16), (0.5, 0.5, 3.0)).strides[1]
    (2, 2, 1)
    """
    size, spacing = list(patch), [float(step) for step in spacing_mm]
    strides, kernels = [(1, 1, 1)], []
    while True:
        kernels.append(_kernel(size, spacing))
        x, y, z = (2 if halves else 1 for halves in _halving(size, spacing))
        if len(strides) == max_stages or x * y * z == 1:
            return Topology(tuple(strides), tuple(kernels))
        strides.append((x, y, z))
        size = [-(-edge // factor) for edge, factor in zip(size, (x, y, z), strict=True)]
        spacing = [step * factor for step, factor in zip(spacing, (x, y, z), strict=True)]


def pad_to_stride(patch: Sequence[int], stride: Triple) -> Triple:
    """Return the patch with each side raised to the next multiple of the stride."""
    x, y, z = (-(-size // factor) * factor for size, factor in zip(patch, stride, strict=True))
    return x, y, z


def plan_features(stages: int, base: int = 32, most: int = 320) -> tuple[int, ...]:
    """Return the width of each stage: doubling from `base`, never above `most`."""
    return tuple(min(base * 2**stage, most) for stage in range(stages))


def training_memory_gb(patch: Triple, topology: Topology, features: Sequence[int], batch: int) -> float:
    """Estimate what a training step of the plain U-Net holds, in GiB.

    Counted are float32 activations: in the encoder and the decoder two convolutions a stage, each with its output,
    its norm's output and a gradient of either, and the concatenated skip; weights with gradient, two moments and
    the running mean; and 0.7 GiB for the program itself.
    """
    voxels, activations, weights, size = 0, 0, 0, list(patch)
    for stage, (stride, kernel) in enumerate(zip(topology.strides, topology.kernels, strict=True)):
        size = [edge // factor for edge, factor in zip(size, stride, strict=True)]
        voxels = prod(size)
        last = stage == len(features) - 1
        activations += voxels * features[stage] * (6 if last else 14)
        before = features[stage - 1] if stage else 1
        weights += prod(kernel) * features[stage] * (before + features[stage] * (1 if last else 4))
    return 0.7 + 4 * (batch * activations + 5 * weights) / 2**30


def _halving(size: list[int], spacing: list[float]) -> list[bool]:
    able = [edge >= 2 * MIN_EDGE for edge in size]
    if not any(able):
        return able
    finest = min(step for step, can in zip(spacing, able, strict=True) if can)
    return [can and step < 2 * finest for step, can in zip(spacing, able, strict=True)]


def _kernel(size: list[int], spacing: list[float]) -> Triple:
    finest = min(step for step, edge in zip(spacing, size, strict=True) if edge > 1) if max(size) > 1 else min(spacing)
    x, y, z = (3 if edge > 1 and step < 2 * finest else 1 for step, edge in zip(spacing, size, strict=True))
    return x, y, z
