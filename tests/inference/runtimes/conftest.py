"""A real bundle with a tiny U-Net of random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.networks.catalog import NETWORKS
from neuraxis.recipe.wishes import resolve


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    """Two folds of a U-Net with two channels and three outputs."""
    folder = tmp_path_factory.mktemp("bundle")
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"FLAIR": "zscore", "T1": "zscore"}},
            "patches": {"shape": [16, 16, 8]},
            "network": {
                "options": {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]},
            },
        }
    )
    folds = []
    for index in (0, 1):
        torch.manual_seed(index)
        network = NETWORKS.load("unet")(recipe.network.typed_options(), 2, 3)
        folds.append(export_fold(network, recipe, ("FLAIR", "T1"), index, folder))
    labels = Labels(names={"background": 0, "anterior": 1, "posterior": 2})
    card = Card(name="tiny", labels=labels, channels=("FLAIR", "T1"), recipe=recipe, folds=(0, 1))
    path: Path = write_bundle(BundleParts(card, tuple(folds)), folder / "tiny.nxb")
    return open_bundle(path, folder / "cache")
