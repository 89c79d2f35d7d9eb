"""Plan arithmetic of encoder-decoder networks, without torch.

Where to halve, which kernels, how wide, and how many values a forward pass computes. The rules are those of nnU-Net
(Isensee et al. 2021, Nature Methods 18:203, supplementary note 2) and of its residual-encoder presets (Isensee et al.
2024, "nnU-Net Revisited"); `tests/networks/fixtures/nnunet_plans.json` holds what nnU-Net itself decides, and
`configure` gives the same.

Halving goes on, axis by axis, while at least `MIN_EDGE` voxels remain, and leaves out axes whose spacing is twice that
of the finest axis or more; a kernel is flat along an axis until its spacing has come within a factor 2 of the finest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

Triple = tuple[int, int, int]
Axes = tuple[int, ...]
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
        patch: voxels along each axis; an axis of 1 stays flat, as if it were not there.
        spacing_mm: distance of voxels along each axis.
        max_stages: stages of the encoder at the most, the full resolution included.

    >>> plan_topology((40, 56, 40), (1, 1, 1)).stride
    (8, 8, 8)
    >>> plan_topology((256, 256, 16), (0.5, 0.5, 3.0)).strides[1]
    (2, 2, 1)
    """
    thick = [axis for axis, edge in enumerate(patch) if edge > 1]
    strides = halve([patch[axis] for axis in thick], [spacing_mm[axis] for axis in thick], max_stages)
    return topology_of([_spread(stride, thick) for stride in strides], patch, spacing_mm)


def topology_of(strides: Sequence[Triple], patch: Triple, spacing_mm: Sequence[float]) -> Topology:
    """Return strides that are fixed already with the kernels that fit them."""
    thick = [axis for axis, edge in enumerate(patch) if edge > 1]
    inner = kernels_for([[stride[axis] for axis in thick] for stride in strides], [spacing_mm[axis] for axis in thick])
    return Topology(tuple(strides), tuple(_spread(size, thick) for size in inner))


def halve(size: Sequence[float], spacing: Sequence[float], max_stages: int = 99) -> tuple[Axes, ...]:
    """Return the strides of each stage for any number of axes."""
    edges, steps = list(size), [float(step) for step in spacing]
    strides = [(1,) * len(edges)]
    while len(strides) < max_stages and (halved := _halved_axes(edges, steps)):
        strides.append(tuple(2 if axis in halved else 1 for axis in range(len(edges))))
        for axis in halved:
            edges[axis], steps[axis] = ceil(edges[axis] / 2), 2 * steps[axis]
    return tuple(strides)


def kernels_for(strides: Sequence[Sequence[int]], spacing: Sequence[float]) -> tuple[Axes, ...]:
    """Return the kernels of each stage: 3 once an axis has come close to the finest, and all 3 in the coarsest."""
    kernel, steps, kernels = [1] * len(spacing), [float(step) for step in spacing], []
    for stride in strides[1:]:
        kernel = [3 if step / min(steps) < 2 else kept for kept, step in zip(kernel, steps, strict=True)]
        kernels.append(tuple(kernel))
        steps = [step * factor for step, factor in zip(steps, stride, strict=True)]
    return (*kernels, (3,) * len(spacing))


def _halved_axes(edges: Sequence[float], steps: Sequence[float]) -> list[int]:
    able = [axis for axis, edge in enumerate(edges) if edge >= 2 * MIN_EDGE]
    finest = min((steps[axis] for axis in able), default=0.0)
    able = [axis for axis in able if steps[axis] / finest < 2]
    return [] if len(able) == 1 and edges[able[0]] < 3 * MIN_EDGE else able


def _spread(values: Sequence[int], axes: Sequence[int]) -> Triple:
    """Put values at their axes of three, and 1 at the others."""
    x, y, z = (values[axes.index(axis)] if axis in axes else 1 for axis in range(3))
    return x, y, z


def pad_to_stride(patch: Sequence[int], stride: Triple) -> Triple:
    """Return the patch with each side raised to the next multiple of the stride."""
    x, y, z = (-(-size // factor) * factor for size, factor in zip(patch, stride, strict=True))
    return x, y, z


def plan_features(stages: int, base: int = 32, most: int = 320) -> Axes:
    """Return the width of each stage: doubling from `base`, never above `most`."""
    return tuple(min(base * 2**stage, most) for stage in range(stages))


# --- nnU-Net's own planners -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rules:
    """A planner of nnU-Net: what it counts as too large.

    Attributes:
        encoder: convolutions, or residual blocks, of each stage of the encoder; the last number goes on.
        decoder: convolutions of each stage of the decoder.
        residual: whether the encoder has residual blocks and a stem.
        reference_3d: values that a 3D network may compute for one patch, with `memory_gb`.
        reference_2d: the same in 2D.
        memory_gb: memory of the graphics card that this is meant for.
        covered: a batch never holds more than this share of all voxels of the dataset.
    """

    encoder: Axes
    decoder: int
    residual: bool
    reference_3d: int
    reference_2d: int
    memory_gb: float
    covered: float

    def blocks(self, stages: int) -> tuple[Axes, Axes]:
        """Return the convolutions or blocks of each stage of encoder and decoder."""
        encoder = (*self.encoder, *(self.encoder[-1:] * stages))[:stages]
        return encoder, (self.decoder,) * (stages - 1)


_RESIDUAL = (1, 3, 4, 6)
RULES: Mapping[str, Rules] = {
    "plain": Rules((2,), 2, False, 560_000_000, 85_000_000, 8, 0.05),
    "resenc-m": Rules(_RESIDUAL, 1, True, 680_000_000, 135_000_000, 8, 1),
    "resenc-l": Rules(_RESIDUAL, 1, True, 2_100_000_000, 380_000_000, 24, 1),
    "resenc-xl": Rules(_RESIDUAL, 1, True, 3_600_000_000, 560_000_000, 40, 1),
}
BATCH, FEWEST = {2: 12, 3: 2}, 2
START_VOXELS, MOST_FEATURES = {2: 2048**2, 3: 256**3}, {2: 512, 3: 320}


@dataclass(frozen=True)
class Configuration:
    """What nnU-Net plans for one spacing, in 2 or 3 axes; see its plans file.

    Attributes:
        spacing: of the prepared cases, in mm.
        median: voxels of the median case at that spacing.
        patch: voxels of a patch.
        batch: patches a step.
        strides: of each stage, from fine to coarse.
        kernels: of each stage.
        features: channels of each stage.
        encoder: convolutions or residual blocks of each stage.
        decoder: convolutions of each stage of the decoder.
    """

    spacing: tuple[float, ...]
    median: tuple[float, ...]
    patch: Axes
    batch: int
    strides: tuple[Axes, ...]
    kernels: tuple[Axes, ...]
    features: Axes
    encoder: Axes
    decoder: Axes


def configure(
    spacing: Sequence[float], median: Sequence[float], voxels: float, outputs: int, rules: Rules
) -> Configuration:
    """Plan patch, network and batch exactly as nnU-Net does, for its graphics card's memory.

    Args:
        spacing: of the prepared cases along 2 or 3 axes, in nnU-Net's order (the thickest first in 3D).
        median: voxels of the median case at that spacing; halves occur.
        voxels: of all prepared cases together.
        outputs: labels, the background included.
        rules: of which planner.
    """
    axes = len(spacing)
    reference = rules.reference_2d if axes == 2 else rules.reference_3d
    factor = (START_VOXELS[axes] * prod(spacing)) ** (1 / axes)
    start = [min(round(factor / step), edge) for step, edge in zip(spacing, median, strict=True)]
    strides = halve(start, spacing)
    patch = _padded(start, strides)
    count = count_values(patch, strides, outputs, rules)
    # The plain planner asks what two patches take, its residual heirs what the whole reference batch does.
    while count * (1 if rules.residual else FEWEST / BATCH[axes]) > reference:
        patch = _shortened(patch, strides, spacing, median)
        strides = halve(patch, spacing)
        patch = _padded(patch, strides)
        count = count_values(patch, strides, outputs, rules)
    seen = round(voxels * rules.covered / prod(patch))
    batch = max(min(round(reference / count * BATCH[axes]), seen), FEWEST)
    features = plan_features(len(strides), most=MOST_FEATURES[axes])
    kernels, (encoder, decoder) = kernels_for(strides, spacing), rules.blocks(len(strides))
    return Configuration(tuple(spacing), tuple(median), patch, batch, strides, kernels, features, encoder, decoder)


def count_values(patch: Axes, strides: Sequence[Axes], outputs: int, rules: Rules) -> int:
    """Return how many values the convolutions of nnU-Net's network compute for one patch, its measure of memory."""
    features = plan_features(len(strides), most=MOST_FEATURES[len(patch)])
    encoder, decoder = rules.blocks(len(strides))
    sizes, edges = [], list(patch)
    for stride in strides:
        edges = [edge // factor for edge, factor in zip(edges, stride, strict=True)]
        sizes.append(prod(edges))
    count = features[0] * prod(patch) if rules.residual else 0  # the stem
    for stage, (width, size) in enumerate(zip(features, sizes, strict=True)):
        convolutions = 2 * encoder[stage] + (stage > 0) if rules.residual else encoder[stage]
        count += convolutions * width * size
    for stage, convolutions in enumerate(decoder):
        count += (convolutions + 1) * features[stage] * sizes[stage]
    return count + (outputs * sizes[0] if decoder else 0)


def _padded(size: Sequence[float], strides: Sequence[Axes]) -> Axes:
    factors = [prod(stride[axis] for stride in strides) for axis in range(len(size))]
    return tuple(ceil(edge / factor) * factor for edge, factor in zip(size, factors, strict=True))


def _shortened(patch: Axes, strides: Sequence[Axes], spacing: Sequence[float], median: Sequence[float]) -> Axes:
    """Shorten the axis that is longest beside the median case by the stride that it has afterwards."""
    ratios = [edge / whole for edge, whole in zip(patch, median, strict=True)]
    axis = max(range(len(patch)), key=lambda place: (ratios[place], place))
    shorter = list(patch)
    shorter[axis] -= prod(stride[axis] for stride in strides)
    after = prod(stride[axis] for stride in halve(shorter, spacing))
    return tuple(edge - after if place == axis else edge for place, edge in enumerate(patch))
