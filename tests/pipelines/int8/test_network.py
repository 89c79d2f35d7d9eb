"""The int8 network: which layers it is, and that OpenVINO computes what its graph says, in int8."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import BundleError, DataError, ResourceError
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime
from neuraxis.inference.runtimes.quiet_openvino import engine
from neuraxis.pipelines.int8 import network
from neuraxis.pipelines.int8.network import quantise_network, suit_openvino

WINDOW = np.random.default_rng(0).normal(size=(1, 1, 16, 16, 8)).astype(np.float32)
FP32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def by_openvino(model: bytes, *images: np.ndarray) -> np.ndarray:
    return np.array(engine().compile_model(engine().read_model(model), "CPU", FP32)(list(images))[0])


def by_onnx_runtime(model: bytes, *images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [taken.name for taken in session.get_inputs()]
    return np.array(session.run(None, dict(zip(names, images, strict=True)))[0])


def test_all_convolutions_but_the_first_and_the_last_are_quantised(quantised: ModelBundle) -> None:
    graph = onnx.load(quantised.folds[0].int8).graph
    made = {output: node.op_type for node in graph.node for output in node.output}
    found = [tuple(made.get(name) for name in node.input[:2]) for node in graph.node if "Conv" in node.op_type]
    assert found[0] == (None, None)
    assert found[-1][1] is None
    assert set(found[1:-1]) <= {("DequantizeLinear", "DequantizeLinear"), ("Concat", "DequantizeLinear")}
    assert len(found) > 5


def test_openvino_runs_them_in_int8(quantised: ModelBundle) -> None:
    compiled = engine().compile_model(str(quantised.folds[0].int8), "CPU", FP32)
    types: Counter[tuple[str, str]] = Counter()
    for node in compiled.get_runtime_model().get_ordered_ops():
        info = node.get_rt_info()
        types[info["layerType"].astype(str), info["runtimePrecision"].astype(str)] += 1
    kinds = Counter(node.op_type for node in onnx.load(quantised.folds[0].onnx).graph.node)
    assert types["Convolution", "u8"] + types["Convolution", "i8"] == kinds["Conv"] - 2
    assert types["Deconvolution", "i8"] == kinds["ConvTranspose"]


def test_openvino_computes_what_onnx_runtime_does(quantised: ModelBundle) -> None:
    for fold in quantised.folds:
        ours, theirs = (run(fold.int8.read_bytes(), WINDOW) for run in (by_openvino, by_onnx_runtime))
        assert np.abs(ours - theirs).mean() < 0.01 * theirs.std()


def test_it_holds_its_own_weights_a_byte_each(quantised: ModelBundle) -> None:
    for fold in quantised.folds:
        constants = onnx.load(fold.int8, load_external_data=False).graph.initializer
        assert not any(tensor.external_data for tensor in constants)
        inner = [tensor for tensor in constants if len(tensor.dims) == 5 and min(tensor.dims[:2]) > 3]
        assert len(inner) > 3
        assert {tensor.data_type for tensor in inner} == {TensorProto.INT8}


def quantiser(name: str, scale: float, zero: int) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Round `name` to `name`_d by way of int8."""
    constants = [
        numpy_helper.from_array(np.float32(scale), f"{name}_s"),
        numpy_helper.from_array(np.int8(zero), f"{name}_z"),
    ]
    numbers = [f"{name}_s", f"{name}_z"]
    nodes = [
        helper.make_node("QuantizeLinear", [name, *numbers], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", *numbers], [f"{name}_d"]),
    ]
    return nodes, constants


def graph_of(inputs: list[str], nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> onnx.ModelProto:
    taken = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 4, 4, 4]) for name in inputs]
    given = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", taken, given, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_joined_values_stay_what_they_are_in_another_form() -> None:
    weight = [
        numpy_helper.from_array((127 * np.eye(4, dtype=np.int8)).reshape(4, 4, 1, 1, 1), "w_q"),
        numpy_helper.from_array(np.full(4, 1 / 127, np.float32), "w_s"),
        numpy_helper.from_array(np.zeros(4, np.int8), "w_z"),
    ]
    (first, of_first), (second, of_second) = quantiser("a", 0.05, -25), quantiser("b", 0.05, -25)
    nodes = [
        *first,
        *second,
        helper.make_node("Concat", ["a_d", "b_d"], ["c"], axis=1),
        helper.make_node("DequantizeLinear", ["w_q", "w_s", "w_z"], ["w"], axis=0),
        helper.make_node("Conv", ["c", "w"], ["y"], kernel_shape=[1, 1, 1]),
    ]
    model = graph_of(["a", "b"], nodes, [*of_first, *of_second, *weight])
    images = np.random.default_rng(0).uniform(-5, 7, (2, 1, 2, 4, 4, 4)).astype(np.float32)
    expected = by_onnx_runtime(model.SerializeToString(), *images)
    suit_openvino(model)
    written = model.SerializeToString()
    np.testing.assert_array_equal(by_onnx_runtime(written, *images), expected)
    np.testing.assert_allclose(by_openvino(written, *images), expected, atol=1e-3)
    points = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert (points["a_z"].dtype, int(points["a_z"])) == (np.uint8, 103)


@pytest.mark.parametrize("zero", [-125, 0, 40])
def test_what_a_transposed_convolution_takes_gets_a_zero_point_of_0_and_reaches_as_far(zero: int) -> None:
    nodes, constants = quantiser("a", 0.05, zero)
    weight = numpy_helper.from_array(np.ones((2, 1, 1, 1, 1), np.float32), "w")
    nodes.append(helper.make_node("ConvTranspose", ["a_d", "w"], ["y"], kernel_shape=[1, 1, 1]))
    model = graph_of(["a"], nodes, [*constants, weight])
    low, high = 0.05 * (-128 - zero), 0.05 * (127 - zero)
    suit_openvino(model)
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert int(numbers["a_z"]) == 0
    assert -128 * numbers["a_s"] <= low + 1e-6
    assert 127 * numbers["a_s"] >= high - 1e-6
    assert numbers["a_s"] <= 0.05 * (1 + abs(zero) / 127) + 1e-6
    image = np.random.default_rng(0).uniform(low, high, (1, 2, 4, 4, 4)).astype(np.float32)
    step = float(numbers["a_s"])
    assert np.abs(by_onnx_runtime(model.SerializeToString(), image) - image.sum(1, keepdims=True)).max() <= step + 1e-5


def test_lack_of_memory_is_told_before_anything_is_done(
    quantised: ModelBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "available_memory_gb", lambda: 0.2)
    with pytest.raises(ResourceError, match=r"fold-0\.onnx: quantising it needs about 0\.5 GiB of memory, 0\.2 GiB"):
        quantise_network(quantised.folds[0], 1, lambda number: WINDOW[0], tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


def test_what_goes_wrong_in_nncf_is_one_line_and_our_own_errors_stay(quantised: ModelBundle, tmp_path: Path) -> None:
    def unreadable(number: int) -> np.ndarray:
        raise DataError("a patch cannot be read")

    with pytest.raises(DataError, match="a patch cannot be read"):
        quantise_network(quantised.folds[0], 1, unreadable, tmp_path)
    with pytest.raises(BundleError, match=r"fold-0\.onnx: NNCF cannot quantise it") as refused:
        quantise_network(quantised.folds[0], 1, lambda number: WINDOW[0, :, :4], tmp_path)
    assert "\n" not in str(refused.value)
    with pytest.raises(ValueError, match="no network in ONNX"):
        quantise_network(replace(quantised.folds[0], onnx=None), 1, unreadable, tmp_path)


def test_nothing_is_printed_while_it_is_quantised(
    quantised: ModelBundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    quantise_network(quantised.folds[0], 1, lambda number: WINDOW[0], tmp_path)
    assert capfd.readouterr() == ("", "")
