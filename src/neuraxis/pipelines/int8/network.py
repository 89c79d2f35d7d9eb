"""One fold's network in int8: NNCF takes the ranges of values from patches, and the graph is made to suit OpenVINO.

The first and the last convolution stay as they are: the first sees the scan, the last gives the logits, and both take
some hundredths of the time. Weights are int8 with a scale for each channel; values between layers are int8 with a scale
and a zero point, but for two kinds of places where OpenVINO needs another form (see `suit_openvino`). NNCF's correction
of biases is left out: an instance norm follows almost every convolution and takes any bias away.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx

from neuraxis.bundle.bundle import FoldFiles
from neuraxis.bundle.network_file import INPUT
from neuraxis.errors import BundleError, NeuraxisError, ResourceError
from neuraxis.files import atomic_path
from neuraxis.hardware import available_memory_gb
from neuraxis.inference.runtimes.options import short_reason
from neuraxis.pipelines.int8.quiet_nncf import nncf, quiet

CONVOLUTIONS = ("Conv", "ConvTranspose")
COPIES, BASE_GB = 3.0, 0.5  # of all values between layers that NNCF holds at once, and what it takes besides


def quantise_network(fold: FoldFiles, patches: int, cut: Callable[[int], np.ndarray], into: Path) -> Path:
    """Write `fold-K.int8.onnx`, which holds its own weights.

    Args:
        fold: has a network in ONNX.
        patches: how many calibrate.
        cut: returns the patch (C, X, Y, Z) of a number from 0 to `patches` - 1.
        into: folder for the file.

    Raises:
        BundleError: NNCF cannot quantise the network.
        ResourceError: memory is lacking.
    """
    if fold.onnx is None:
        raise ValueError(f"Fold {fold.index} has no network in ONNX.")
    model = onnx.load(fold.onnx)  # what it refers to was checked when the bundle was opened
    _refuse_too_little_memory(model, fold.onnx)
    ends = [node.name for node in model.graph.node if node.op_type in CONVOLUTIONS]
    try:
        with quiet():
            quantised = nncf.quantize(
                model,
                nncf.Dataset(range(patches), lambda number: {INPUT: cut(number)[None]}),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=patches,
                ignored_scope=nncf.IgnoredScope(names=[ends[0], ends[-1]] if ends else []),
                advanced_parameters=nncf.AdvancedQuantizationParameters(disable_bias_correction=True),
            )
    except (NeuraxisError, MemoryError):
        raise
    except Exception as error:  # NNCF and what it calls name no common parent for what they raise
        raise BundleError(f"{fold.onnx.name}: NNCF cannot quantise it ({short_reason(error)}).") from error
    suit_openvino(quantised)
    path = into / f"fold-{fold.index}.int8.onnx"
    with atomic_path(path) as part:
        part.write_bytes(quantised.SerializeToString(deterministic=True))
    return path


def suit_openvino(model: onnx.ModelProto) -> None:
    """Write some quantisers of a graph in another form, so that OpenVINO 2026 computes what the graph says, in int8.

    Where quantised values are concatenated it rounds them to whole numbers if they are signed; unsigned, with the zero
    point moved by 128, they are the same values. A transposed convolution runs in int8 only where the zero point is 0;
    the scale is widened to reach as far.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    joined = set(_quantisers(model, "Concat"))
    for scale, zero in set(_quantisers(model, "ConvTranspose")) - joined:
        _make_symmetric(constants[scale], constants[zero])
    for _, zero in joined:
        _make_unsigned(constants[zero])
    del model.graph.value_info[:]  # they name the types that were


def _quantisers(model: onnx.ModelProto, kind: str) -> Iterator[tuple[str, str]]:
    """Yield the names of scale and zero point of every quantiser whose values a node of that kind takes."""
    origin = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        for name in node.input if node.op_type == kind else ():
            found = origin.get(name)
            if found is not None and found.op_type == "DequantizeLinear" and found.input[0] in origin:
                yield found.input[1], found.input[2]


def _make_unsigned(zero: onnx.TensorProto) -> None:
    point = onnx.numpy_helper.to_array(zero)
    if point.dtype == np.int8:
        moved = (point.astype(np.int16) + 128).astype(np.uint8)
        zero.CopyFrom(onnx.numpy_helper.from_array(moved, zero.name))


def _make_symmetric(scale: onnx.TensorProto, zero: onnx.TensorProto) -> None:
    step, point = onnx.numpy_helper.to_array(scale), onnx.numpy_helper.to_array(zero)
    if point.dtype != np.int8:
        return
    offset = point.astype(np.float32)
    reach = np.maximum((127 - offset) / 127, (128 + offset) / 128)
    scale.CopyFrom(onnx.numpy_helper.from_array((step * reach).astype(np.float32), scale.name))
    zero.CopyFrom(onnx.numpy_helper.from_array(np.zeros_like(point), zero.name))


def _refuse_too_little_memory(model: onnx.ModelProto, path: Path) -> None:
    """Refuse a network whose values, which NNCF looks at all at once, would not fit into the memory that is free.

    Raises:
        ResourceError: with what is needed and what is there.
    """
    taken = {name for node in model.graph.node if node.op_type in CONVOLUTIONS for name in node.input[:1]}
    shapes = onnx.shape_inference.infer_shapes(model).graph.value_info
    sides = [value.type.tensor_type.shape.dim for value in shapes if value.name in taken]
    sizes = [[side.dim_value or 1 for side in shape] for shape in sides]
    needed = BASE_GB + COPIES * 4 * sum(map(math.prod, sizes)) / 2**30
    free = available_memory_gb()
    if needed > free:
        raise ResourceError(
            f"{path.name}: quantising it needs about {needed:.1f} GiB of memory, {free:.1f} GiB are free. "
            "Close other programs or use a larger machine."
        )
