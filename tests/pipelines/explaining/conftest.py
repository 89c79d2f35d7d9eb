"""Bundles of tiny networks with random weights, and a scan that lies obliquely."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.networks.catalog import NETWORKS
from neuraxis.recipe.wishes import overlay, resolve
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

UNET = {"name": "unet", "options": {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}}
MIXTURE = {
    "name": "segformer3d-moe",
    "options": {
        "features": [8, 16], "depths": [1, 1], "heads": [1, 2], "reductions": [[2, 2, 2], [1, 1, 1]],
        "kernels": [[7, 7, 7], [3, 3, 3]], "strides": [[4, 4, 4], [2, 2, 2]], "experts": [4, 3], "chosen": [2, 1],
        "decoder_width": 8,
    },
}  # fmt: skip
PLAIN = Labels(names={"background": 0, "anterior": 1, "posterior": 2})


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ModelBundle]:
    """Makes a bundle; the bias of its outputs is such that each label is found somewhere."""

    def make(network: Any = None, labels: Labels = PLAIN, folds: int = 1, **decisions: Any) -> ModelBundle:
        folder = tmp_path_factory.mktemp("bundle")
        wishes = {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"FLAIR": "zscore"}},
            "patches": {"shape": [16, 16, 16]},
            "network": network or UNET,
        }
        recipe = resolve(overlay(wishes, decisions))
        files = []
        for index in range(folds):
            torch.manual_seed(index)
            made = NETWORKS.load(recipe.network.name)(recipe.network.typed_options(), 1, len(labels.outputs))
            with torch.no_grad():
                for weight in made.parameters():
                    if weight.ndim > 1:
                        weight.mul_(3)
            files.append(export_fold(made, recipe, ("FLAIR",), index, folder))
        card = Card(name="tiny", labels=labels, channels=("FLAIR",), recipe=recipe, folds=tuple(range(folds)))
        path = write_bundle(BundleParts(card, tuple(files)), folder / "tiny.nxb")
        return open_bundle(path, folder / "cache")

    return make


@pytest.fixture(scope="session")
def mixture() -> dict[str, Any]:
    """A small mixture of experts, as a recipe has it."""
    return MIXTURE


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scan of 24 x 20 x 16 voxels, its first axis running to the left, tilted, of 1.2 mm along the last."""
    tilt = np.deg2rad(10)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[-1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine[:3, :3] *= (1, 1, 1.2)
    affine[:3, 3] = (30, -20, 5)
    stored = Stored.of(Grid((24, 20, 16), affine))
    array = np.random.default_rng(0).normal(100, 20, (1, 24, 20, 16)).astype(np.float32)
    array[0, 6:12, 6:12, 4:10] += 200
    path = tmp_path / "scans" / "sub-01_0000.nii.gz"
    path.parent.mkdir()
    volume = Volume(stored.to_canonical(array), stored.canonical_grid, stored)
    nifti.write(path, replace(volume, name=str(path)))
    return path
