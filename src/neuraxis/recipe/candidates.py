"""The ways a dataset could be trained on: slice by slice, at full resolution, at low resolution, and as a cascade.

Each is planned for the same budget of memory, so that a user can compare them and pick another than the planner's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import prod
from typing import Any

import numpy as np
from pydantic import ValidationError

from neuraxis.errors import RecipeError
from neuraxis.networks.catalog import OPTIONS
from neuraxis.networks.cost import cost, training_memory_gb
from neuraxis.networks.topology import MAX_STAGES, MIN_EDGE, Topology, pad_to_stride, plan_topology, topology_of
from neuraxis.recipe.demand import Demand, by
from neuraxis.recipe.spacing import LOW_AT_LEAST, LOW_BELOW, coarsened, median_shape
from neuraxis.volume.resample import shape_at_spacing

BASE_FEATURES, MOST_FEATURES = 32, 320
BATCH_3D, BATCH_2D, LEAST_BATCH = 2, 12, 2
PLANNED = ("features", "strides", "kernels", "flat_axis", "first_width", "blocks_down", "blocks_up", "groups", "heads",
           "depths", "reductions", "decoder_width", "experts", "chosen", "skip_width", "rates", "width",
           "places", "halvings")  # fmt: skip
Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """One way to train.

    Attributes:
        name: "2d", "3d" (full resolution), "3d_low" or "cascade".
        spacing_mm: of the prepared cases.
        median_shape: voxels of the median case at that spacing.
        patch: voxels of a patch.
        batch: patches a step.
        covers: share of the median case, or in 2D of its slice, that a patch holds, in (0, 1].
        memory_gb: what a training step takes, in GiB; 0 where the network does not say.
        multiply_adds: of the convolutions for one patch; 0 where the network does not say.
        options: of the network: features, strides, kernels, flat_axis; only those that were planned.
        reason: what speaks for it, in words.
        trainable: whether it can be chosen.
    """

    name: str
    spacing_mm: Spacing
    median_shape: Triple
    patch: Triple
    batch: int
    covers: float
    memory_gb: float
    multiply_adds: int
    options: Mapping[str, Any]
    reason: str = ""
    trainable: bool = True

    @property
    def stages(self) -> int:
        """Stages of the network, from full to coarsest resolution; 0 where the network does not say."""
        return len(self.options.get("strides", ()))

    def to_dict(self) -> dict[str, Any]:
        """Return the content for JSON."""
        return {**asdict(self), "stages": self.stages}


@dataclass(frozen=True)
class Cases:
    """Shapes (as they are after cropping) and spacings of the cases, rows of three."""

    shapes: Sequence[Triple]
    spacings: Sequence[Spacing]

    def shapes_at(self, spacing: Spacing) -> list[Triple]:
        """Return the voxels of each case at a spacing."""
        each = zip(self.shapes, self.spacings, strict=True)
        return [shape_at_spacing(shape, own, spacing) for shape, own in each]

    def median_at(self, spacing: Spacing) -> Triple:
        """Return the median voxels along each axis at a spacing."""
        x, y, z = (max(1, int(edge)) for edge in median_shape(self.shapes, self.spacings, spacing))
        return x, y, z


def plan_flat(cases: Cases, spacing: Spacing, axis: int, demand: Demand) -> Candidate:
    """Plan the candidate "2d", whose patches have one voxel along an axis."""
    median = cases.median_at(spacing)
    x, y, z = (1 if place == axis else n for place, n in enumerate(median))
    found = _fit("2d", spacing, (x, y, z), demand)
    whole = prod(n for place, n in enumerate(median) if place != axis)
    covers = prod(min(n, m) for n, m in zip(found.patch, median, strict=True)) / whole
    reason = f"Slice by slice across {'XYZ'[axis]}; what lies above and below is not seen."
    if median[axis] == 1:
        reason = f"The cases have one slice along {'XYZ'[axis]}."
    return replace(found, median_shape=median, covers=covers, reason=reason)


def plan_full(cases: Cases, spacing: Spacing, demand: Demand) -> Candidate:
    """Plan the candidate "3d", of full resolution."""
    found = _fit("3d", spacing, cases.median_at(spacing), demand)
    return replace(found, reason=f"Full resolution; a patch holds {share(found.covers)} of the median case.")


def plan_low(cases: Cases, full: Candidate, demand: Demand, spacing: Spacing | None = None) -> Candidate | None:
    """Plan the candidate "3d_low", or return None where full resolution sees enough.

    nnU-Net's rule: it is worth it where a patch of full resolution holds less than a quarter of the median case. The
    spacing is coarsened by 3 % at a time, along fine axes first, until a patch holds a quarter; less than half the
    voxels must remain.

    Args:
        cases: of the dataset.
        full: the candidate "3d".
        demand: what to keep to.
        spacing: that of the candidate, where the user set it.
    """
    if spacing is not None:
        found = _fit("3d_low", spacing, cases.median_at(spacing), demand)
        return replace(found, reason="The spacing was set by the user.")
    found = first = _fit("3d_low", full.spacing_mm, full.median_shape, demand)
    low = np.array(full.spacing_mm)
    while found.covers < LOW_BELOW:
        low = coarsened(low)
        x, y, z = (round(float(step), 4) for step in low)
        median = cases.median_at((x, y, z))
        if prod(first.patch) / prod(median) > 0.8 * LOW_BELOW:  # before, it is not worth a try
            found = _fit("3d_low", (x, y, z), median, demand)
    if prod(full.median_shape) / prod(found.median_shape) < LOW_AT_LEAST:
        return None
    spacing_words = " x ".join(f"{step:.3g}" for step in found.spacing_mm)
    held = f"{share(first.covers)} of the median case"
    reason = f"At full resolution a patch holds {held}, at {spacing_words} mm a quarter."
    return replace(found, reason=reason)


def plan_cascade(full: Candidate, cases: Cases, demand: Demand) -> Candidate:
    """Plan the second stage of a cascade: full resolution, with the label map of "3d_low" as further channels."""
    wider = replace(demand, channels=demand.channels + max(1, demand.outputs - 1))
    found = _fit("cascade", full.spacing_mm, cases.median_at(full.spacing_mm), wider)
    reason = (
        "First 3d_low, then full resolution with its result beside the image; that second stage cannot be trained yet."
    )
    return replace(found, reason=reason, trainable=False)


def _fit(name: str, spacing: Spacing, median: Triple, demand: Demand) -> Candidate:
    """Plan the largest patch up to the median case that the memory allows, its network, and then the batch."""
    flat = next((axis for axis in (2, 1, 0) if (demand.patch or median)[axis] == 1), None)
    flat = demand.options.get("flat_axis", flat)
    patch = demand.patch or _not_too_small(median, spacing)

    def needed(options: Any, batch: int) -> float:
        return training_memory_gb(demand.network, options, patch, batch, demand.channels, demand.outputs)

    options, least = _options(patch, spacing, flat, demand), demand.batch or LEAST_BATCH
    while not demand.patch and needed(options, least) > demand.memory_gb and max(patch) > 2 * MIN_EDGE:
        patch = _smaller(patch, spacing, lambda shorter: _stride(_options(shorter, spacing, flat, demand)))
        options = _options(patch, spacing, flat, demand)
    patch = demand.patch or pad_to_stride(patch, _stride(options))
    batch = demand.batch or (BATCH_3D if flat is None else BATCH_2D)
    while batch > least and needed(options, batch) > demand.memory_gb:
        batch -= 1
    adds = cost(demand.network, options, patch, demand.channels, demand.outputs).multiply_adds
    return Candidate(
        name=name,
        spacing_mm=spacing,
        median_shape=median,
        patch=patch,
        batch=batch,
        covers=prod(min(n, m) for n, m in zip(patch, median, strict=True)) / prod(median),
        memory_gb=round(needed(options, batch), 2) if adds else 0.0,
        multiply_adds=adds,
        options={key: getattr(options, key) for key in PLANNED if hasattr(options, key)},
    )


def _options(patch: Triple, spacing: Spacing, flat: int | None, demand: Demand) -> Any:
    """Return the network's options for a patch: planned, with those of the user on top."""
    kind, wished = OPTIONS.load(demand.network), demand.options
    planned: dict[str, Any] = {}
    try:
        if hasattr(kind, "planned"):
            ready = kind.planned(_topology(kind, patch, spacing, wished), BASE_FEATURES, MOST_FEATURES, flat)
            planned = {key: getattr(ready, key) for key in PLANNED if hasattr(ready, key)}
            for key in ("features", "kernels"):
                if key in wished and len(wished[key]) > len(planned["strides"]):
                    raise RecipeError(
                        f"network.options.{key}: has {len(wished[key])} stages, but a patch of {by(patch)} is halved "
                        f"{len(planned['strides']) - 1} times. Give {len(planned['strides'])}, or set "
                        "network.options.strides too."
                    )
        return kind(**{**planned, **wished})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("network.options", *first["loc"])))
        raise RecipeError(f"{where}: {first['msg'].removeprefix('Value error, ')}.") from error


def _topology(kind: Any, patch: Triple, spacing: Spacing, wished: Mapping[str, Any]) -> Topology:
    if "strides" in wished:
        return topology_of([(x, y, z) for x, y, z in wished["strides"]], patch, spacing)
    if getattr(kind, "has_own_stages", False):
        return plan_topology(patch, spacing)
    lengths = [len(wished[key]) for key in ("features", "kernels") if key in wished]
    return plan_topology(patch, spacing, min(lengths, default=MAX_STAGES))


def _not_too_small(median: Triple, spacing: Spacing) -> Triple:
    """Return the median shape, raised where a network could not halve it even once."""
    if len(plan_topology(median, spacing).strides) > 1:
        return median
    x, y, z = (edge if edge == 1 else max(edge, 3 * MIN_EDGE) for edge in median)
    return x, y, z


def _smaller(patch: Triple, spacing: Spacing, stride_of: Callable[[Triple], Triple]) -> Triple:
    """Shorten the axis that is longest in mm, by the stride that it has once it is shorter."""
    stride = stride_of(patch)
    axis = max(range(3), key=lambda axis: patch[axis] * spacing[axis] if patch[axis] > stride[axis] else 0)
    return _cut(patch, axis, stride_of(_cut(patch, axis, stride[axis]))[axis])


def _cut(patch: Triple, axis: int, factor: int) -> Triple:
    """Return the patch with one side lowered to the next multiple of a factor."""
    x, y, z = (max(1, (-(-n // factor) - 1) * factor) if place == axis else n for place, n in enumerate(patch))
    return x, y, z


def _stride(options: Any) -> Triple:
    stride: Triple = getattr(options, "stride", (1, 1, 1))
    return stride


def share(part: float) -> str:
    """Return a share in words, such as "45%"."""
    return f"{part:.0%}" if part >= 0.01 or not part else "less than 1%"
