"""Small models of random weights, to be exported for a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.networks.catalog import NETWORKS, OPTIONS
from neuraxis.networks.topology import plan_topology
from neuraxis.recipe.wishes import resolve

LABELS = Labels(names={"background": 0, "a": 1, "b": 2}, colours={"b": "#102030"})
MakeBundle = Callable[..., ModelBundle]


@pytest.fixture(scope="session")
def onnxruntime_web() -> Path:
    """The folder with the built files of ONNX Runtime Web, which runs networks in pages; .ci/run fetches it."""
    place = Path(__file__).parents[3] / ".ort" / "node_modules" / "onnxruntime-web" / "dist"
    if not place.is_dir():
        pytest.skip("no onnxruntime-web: npm install --prefix .ort onnxruntime-web@1.30.0")
    return place


@pytest.fixture
def make_bundle(tmp_path: Path) -> MakeBundle:
    """Writes and opens a bundle of three stages: `make_bundle(network, patch, spacing, channels, labels)`."""

    def make(
        network: str,
        patch: tuple[int, int, int],
        spacing: tuple[float, float, float] = (1.0, 1.0, 1.0),
        channels: tuple[str, ...] = ("T1", "T2"),
        labels: Labels = LABELS,
    ) -> ModelBundle:
        flat = patch.index(1) if 1 in patch else None
        options = OPTIONS.load(network).planned(plan_topology(patch, spacing, max_stages=3), 4, 8, flat)
        decisions: dict[str, Any] = {
            "preparation": {"spacing_mm": list(spacing), "normalisation": dict.fromkeys(channels, "zscore")},
            "patches": {"shape": list(patch)},
            "network": {"name": network, "options": options.model_dump(mode="json")},
        }
        recipe = resolve(decisions)
        torch.manual_seed(0)
        built = NETWORKS.load(network)(recipe.network.typed_options(), len(channels), len(labels.outputs))
        for parameter in built.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        files = export_fold(built, recipe, channels, 0, tmp_path / "fold")
        card = Card(name="toy", labels=labels, channels=channels, recipe=recipe, folds=(0,))
        path = write_bundle(BundleParts(card, (files,)), tmp_path / f"{network}.nxb", overwrite=True)
        return open_bundle(path, tmp_path / "cache")

    return make
