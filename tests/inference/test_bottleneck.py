"""Tests of `neuraxis.inference.bottleneck`: against torch, for every network that can be trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.errors import BundleError
from neuraxis.inference.bottleneck import Bottleneck
from neuraxis.networks.catalog import NETWORKS
from neuraxis.patches.grid import window_starts
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


@pytest.fixture
def bundle() -> ModelBundle:
    return open_bundle(MODEL)


def scan(seed: int = 0, shape: tuple[int, int, int] = (13, 8, 6)) -> Volume:
    values = np.random.default_rng(seed).normal(100, 20, (2, *shape)).astype(np.float32)
    return Volume(values, Grid(shape, np.diag([1.0, 1.0, 2.0, 1.0])))


def by_torch(bundle: ModelBundle, volume: Volume, windows: slice = slice(None)) -> np.ndarray:
    """The mean of the encoder's last stage over windows."""
    recipe = bundle.recipe
    network: Any = NETWORKS.load(recipe.network.name)(recipe.network.typed_options(), 2, 3)
    network.load_state_dict(load_file(bundle.folds[0].weights))
    network.eval()
    image = prepare_volume(volume, bundle.channels, recipe.preparation).image
    found = []
    for x, y, z in window_starts(image.shape[1:], recipe.patches.shape, 0.0)[windows]:
        window = torch.from_numpy(np.ascontiguousarray(image[None, :, x : x + 8, y : y + 8, z : z + 4]))
        with torch.no_grad():
            for stage in network.encoder:
                window = stage(window)
        found.append(window.mean(dim=(0, 2, 3, 4)).numpy())
    return np.mean(found, axis=0)


def test_the_features_are_the_mean_of_the_encoders_last_stage(bundle: ModelBundle) -> None:
    found = Bottleneck(bundle)
    assert found.features == 3
    assert found.describe(scan()) == pytest.approx(by_torch(bundle, scan()), abs=1e-5)


def test_a_scan_smaller_than_the_window_is_padded(bundle: ModelBundle) -> None:
    assert np.isfinite(Bottleneck(bundle).describe(scan(shape=(5, 5, 3)))).all()


def test_windows_of_background_are_passed_over(bundle: ModelBundle) -> None:
    small = scan(shape=(8, 8, 4))
    array = np.zeros((2, 16, 8, 4), np.float32)
    array[:, :8] = small.array
    beside = Volume(array, Grid((16, 8, 4), np.diag([1.0, 1.0, 2.0, 1.0])))
    found = Bottleneck(bundle)
    assert found.describe(beside) == pytest.approx(by_torch(bundle, beside, slice(1)), abs=1e-5)
    assert np.isfinite(found.describe(small.with_array(0 * small.array))).all()


def test_a_bundle_without_a_portable_network_is_refused(bundle: ModelBundle) -> None:
    bare = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    with pytest.raises(BundleError, match="has no ONNX file, from which features are taken"):
        Bottleneck(bare)
