"""What nnU-Net's own planners decide for a dataset: target spacing, axis order, and its configurations.

Used to compare with nnU-Net and to exchange models with it; our own planner shares the target spacing and goes other
ways where a processor trains (docs/explanation/planning.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from neuraxis.networks.topology import RULES, Configuration, configure
from neuraxis.recipe.spacing import LOW_AT_LEAST, LOW_BELOW, coarsened, median_shape, target_spacing


@dataclass(frozen=True)
class NNUNetData:
    """The fingerprint as nnU-Net reads it, axes in its order (Z, Y, X).

    Attributes:
        shapes: voxels of each case after cropping.
        spacings: of each case, in mm.
        training: number of cases that its dataset.json states.
        outputs: number of labels, the background (and a label to ignore) included.
    """

    shapes: Sequence[Sequence[int]]
    spacings: Sequence[Sequence[float]]
    training: int
    outputs: int


@dataclass(frozen=True)
class NNUNetPlan:
    """nnU-Net's decisions.

    Attributes:
        transpose: the order it brings the axes into: the thickest first.
        configurations: by its names "2d", "3d_fullres", "3d_lowres"; axes in the transposed order.
    """

    transpose: tuple[int, ...]
    configurations: Mapping[str, Configuration]


def nnunet_plan(data: NNUNetData, planner: str = "plain") -> NNUNetPlan:
    """Plan as nnU-Net 2 does.

    Args:
        data: of the dataset.
        planner: "plain", "resenc-m", "resenc-l" or "resenc-xl".
    """
    rules = RULES[planner]
    spacing = target_spacing(data.spacings, data.shapes)[0]
    thickest = int(np.argmax(spacing))
    order = (thickest, *(axis for axis in range(3) if axis != thickest))
    median = median_shape(data.shapes, data.spacings, spacing)[list(order)]
    steps = [float(spacing[axis]) for axis in order]
    voxels = float(np.prod(median) * data.training)
    found: dict[str, Configuration] = {}
    if median[0] != 1:
        found["3d_fullres"] = configure(steps, median.tolist(), voxels, data.outputs, rules)
        low = _low_resolution(found["3d_fullres"], data, planner)
        found |= {"3d_lowres": low} if low is not None else {}
    found["2d"] = configure(steps[1:], median[1:].tolist(), voxels, data.outputs, rules)
    return NNUNetPlan(order, found)


def _low_resolution(full: Configuration, data: NNUNetData, planner: str) -> Configuration | None:
    """Coarsen the spacing until a patch holds a quarter of the median case; None where that is not worth it."""
    whole = prod(full.median)
    low, voxels, found = np.array(full.spacing), whole, full
    while prod(found.patch) / voxels < LOW_BELOW:
        low = coarsened(low)
        median = np.array(full.spacing) / low * np.array(full.median)
        voxels = float(np.prod(median))
        shape = [round(float(edge)) for edge in median]
        found = configure(low.tolist(), shape, voxels * data.training, data.outputs, RULES[planner])
    return found if whole / voxels >= LOW_AT_LEAST and found is not full else None
