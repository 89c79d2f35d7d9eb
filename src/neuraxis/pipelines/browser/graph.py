"""A network's ONNX graph with a batch of one: every size known, and nothing computed anew that is always the same.

What is learned is never computed with beforehand, only laid out otherwise: the weights stay those of the bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from neuraxis.bundle.network_file import INPUT, OUTPUT

LAID_OUT = {"Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
COMPUTED = {"Add", "Cast", "Clip", "Concat", "ConstantOfShape", "Div", "Expand", "Flatten", "Gather", "Mul", "Range",
            "Shape", "Slice", "Split", "Sqrt", "Sub"} | LAID_OUT  # fmt: skip
Shape = tuple[int, ...]


@dataclass
class Network:
    """The nodes of a network in their order, and what it holds.

    Attributes:
        nodes: what is computed.
        constants: arrays by name, weights among them.
        learned: names of those that training found.
        shapes: name to sizes, as far as they are known.
        image: sizes of the input, (1, C, X, Y, Z).
        outputs: number of outputs.
        opset: version of the operators.
    """

    nodes: list[onnx.NodeProto]
    constants: dict[str, np.ndarray]
    learned: set[str]
    image: Shape
    outputs: int
    opset: int
    shapes: dict[str, Shape] = field(default_factory=dict)

    def to_model(self) -> onnx.ModelProto:
        """Return the network as an ONNX model that holds its weights."""
        used = {name for node in self.nodes for name in node.input}
        held = [numpy_helper.from_array(value, name) for name, value in self.constants.items() if name in used]
        logits = (1, self.outputs, *self.image[2:])
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name, shape in ((INPUT, self.image), (OUTPUT, logits))
        ]
        graph = helper.make_graph(self.nodes, "network", ends[:1], ends[1:], held)
        opset = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opset, producer_name="neuraxis", ir_version=8)

    def infer(self) -> None:
        """Find the sizes of all that is computed."""
        model = onnx.shape_inference.infer_shapes(self.to_model(), data_prop=True)
        known = [*model.graph.value_info, *model.graph.input, *model.graph.output]
        self.shapes = {name: value.shape for name, value in self.constants.items()}
        for value in known:
            sizes = value.type.tensor_type.shape.dim
            if all(size.HasField("dim_value") for size in sizes):
                self.shapes[value.name] = tuple(size.dim_value for size in sizes)


def read_network(path: Path, image: Shape, outputs: int) -> Network:
    """Read the ONNX file of a bundle's fold, for a batch of one, and settle what does not depend on the image.

    Args:
        path: the file, whose references were checked when the bundle was opened.
        image: (C, X, Y, Z).
        outputs: of the network.
    """
    model = onnx.load(path)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    network = Network(list(model.graph.node), constants, set(constants), (1, *image), outputs, opset)
    while _settle(network):
        pass
    return network


def _settle(network: Network) -> bool:
    """Compute each node that has constants alone, once more with what is known of sizes; tell whether any was."""
    network.infer()
    kept: list[onnx.NodeProto] = []
    same: dict[str, str] = {}
    before = len(network.nodes)
    for node in network.nodes:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Identity" and node.output[0] != OUTPUT:
            same[node.output[0]] = node.input[0]
        elif not _settled(network, node):
            kept.append(node)
    network.nodes = kept
    return len(kept) < before


def _settled(network: Network, node: onnx.NodeProto) -> bool:
    """Put what a node gives among the constants, where that is known beforehand."""
    constants, given = network.constants, [name for name in node.input if name]
    results: Sequence[np.ndarray]
    if node.op_type == "Constant":
        results = [numpy_helper.to_array(attributes(node)["value"])]
    elif node.op_type == "Shape" and given[0] in network.shapes:
        results = [np.array(network.shapes[given[0]], np.int64)]
    elif node.op_type in COMPUTED and all(name in constants for name in given):
        if network.learned.intersection(given) and node.op_type not in LAID_OUT:
            return False
        results = _run(node, {name: constants[name] for name in given}, network.opset)
    else:
        return False
    constants.update(zip(node.output, results, strict=True))
    if network.learned.intersection(given):
        network.learned.update(node.output)
    return True


def _run(node: onnx.NodeProto, given: Mapping[str, np.ndarray], opset: int) -> Sequence[np.ndarray]:
    ends = [
        [helper.make_empty_tensor_value_info(name) for name in names] for names in (dict.fromkeys(given), node.output)
    ]
    graph = helper.make_graph([node], "one", *ends)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    found: Sequence[np.ndarray] = ReferenceEvaluator(model).run(None, dict(given))
    return found


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
