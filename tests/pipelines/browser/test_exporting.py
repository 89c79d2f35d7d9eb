"""A model for a page: the same weights and results, other operators refused by name, all that a page needs to know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports.exporting import export_bundle
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import sha256
from neuraxis.inference.runtimes.quiet_onnx import onnxruntime
from neuraxis.pipelines.browser import exporting
from neuraxis.pipelines.browser.graph import attributes, read_network
from neuraxis.pipelines.browser.operators import KNOWN
from neuraxis.pipelines.browser.rewriting import rewrite

MakeBundle = Callable[..., ModelBundle]
REGIONS = Labels(names={"background": 0, "a": 1, "b": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2))
CASES = {
    "U-Net": ("unet", (16, 16, 8), (1.0, 1.0, 1.0)),
    "U-Net of thick slices": ("unet", (32, 32, 8), (1.0, 1.0, 3.0)),
    "U-Net in 2D": ("unet", (32, 16, 1), (1.0, 1.0, 1.0)),
    "SegFormer3D": ("segformer3d", (16, 16, 8), (1.0, 1.0, 1.0)),
    "SegFormer3D of thick slices": ("segformer3d", (32, 32, 8), (1.0, 1.0, 3.0)),
    "SegFormer3D in 2D": ("segformer3d", (1, 16, 32), (1.0, 1.0, 1.0)),
}
every_case = pytest.mark.parametrize(("network", "patch", "spacing"), CASES.values(), ids=CASES)


def run(model: Path | bytes, image: np.ndarray) -> np.ndarray:
    given = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: image})[0])


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


@every_case
def test_the_rewritten_network_gives_the_logits_of_the_bundles_own(
    make_bundle: MakeBundle, tmp_path: Path, network, patch, spacing
) -> None:
    bundle = make_bundle(network, patch, spacing)
    place = export_bundle(bundle, tmp_path / "web", "browser")
    image = drawn((1, 2, *patch))
    np.testing.assert_allclose(run(place / "fold-0.onnx", image), run(bundle.folds[0].onnx, image), atol=2e-5)


@every_case
def test_no_layer_is_left_that_a_gpu_of_a_page_refuses(
    make_bundle: MakeBundle, tmp_path: Path, network, patch, spacing
) -> None:
    place = export_bundle(make_bundle(network, patch, spacing), tmp_path / "web", "browser")
    model = onnx.shape_inference.infer_shapes(onnx.load(place / "fold-0.onnx"))
    axes = {
        value.name: len(value.type.tensor_type.shape.dim) for value in [*model.graph.value_info, *model.graph.input]
    }
    assert {node.op_type for node in model.graph.node} <= KNOWN
    for node in model.graph.node:
        if axes.get(node.input[0]) == 5:
            assert node.op_type != "ConvTranspose"
            assert node.op_type != "Conv" or attributes(node).get("group", 1) == 1


@every_case
def test_every_weight_is_kept_as_it_was(make_bundle: MakeBundle, network, patch, spacing) -> None:
    bundle = make_bundle(network, patch, spacing)
    own = onnx.load(bundle.folds[0].onnx)
    before = np.concatenate([numpy_helper.to_array(tensor).ravel() for tensor in own.graph.initializer])

    rewritten = read_network(bundle.folds[0].onnx, (2, *patch), 3)
    rewrite(rewritten)
    used = {name for node in rewritten.nodes for name in node.input} & rewritten.learned
    after = np.concatenate([rewritten.constants[name].ravel() for name in used])

    np.testing.assert_array_equal(np.sort(after), np.sort(before))


def one_layer(kind: str, weight: np.ndarray, **told: object) -> onnx.ModelProto:
    """A network of one layer with a bias, on an image of 6 x 7 x 8 voxels."""
    given = weight.shape[0] if kind == "ConvTranspose" or told.get("group", 1) != 1 else weight.shape[1]
    after = weight.shape[1] if kind == "ConvTranspose" else weight.shape[0]
    node = helper.make_node(kind, ["image", "w", "b"], ["logits"], **told)
    ends = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("image", ["batch", given, 6, 7, 8]), ("logits", ["batch", after, None, None, None]))
    ]
    held = [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(drawn((after,)), "b")]
    graph = helper.make_graph([node], "one", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    "told",
    [
        {"pads": [1, 1, 1, 1, 1, 1]},
        {"strides": [2, 1, 2], "pads": [1, 0, 2, 0, 1, 1]},
        {"dilations": [1, 2, 2]},
    ],
    ids=str,
)
def test_a_depthwise_convolution_of_any_stride_padding_and_dilation_is_the_same(tmp_path: Path, told) -> None:
    model = one_layer("Conv", drawn((5, 1, 3, 2, 3)), group=5, **told)
    onnx.save(model, tmp_path / "one.onnx")
    network = read_network(tmp_path / "one.onnx", (5, 6, 7, 8), 5)
    assert rewrite(network)["depth-wise convolutions"] == 1
    assert {node.op_type for node in network.nodes} <= {"Pad", "Slice", "Mul", "Add"}
    sizes_open = network.to_model()
    del sizes_open.graph.output[0].type.tensor_type.shape.dim[:]
    sizes_open.graph.output[0].type.tensor_type.ClearField("shape")
    image = drawn((1, 5, 6, 7, 8))
    np.testing.assert_allclose(run(sizes_open.SerializeToString(), image), run(tmp_path / "one.onnx", image), atol=1e-5)


@pytest.mark.parametrize("kernel", [(2, 2, 2), (1, 2, 2), (3, 1, 2), (1, 1, 1)], ids=str)
def test_a_transposed_convolution_of_any_stride_is_the_same(tmp_path: Path, kernel) -> None:
    model = one_layer("ConvTranspose", drawn((3, 4, *kernel)), strides=list(kernel), kernel_shape=list(kernel))
    onnx.save(model, tmp_path / "one.onnx")
    network = read_network(tmp_path / "one.onnx", (3, 6, 7, 8), 4)
    assert rewrite(network)["transposed convolutions"] == 1
    assert {node.op_type for node in network.nodes} <= {"Conv", "Resize", "Where", "Add"}
    sizes_open = network.to_model()
    sizes_open.graph.output[0].type.tensor_type.ClearField("shape")
    image = drawn((1, 3, 6, 7, 8))
    np.testing.assert_allclose(run(sizes_open.SerializeToString(), image), run(tmp_path / "one.onnx", image), atol=1e-6)


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ("segformer3d-moe", "Cast, Equal, Flatten, Gemm, ReduceSum, TopK"),
        ("classic-unet", "MaxPool"),
        ("monai-unet", "ConvTranspose of three axes whose kernel is not its stride, PRelu"),
    ],
)
def test_other_operators_are_refused_by_name_and_nothing_is_left_behind(
    make_bundle: MakeBundle, tmp_path: Path, network, named
) -> None:
    bundle = make_bundle(network, (16, 16, 8))
    with pytest.raises(BundleError, match=re.escape(f"fold 0: its network needs {named}, which")) as caught:
        export_bundle(bundle, tmp_path / "out" / "web", "browser")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_convolution_in_groups_that_are_not_single_channels_is_refused(tmp_path: Path) -> None:
    from neuraxis.pipelines.browser.operators import refuse_unknown

    onnx.save(one_layer("Conv", drawn((4, 4, 1, 1, 1)), group=1), tmp_path / "plain.onnx")
    node = helper.make_node("Conv", ["image", "w"], ["logits"], group=2)
    network = read_network(tmp_path / "plain.onnx", (4, 6, 7, 8), 4)
    network.nodes, network.constants["w"] = [node], drawn((4, 2, 1, 1, 1))
    network.infer()
    rewrite(network)
    with pytest.raises(BundleError, match="Conv of three axes in 2 groups"):
        refuse_unknown(network, "toy")


def test_a_network_that_became_another_one_is_refused(make_bundle: MakeBundle, tmp_path: Path, monkeypatch) -> None:
    def spoil(network: object) -> dict[str, int]:
        counted = rewrite(network)  # type: ignore[arg-type]
        name = next(name for name in network.learned if name.endswith("heads.0.bias"))  # type: ignore[attr-defined]
        network.constants[name] = network.constants[name] + np.arange(3, dtype=np.float32)  # type: ignore[attr-defined]
        return counted

    monkeypatch.setattr(exporting, "rewrite", spoil)
    with pytest.raises(BundleError, match="its probabilities differ by up to 0"):
        export_bundle(make_bundle("unet", (16, 16, 8)), tmp_path / "web", "browser")


def test_the_equality_is_measured_and_stated(make_bundle: MakeBundle, tmp_path: Path) -> None:
    place = export_bundle(make_bundle("segformer3d", (16, 16, 8)), tmp_path / "web", "browser")
    (told,) = json.loads((place / "model.json").read_text())["networks"]
    assert told["rewritten"] == {"depth-wise convolutions": 4, "transposed convolutions": 0}
    assert told["equality"]["largest_difference_of_probability"] < 1e-5
    assert told["equality"]["voxels_of_other_labels"] == 0
    assert told["equality"]["voxels"] == 2 * 16 * 16 * 8
    assert "4096 voxels have the same label" in (place / "README.md").read_text("utf-8")


def test_regions_that_overlap_are_compared_one_by_one(make_bundle: MakeBundle, tmp_path: Path) -> None:
    place = export_bundle(make_bundle("unet", (16, 16, 8), labels=REGIONS), tmp_path / "web", "browser")
    content = json.loads((place / "model.json").read_text())
    assert content["output"]["activation"] == "sigmoid"
    assert content["networks"][0]["equality"]["voxels_of_other_labels"] == 0


def test_a_page_finds_all_that_it_needs_in_one_file(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle("unet", (16, 16, 8))
    place = export_bundle(bundle, tmp_path / "web", "browser")
    assert sorted(path.name for path in place.iterdir()) == ["README.md", "fold-0.onnx", "model.json"]
    content = json.loads((place / "model.json").read_text())
    assert content["bundle_hash"] == bundle.hash
    assert content["input"]["shape"] == [1, 2, 16, 16, 8]
    assert content["output"]["shape"] == [1, 3, 16, 16, 8]
    assert [channel["name"] for channel in content["channels"]] == ["T1", "T2"]
    assert content["labels"]["names"] == {"background": 0, "a": 1, "b": 2}
    assert content["colours"]["b"] == "#102030"
    assert re.fullmatch("#[0-9a-f]{6}", content["colours"]["a"])
    assert content["stride"] == [4, 4, 2]
    assert content["tiling"]["window"] == [16, 16, 8]
    assert content["preparation"]["spacing_mm"] == [1.0, 1.0, 1.0]
    (told,) = content["networks"]
    assert told["sha256"] == {"fold-0.onnx": sha256(place / "fold-0.onnx")}
    assert told["largest_tensor_bytes"] == 4 * 8 * 16 * 16 * 8


def test_an_export_of_another_kind_of_folder_is_not_replaced(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle("unet", (16, 16, 8))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError):
        export_bundle(bundle, tmp_path / "mine", "browser", overwrite=True)
    export_bundle(bundle, tmp_path / "web", "browser")
    with pytest.raises(UsageError):
        export_bundle(bundle, tmp_path / "web", "browser")
    export_bundle(bundle, tmp_path / "web", "browser", overwrite=True)
