"""Three-dimensional layers that GPUs in a page do not compute, said by others that they do, with the same weights.

* A depth-wise convolution becomes a sum over its taps: the padded image, shifted by the tap, times the tap's weights.
* A transposed convolution whose kernel is its stride gives each voxel one tap of its source. So it becomes a
  convolution of one voxel for each tap on the coarse grid, and, axis by axis, a resize to the nearest voxel of two
  taps' results, of which every other voxel is taken in turn. Nothing is interpolated.

Both are exact: the same products, summed in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import count, product
from typing import Any

import numpy as np
import onnx
from onnx import helper

from neuraxis.pipelines.browser.graph import Network, Shape, attributes
from neuraxis.pipelines.browser.operators import VOLUME


def rewrite(network: Network) -> dict[str, int]:
    """Rewrite every such layer in place, and return how many of each kind there were."""
    counted = {"depth-wise convolutions": 0, "transposed convolutions": 0}
    writer = Writer(network)
    for node in network.nodes:
        if is_depthwise(network, node):
            writer.depthwise(node)
            counted["depth-wise convolutions"] += 1
        elif is_doubling(network, node):
            writer.transposed(node)
            counted["transposed convolutions"] += 1
        else:
            writer.nodes.append(node)
    network.nodes = writer.nodes
    network.infer()
    return counted


def is_depthwise(network: Network, node: onnx.NodeProto) -> bool:
    """Tell whether a node convolves each channel of a volume by itself, its weights known."""
    shape, weight = network.shapes.get(node.input[0] if node.input else "", ()), network.constants
    if node.op_type != "Conv" or len(shape) != VOLUME or node.input[1] not in weight:
        return False
    groups, told = attributes(node).get("group", 1), attributes(node)
    plain = told.get("auto_pad", b"NOTSET") == b"NOTSET"
    return bool(plain and groups > 1 and groups == shape[1] == weight[node.input[1]].shape[0])


def is_doubling(network: Network, node: onnx.NodeProto) -> bool:
    """Tell whether a node is a transposed convolution of a volume that overlaps nowhere, its weights known."""
    shape, weight = network.shapes.get(node.input[0] if node.input else "", ()), network.constants
    if node.op_type != "ConvTranspose" or len(shape) != VOLUME or node.input[1] not in weight:
        return False
    told = attributes(node)
    kernel = list(weight[node.input[1]].shape[2:])
    alone = not any([*told.get("pads", []), *told.get("output_padding", [])]) and "output_shape" not in told
    close = max(told.get("dilations", [1])) == 1 and told.get("group", 1) == 1
    return bool(alone and close and list(told.get("strides", [1, 1, 1])) == kernel)


class Writer:
    """Writes nodes one after another, each with a name of its own."""

    def __init__(self, network: Network) -> None:
        self.network, self.nodes = network, list[onnx.NodeProto]()
        self._numbers = count()

    def depthwise(self, node: onnx.NodeProto) -> None:
        """Write a depth-wise convolution as shifted multiply-adds."""
        told, weight = attributes(node), self.network.constants[node.input[1]]
        kernel = weight.shape[2:]
        strides, dilations = (list(told.get(key, [1, 1, 1])) for key in ("strides", "dilations"))
        pads = list(told.get("pads", [0] * 6))
        image = node.input[0]
        if any(pads):
            image = self.add("Pad", [image, self.constant([0, 0, *pads[:3], 0, 0, *pads[3:]])])
        before = [side + first + last for side, first, last in
                  zip(self.network.shapes[node.input[0]][2:], pads[:3], pads[3:], strict=True)]  # fmt: skip
        sides = [
            (side - (taps - 1) * far - 1) // step + 1
            for side, taps, far, step in zip(before, kernel, dilations, strides, strict=True)
        ]
        total = ""
        for tap in product(*map(range, kernel)):
            starts = [place * far for place, far in zip(tap, dilations, strict=True)]
            ends = [s + (n - 1) * step + 1 for s, n, step in zip(starts, sides, strides, strict=True)]
            places = [self.constant(numbers) for numbers in (starts, ends, [2, 3, 4], strides)]
            shifted = self.add("Slice", [image, *places])
            weights = self.learned(_tap(weight, tap).reshape(1, -1, 1, 1, 1))
            term = self.add("Mul", [shifted, weights])
            total = self.add("Add", [total, term]) if total else term
        self._end(node, total)

    def transposed(self, node: onnx.NodeProto) -> None:
        """Write a transposed convolution as convolutions of one voxel and resizes to the nearest voxel."""
        weight, shape = self.network.constants[node.input[1]], self.network.shapes[node.input[0]]
        kernel = weight.shape[2:]
        parts: dict[Shape, str] = {}
        for tap in product(*map(range, kernel)):
            matrix = np.ascontiguousarray(_tap(weight, tap).T)[..., None, None, None]
            parts[tap] = self.add("Conv", [node.input[0], self.learned(matrix)], kernel_shape=[1, 1, 1])
        sides = [1, weight.shape[1], *shape[2:]]
        for axis in range(3):
            sides[2 + axis] *= kernel[axis]
            if kernel[axis] > 1:
                parts = self._interleaved(parts, axis, sides, kernel[axis])
            else:
                parts = {tap[1:]: name for tap, name in parts.items()}
        self._end(node, parts[()])

    def _interleaved(self, parts: dict[Shape, str], axis: int, sides: Sequence[int], times: int) -> dict[Shape, str]:
        """Lay the results of the taps along an axis in turn on the finer grid; the axis is each tap's first number."""
        scales = np.ones(VOLUME, np.float32)
        scales[2 + axis] = times
        along = [1] * VOLUME
        along[2 + axis] = sides[2 + axis]
        joined: dict[Shape, str] = {}
        for (place, *rest), name in parts.items():
            fine = self.add("Resize", [name, "", self.constant(scales)], mode="nearest", nearest_mode="floor",
                            coordinate_transformation_mode="asymmetric")  # fmt: skip
            here = np.arange(sides[2 + axis]) % times == place
            key = tuple(rest)
            if key in joined:
                mask = self.constant(here.reshape(along))
                joined[key] = self.add("Where", [mask, fine, joined[key]])
            else:
                joined[key] = fine
        return joined

    def _end(self, node: onnx.NodeProto, total: str) -> None:
        """Give what was computed last the node's name, its bias added."""
        if len(node.input) > 2 and node.input[2]:
            bias = self.learned(self.network.constants[node.input[2]].reshape(1, -1, 1, 1, 1))
            self.nodes.append(helper.make_node("Add", [total, bias], [node.output[0]]))
        else:
            self.nodes[-1].output[0] = node.output[0]

    def add(self, kind: str, given: Sequence[str], **told: Any) -> str:
        """Write a node and return the name of what it gives."""
        name = f"browser/{kind}_{next(self._numbers)}"
        self.nodes.append(helper.make_node(kind, list(given), [name], **told))
        return name

    def constant(self, values: Any) -> str:
        """Hold an array: whole numbers where no other kind is given; the same array is held once."""
        array = np.asarray(values) if isinstance(values, np.ndarray) else np.array(values, np.int64)
        content = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        name = f"browser/{array.dtype}_{'x'.join(map(str, array.shape))}_{content}"
        self.network.constants[name] = array
        return name

    def learned(self, weights: np.ndarray) -> str:
        """Hold some of the weights."""
        name = f"browser/weights_{next(self._numbers)}"
        self.network.constants[name] = np.ascontiguousarray(weights)
        self.network.learned.add(name)
        return name


def _tap(weight: np.ndarray, tap: tuple[int, ...]) -> np.ndarray:
    """Return the weights (A, B) of one tap of a kernel (A, B, X, Y, Z)."""
    x, y, z = tap
    return weight[:, :, x, y, z]
