"""Every runtime gives torch's probabilities within a stated tolerance, with every network of the catalog."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.inference.bottleneck import Bottleneck
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.inference.runtimes.options import RuntimeOptions
from neuraxis.inference.runtimes.torch import TorchRuntime
from neuraxis.networks.catalog import NETWORKS, OPTIONS, PROMPTED
from neuraxis.networks.topology import plan_topology
from neuraxis.preparation.steps import activate
from neuraxis.recipe.wishes import resolve
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

LABELS = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
TOLERANCE = {"fp32": 1e-4, "bf16": 0.03}
PATCHES = {"3D": (16, 16, 8), "2D": (32, 32, 1)}
NOT_OFFERED = {("onnx", "bf16")}
WAYS = [(name, half) for name in RUNTIMES.names() for half in TOLERANCE if (name, half) not in NOT_OFFERED]


WINDOWED = [name for name in NETWORKS.names() if name not in PROMPTED]


@pytest.fixture(scope="module", params=[(name, patch) for name in WINDOWED for patch in PATCHES], ids=" ".join)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A bundle with a network of random weights, none of them 0."""
    name, kind = request.param
    folder, patch = tmp_path_factory.mktemp(kind), PATCHES[kind]
    topology, choices = plan_topology(patch, (1.0, 1.0, 1.0), max_stages=3), OPTIONS.load(name)
    flat = 2 if kind == "2D" else None
    options = choices.planned(topology, 8, 32, flat) if hasattr(choices, "planned") else choices()
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T1": "zscore"}},
            "patches": {"shape": list(patch)},
            "network": {"name": name, "options": options.model_dump(mode="json")},
        }
    )
    torch.manual_seed(0)
    network = NETWORKS.load(name)(recipe.network.typed_options(), 1, 3)
    for weight in network.parameters():
        if weight.ndim == 1:
            nn.init.uniform_(weight, 0.1, 0.9)
    fold = export_fold(network, recipe, ("T1",), 0, folder)
    card = Card(name="toy", labels=LABELS, channels=("T1",), recipe=recipe, folds=(0,))
    path: Path = write_bundle(BundleParts(card, (fold,)), folder / "toy.nxb")
    return open_bundle(path, folder / "cache")


@pytest.mark.parametrize(("name", "precision"), WAYS, ids=[" ".join(way) for way in WAYS])
def test_a_runtime_gives_torchs_probabilities(name, precision, bundle, tmp_path):
    shape = (2, 1, *bundle.recipe.patches.shape)
    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    reference = TorchRuntime(bundle, RuntimeOptions(precision="fp32", threads=1, device="cpu")).run(windows)
    runtime = RUNTIMES.load(name)(bundle, RuntimeOptions(precision=precision, threads=1, device="cpu", cache=tmp_path))
    found = runtime.run(windows)
    assert runtime.precision == precision
    assert found.shape == reference.shape == (2, 3, *bundle.recipe.patches.shape)
    assert found.dtype == np.float32
    for ours, theirs in zip(found, reference, strict=True):
        np.testing.assert_allclose(activate(ours, LABELS), activate(theirs, LABELS), atol=TOLERANCE[precision])


def test_weights_are_stored_once(bundle):
    """Every tensor of the graph that is not tiny lies in the safetensors file."""
    graph = onnx.load(bundle.folds[0].onnx, load_external_data=False).graph
    inside = [tensor.name for tensor in graph.initializer if tensor.data_location != onnx.TensorProto.EXTERNAL]
    assert len(inside) < len(graph.initializer)
    assert all(math.prod(tensor.dims) < 16 for tensor in graph.initializer if tensor.name in inside)
    constants = sum(attribute.t.ByteSize() for node in graph.node for attribute in node.attribute)
    assert constants < 0.1 * bundle.folds[0].weights.stat().st_size  # matrices that interpolate, above all


def test_every_network_has_a_bottleneck_that_tells_scans_apart(bundle) -> None:
    found, shape = Bottleneck(bundle), bundle.recipe.patches.shape
    grid = Grid(shape, np.eye(4))
    first, second = (
        found.describe(Volume(np.random.default_rng(seed).gamma(2, 1 + seed, (1, *shape)).astype(np.float32), grid))
        for seed in range(2)
    )
    assert first.shape == (found.features,)
    assert found.features >= 16
    assert not np.allclose(first, second)
