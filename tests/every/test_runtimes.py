"""Every runtime gives torch's probabilities within a stated tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.inference.runtimes.catalog import RUNTIMES
from neuraxis.inference.runtimes.options import RuntimeOptions
from neuraxis.inference.runtimes.torch import TorchRuntime
from neuraxis.networks.catalog import NETWORKS
from neuraxis.preparation.steps import activate
from neuraxis.recipe.wishes import resolve

LABELS = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
TOLERANCE = {"fp32": 1e-4, "bf16": 0.03}
FLAT = {"features": [8, 16], "kernels": [[3, 3, 1]] * 2, "strides": [[1, 1, 1], [2, 2, 1]], "flat_axis": 2}
DEEP = {"features": [8, 16, 32], "kernels": [[3, 3, 3]] * 3, "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 1]]}


@pytest.fixture(scope="module", params=["2D", "3D"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """A bundle with a U-Net of random weights."""
    folder = tmp_path_factory.mktemp(request.param)
    flat = request.param == "2D"
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T1": "zscore"}},
            "patches": {"shape": [32, 32, 1] if flat else [16, 16, 8]},
            "network": {"options": FLAT if flat else DEEP},
        }
    )
    torch.manual_seed(0)
    network = NETWORKS.load("unet")(recipe.network.typed_options(), 1, 3)
    fold = export_fold(network, recipe, ("T1",), 0, folder)
    card = Card(name="toy", labels=LABELS, channels=("T1",), recipe=recipe, folds=(0,))
    path: Path = write_bundle(BundleParts(card, (fold,)), folder / "toy.nxb")
    return open_bundle(path, folder / "cache")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", RUNTIMES.names())
def test_a_runtime_gives_torchs_probabilities(name, precision, bundle, tmp_path):
    shape = (2, 1, *bundle.recipe.patches.shape)
    windows = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    reference = TorchRuntime(bundle, RuntimeOptions(precision="fp32", threads=1, device="cpu")).run(windows)
    runtime = RUNTIMES.load(name)(bundle, RuntimeOptions(precision=precision, threads=1, device="cpu", cache=tmp_path))
    found = runtime.run(windows)
    assert found.shape == reference.shape == (2, 3, *bundle.recipe.patches.shape)
    for ours, theirs in zip(found, reference, strict=True):
        np.testing.assert_allclose(activate(ours, LABELS), activate(theirs, LABELS), atol=TOLERANCE[precision])
