"""An ONNX file may read its own fold's weights and nothing else, however deep the reference hides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from neuraxis.bundle.network_file import check_network
from neuraxis.errors import BundleError

IMAGE, OUTPUTS = (2, 8, 8, 4), 3
Network = Callable[..., Path]


def external(**entries: str) -> TensorProto:
    """A tensor whose bytes lie elsewhere; `entries` are its place, as ONNX notes it."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "fold-0.safetensors"
    path.write_bytes(bytes(64))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Write an ONNX file with the given tensors, nodes, input and output."""

    def written(tensors=(), nodes=(), image=None, logits=None) -> Path:
        inputs = [image or value("image", "batch", *IMAGE)]
        outputs = [logits or value("logits", "batch", OUTPUTS, *IMAGE[1:])]
        graph = helper.make_graph(list(nodes), "g", inputs, outputs, list(tensors))
        path = tmp_path / "fold-0.onnx"
        path.write_bytes(helper.make_model(graph).SerializeToString())
        return path

    return written


def refused(path: Path, weights: Path) -> str:
    with pytest.raises(BundleError) as caught:
        check_network(path, weights, IMAGE, OUTPUTS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tensors_inside_and_in_the_folds_own_weights_are_allowed(network: Network, weights: Path) -> None:
    inside = helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0])
    own = external(location="fold-0.safetensors", offset="48", length="16")
    check_network(network([inside, own]), weights, IMAGE, OUTPUTS)


@pytest.mark.parametrize(
    "location",
    ["/etc/passwd", "../fold-0.safetensors", "./fold-0.safetensors", "fold-1.safetensors", "", "a\n\x1b[31mb"],
)
def test_any_other_file_is_refused(network: Network, weights: Path, location: str) -> None:
    message = refused(network([external(location=location, offset="0", length="16")]), weights)
    assert "only fold-0.safetensors is allowed" in message


@pytest.mark.parametrize(
    "place",
    [
        {"offset": "49", "length": "16"},
        {"offset": "0", "length": "65"},
        {"offset": "0"},
        {"offset": "0", "length": "0"},
        {"offset": "-1", "length": "16"},
        {"offset": "0x1", "length": "16"},
        {"offset": "0", "length": "16", "basepath": "/etc"},
        {"offset": "9" * 30, "length": "16"},
    ],
)
def test_any_other_place_in_the_weights_is_refused(network: Network, weights: Path, place: dict[str, str]) -> None:
    refused(network([external(location="fold-0.safetensors", **place)]), weights)


def test_a_tensor_said_to_be_elsewhere_without_a_place_is_refused(network: Network, weights: Path) -> None:
    refused(network([external()]), weights)


def attribute_of_tensor(bad: TensorProto) -> onnx.NodeProto:
    return helper.make_node("Constant", [], ["c"], value=bad)


def attribute_of_tensors(bad: TensorProto) -> onnx.NodeProto:
    node = helper.make_node("Odd", [], ["c"])
    node.attribute.append(helper.make_attribute("many", [bad, bad]))
    return node


def branch_of_a_branch(bad: TensorProto) -> onnx.NodeProto:
    inner = helper.make_graph([attribute_of_tensor(bad)], "inner", [], [value("c", 4)])
    middle = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], "middle", [], [])
    return helper.make_node("If", ["x"], ["z"], else_branch=middle)


def sparse(bad: TensorProto) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], ["c"])
    tensor = onnx.SparseTensorProto(values=bad, indices=helper.make_tensor("i", TensorProto.INT64, [1], [0]), dims=[4])
    node.attribute.append(helper.make_attribute("sparse_value", tensor))
    return node


@pytest.mark.parametrize("hide", [attribute_of_tensor, attribute_of_tensors, branch_of_a_branch, sparse])
def test_a_reference_is_found_wherever_it_hides(network: Network, weights: Path, hide: Callable) -> None:
    bad = external(location="/etc/passwd", offset="0", length="16")
    assert "'/etc/passwd'" in refused(network(nodes=[hide(bad)]), weights)


def test_a_reference_inside_a_function_is_found(network: Network, weights: Path) -> None:
    path = network()
    model = onnx.load(path)
    bad = attribute_of_tensor(external(location="/etc/passwd", offset="0", length="16"))
    model.functions.append(helper.make_function("own", "f", [], ["c"], [bad], [helper.make_opsetid("", 17)]))
    path.write_bytes(model.SerializeToString())
    assert "'/etc/passwd'" in refused(path, weights)


def test_graphs_nested_without_end_are_refused(network: Network, weights: Path) -> None:
    graph = helper.make_graph([], "g", [], [])
    for _ in range(15):
        graph = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=graph)], "g", [], [])
    assert "nested too deeply" in refused(network(nodes=graph.node), weights)


def test_an_input_that_the_card_does_not_mean_is_refused(network: Network, weights: Path) -> None:
    assert "takes" in refused(network(image=value("image", "batch", 1, 8, 8, 4)), weights)
    assert "takes" in refused(network(image=value("image", "batch", 2, 8, 8, "z")), weights)
    assert "takes" in refused(network(image=value("scan", "batch", *IMAGE)), weights)


def test_an_output_that_the_card_does_not_mean_is_refused(network: Network, weights: Path) -> None:
    assert "gives" in refused(network(logits=value("logits", "batch", 2, 8, 8, 4)), weights)
    assert "gives" in refused(network(logits=value("masks", "batch", OUTPUTS, 8, 8, 4)), weights)


def test_every_cut_of_a_file_is_refused_as_not_whole_or_not_fitting(schema_1: Path, folder: Path) -> None:
    path, weights = folder / "fold-0.onnx", folder / "fold-0.safetensors"
    whole = path.read_bytes()
    check_network(path, weights, IMAGE, OUTPUTS)
    for length in range(0, len(whole) - 50, 37):
        path.write_bytes(whole[:length])
        refused(path, weights)


@pytest.mark.parametrize("content", [b"PK\x03\x04rubbish", b"\xff" * 40, b"\x0b\x0b", b"<html></html>"])
def test_rubbish_is_refused(tmp_path: Path, weights: Path, content: bytes) -> None:
    (tmp_path / "fold-0.onnx").write_bytes(content)
    refused(tmp_path / "fold-0.onnx", weights)
