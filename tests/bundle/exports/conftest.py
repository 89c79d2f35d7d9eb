"""Small models of random weights that other programs shall run, and scans for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy import ndimage

from neuraxis.bundle.bundle import BundleParts, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.labels import Labels
from neuraxis.networks.catalog import NETWORKS
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import overlay, resolve

PLAIN = Labels(names={"background": 0, "ball": 3, "shell": 7})


def recipe_of(channels: tuple[str, ...], decisions: dict[str, Any]) -> Recipe:
    """A U-Net of two stages that sees a small scan in one window, with some decisions changed."""
    network = {"features": [3, 4], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}
    base = {
        "preparation": {"spacing_mm": [1.2, 1.2, 2.0], "normalisation": dict.fromkeys(channels, "zscore")},
        "patches": {"shape": [16, 16, 20]},
        "network": {"options": network},
    }
    return resolve(overlay(base, decisions))


def make_model(
    path: Path, labels: Labels = PLAIN, channels: tuple[str, ...] = ("T2",), folds: int = 1, **decisions: Any
) -> Path:
    """Write a bundle whose folds have random weights of their own; what is no branch of the recipe goes on the card."""
    card = {key: decisions.pop(key) for key in list(decisions) if key in Card.model_fields}
    recipe = recipe_of(channels, decisions)
    files = []
    for index in range(folds):
        torch.manual_seed(index)
        build = NETWORKS.load(recipe.network.name)
        network = build(recipe.network.typed_options(), len(channels), len(labels.outputs))
        balance(network, torch.randn(1, len(channels), *recipe.patches.shape))
        files.append(export_fold(network, recipe, channels, index, path.parent / f"{path.stem}-folds"))
    about = {"name": "toy", "modality": dict.fromkeys(channels, "MRI"), **card}
    whole = Card(labels=labels, channels=channels, recipe=recipe, folds=tuple(range(folds)), **about)
    return write_bundle(BundleParts(whole, tuple(files)), path, overwrite=True)


def balance(network: Any, image: torch.Tensor) -> None:
    """Give every parameter a number of its own, and every output its share of the voxels."""
    for parameter in network.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    with torch.no_grad():
        network.heads[0].bias -= network.eval()(image).mean((0, 2, 3, 4))


def make_scan(path: Path, seed: int = 0) -> Path:
    """Write a scan of thick slices, with soft structure, a border of zeros, and axes to the left, front and head."""
    drawn = np.random.default_rng(seed)
    image = ndimage.gaussian_filter(drawn.normal(size=(20, 18, 11)), (1.5, 1.5, 0.7))
    image = (1000 * (image - image.min())).astype(np.int16) + 1
    image[:3] = image[:, -2:] = image[..., :1] = 0
    affine = np.diag([-0.8, 0.9, 2.5, 1.0])
    affine[:3, 3] = (30, -12, 4)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(image, affine), path)
    return path


@pytest.fixture(scope="session")
def write_model() -> Callable[..., Path]:
    """Writes a bundle: `write_model(path, labels, channels, folds, **decisions)`."""
    return make_model


@pytest.fixture(scope="session")
def write_scan() -> Callable[..., Path]:
    """Writes a scan: `write_scan(path, seed)`."""
    return make_scan


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unpacked bundles go into a cache of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
