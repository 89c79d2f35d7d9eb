"""The exported network gives what torch gives, and no weight is stored twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from neuraxis.bundle.export import export_fold
from neuraxis.bundle.network_file import check_network
from neuraxis.bundle.weights import read_weights
from neuraxis.networks.unet import UNet
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.recipe.recipe import NetworkRecipe, PatchRecipe, Recipe

CHANNELS = ("FLAIR", "T1")
CUBIC = {
    "features": (4, 8, 12),
    "kernels": ((3, 3, 3), (3, 3, 3), (1, 3, 3)),
    "strides": ((1, 1, 1), (2, 2, 2), (1, 2, 2)),
}
FLAT = {"features": (4, 8), "kernels": ((3, 3, 1),) * 2, "strides": ((1, 1, 1), (2, 2, 1)), "flat_axis": 2}
CASES = [(CUBIC, (8, 16, 12)), (FLAT, (16, 12, 1))]


def make_recipe(options: dict, shape: tuple[int, int, int]) -> Recipe:
    return Recipe(
        preparation=PreparationRecipe(spacing_mm=(1, 1, 1), normalisation=dict.fromkeys(CHANNELS, "zscore")),
        patches=PatchRecipe(shape=shape),
        network=NetworkRecipe(options=options),
    )


def make_network(recipe: Recipe) -> UNet:
    """A U-Net whose every parameter is a number of its own, as after training."""
    torch.manual_seed(0)
    network = UNet(recipe.network.typed_options(), len(CHANNELS), 3)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def run_openvino(path: Path, image: np.ndarray) -> np.ndarray:
    from neuraxis.inference.runtimes.quiet_openvino import engine

    core = engine()
    return core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([image])[0]


@pytest.mark.parametrize(("options", "shape"), CASES, ids=["3d", "2d"])
@pytest.mark.parametrize("batch", [1, 3])
def test_openvino_gives_what_torch_gives_for_any_batch(
    options: dict, shape: tuple[int, int, int], batch: int, tmp_path: Path
) -> None:
    recipe = make_recipe(options, shape)
    network = make_network(recipe)
    fold = export_fold(network, recipe, CHANNELS, 2, tmp_path)
    assert (fold.index, fold.weights.name) == (2, "fold-2.safetensors")
    assert fold.onnx is not None
    image = torch.randn(batch, 2, *shape, generator=torch.Generator().manual_seed(batch))
    with torch.inference_mode():
        expected = network.eval()(image).numpy()
    assert expected.shape == (batch, 3, *shape)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(run_openvino(fold.onnx, image.numpy()), expected, atol=1e-4)


@pytest.mark.parametrize(("options", "shape"), CASES, ids=["3d", "2d"])
def test_the_graph_is_sound_and_passes_the_bundles_own_check(
    options: dict, shape: tuple[int, int, int], tmp_path: Path
) -> None:
    recipe = make_recipe(options, shape)
    fold = export_fold(make_network(recipe), recipe, CHANNELS, 0, tmp_path)
    assert fold.onnx is not None
    onnx.checker.check_model(str(fold.onnx), full_check=True)
    check_network(fold.onnx, fold.weights, (2, *shape), 3)
    assert onnx.load(fold.onnx, load_external_data=False).opset_import[0].version >= 17


def test_the_weights_file_holds_the_whole_state_and_the_graph_none_of_it_twice(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    network = make_network(recipe)
    fold = export_fold(network, recipe, CHANNELS, 0, tmp_path)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    read = read_weights(fold.weights)
    assert set(read) == set(state)
    assert all(np.array_equal(read[name], state[name]) for name in state)
    graph = onnx.load(fold.onnx, load_external_data=False).graph
    inside = [tensor.name for tensor in graph.initializer if tensor.data_location != onnx.TensorProto.EXTERNAL]
    assert all(state[name].nbytes < 64 for name in inside)
    shared = {tensor.name for tensor in graph.initializer} - set(inside)
    assert {name for name in state if state[name].nbytes >= 64 and not name.startswith("heads.1")} == shared


def test_references_lead_to_the_same_numbers(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    network = make_network(recipe)
    fold = export_fold(network, recipe, CHANNELS, 0, tmp_path)
    state = network.state_dict()
    for tensor in onnx.load(fold.onnx).graph.initializer:
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(tensor), state[tensor.name].numpy())


def test_heads_that_only_training_uses_are_in_the_weights_but_not_in_the_graph(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    fold = export_fold(make_network(recipe), recipe, CHANNELS, 0, tmp_path)
    names = {tensor.name for tensor in onnx.load(fold.onnx, load_external_data=False).graph.initializer}
    assert {"heads.0.weight", "heads.0.bias"} <= names
    assert not any(name.startswith("heads.1") for name in names)
    assert "heads.1.weight" in read_weights(fold.weights)


def test_the_network_itself_is_left_as_it_was(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    network = make_network(recipe).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    export_fold(network, recipe, CHANNELS, 0, tmp_path)
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_the_same_network_gives_the_same_files_and_they_do_not_tell_where_they_were_made(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    network = make_network(recipe)
    first = export_fold(network, recipe, CHANNELS, 0, tmp_path / "a")
    second = export_fold(network, recipe, CHANNELS, 0, tmp_path / "b")
    assert first.onnx is not None
    assert second.onnx is not None
    assert first.onnx.read_bytes() == second.onnx.read_bytes()
    assert first.weights.read_bytes() == second.weights.read_bytes()
    assert b".py" not in first.onnx.read_bytes()


def test_exporting_again_replaces_and_leaves_no_other_file(tmp_path: Path) -> None:
    recipe = make_recipe(*CASES[0])
    export_fold(make_network(recipe), recipe, CHANNELS, 0, tmp_path)
    export_fold(make_network(recipe), recipe, CHANNELS, 0, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fold-0.onnx", "fold-0.safetensors"]


class Scaled(nn.Module):
    """A network that computes with another form of its weights: transposed, and of equal ones."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.randn(2, 20))
        self.out = nn.Conv3d(20, 3, 1)
        self.twin = nn.Conv3d(20, 3, 1)
        self.twin.load_state_dict(self.out.state_dict())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        mixed = torch.einsum("bcxyz,cd->bdxyz", image, self.mix)
        return self.out(mixed) + self.twin(mixed) * torch.linspace(0, 1, 40).sum()


def test_a_network_that_computes_with_its_weights_is_still_exported_rightly(tmp_path: Path) -> None:
    torch.manual_seed(0)
    recipe = make_recipe(*CASES[0])
    network = Scaled().eval()
    fold = export_fold(network, recipe, CHANNELS, 0, tmp_path)
    assert fold.onnx is not None
    image = torch.randn(2, 2, *CASES[0][1])
    with torch.inference_mode():
        expected = network(image).numpy()
    np.testing.assert_allclose(run_openvino(fold.onnx, image.numpy()), expected, rtol=1e-4, atol=1e-4)


def test_a_state_that_is_not_float32_is_misuse_and_writes_nothing(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv3d(2, 3, 1), nn.BatchNorm3d(3))
    with pytest.raises(ValueError, match=r"'1\.num_batches_tracked' is int64"):
        export_fold(network, make_recipe(*CASES[0]), CHANNELS, 0, tmp_path)
    assert list(tmp_path.iterdir()) == []
