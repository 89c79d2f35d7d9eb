"""Means and variances of large maps, summed exactly enough where a network is to compute in float32.

OpenVINO adds up all voxels of a map one after another in float32: at 128 x 128 x 128 the standard deviation of an
instance norm comes out wrong by 2e-4, a thousand times the rounding of float32, and every norm hands that on. Here
blocks of a few hundred voxels are averaged first and then their means, so that no sum is long. It takes a twentieth
more time, so it is left out in half precision, whose own rounding is coarser by far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from neuraxis.inference.runtimes.quiet_openvino import openvino

LARGE = 2**14  # voxels of a map from which on it matters
_LONGEST = 8  # voxels along a side of a block


def sum_in_blocks(_core: Any, network: Any) -> None:
    """Replace the instance norms of large maps in a network that was read, but not compiled.

    A norm stays as it is where a side of its maps is open, or where no side can be cut into blocks.
    """
    for layer in network.get_ordered_ops():
        if layer.get_type_name() == "MVN" and (block := _block_of(layer)) is not None:
            layer.output(0).replace(_normalised(layer, block))


def _block_of(layer: Any) -> tuple[int, ...] | None:
    """Return the block's sides for a norm over all spatial axes of large maps."""
    attributes, axes = layer.get_attributes(), layer.input_value(1).get_node()
    shape = [int(side.get_max_length()) for side in list(layer.get_input_partial_shape(0))]
    spatial = list(range(2, len(shape)))
    if axes.get_type_name() != "Constant" or sorted(int(axis) % len(shape) for axis in axes.data.ravel()) != spatial:
        return None
    sides = shape[2:]
    if not attributes["normalize_variance"] or len(sides) not in (2, 3) or min(sides) <= 0:
        return None
    block = tuple(max(length for length in range(1, _LONGEST + 1) if side % length == 0) for side in sides)
    return block if math.prod(sides) >= LARGE and math.prod(block) > 1 else None


def _normalised(layer: Any, block: Sequence[int]) -> Any:
    """Return (image - mean) / deviation with moments from blocks."""
    ops, image, attributes = openvino.opset13, layer.input_value(0), layer.get_attributes()
    tiny = ops.constant(np.float32(attributes["eps"]))
    centred = ops.subtract(image, _mean(image, block))
    variance = _mean(ops.multiply(centred, centred), block)
    if str(attributes["eps_mode"]).lower() == "inside_sqrt":
        deviation = ops.sqrt(ops.add(variance, tiny))
    else:
        deviation = ops.add(ops.sqrt(variance), tiny)
    return ops.multiply(centred, ops.divide(ops.constant(np.float32(1)), deviation)).output(0)


def _mean(image: Any, block: Sequence[int]) -> Any:
    """Return the mean (B, C, 1, ...) of an image (B, C, ...), block by block first."""
    none = [0] * len(block)
    means = openvino.opset13.avg_pool(image, list(block), none, none, list(block), True)
    axes = openvino.opset13.constant(np.arange(2, 2 + len(block)))
    return openvino.opset13.reduce_mean(means, axes, True)
