"""A toy dataset, and a model of two folds that has learned it well enough for its Dice to mean something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuraxis.bundle.bundle import BundleParts, ModelBundle, open_bundle, write_bundle
from neuraxis.bundle.card import Card
from neuraxis.bundle.export import export_fold
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import hash_folds
from neuraxis.inference.runtimes import openvino as runtime
from neuraxis.networks.catalog import NETWORKS
from neuraxis.pipelines.int8.quantise import QuantiseOptions, quantise_bundle
from neuraxis.pipelines.steps import choose_folds
from neuraxis.preparation.prepare import prepare_case
from neuraxis.recipe.recipe import Recipe
from neuraxis.recipe.wishes import resolve
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

STEPS = 80


@pytest.fixture(autouse=True)
def able(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches are the test's own, and every processor is taken for one that has int8."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "processor_has_int8", lambda: True)


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six cases, a bright cube and a dim slab in noise, larger than a window."""
    folder = tmp_path_factory.mktemp("int8") / "toy"
    generator = np.random.default_rng(0)
    for number in range(6):
        label = np.zeros((20, 18, 16), np.uint8)
        label[3 : 9 + number % 3, 4:10, 3:9] = 1
        label[12:16, 6 : 12 + number % 2, 4:12] = 2
        image = 100 + 40 * (label == 1) - 30 * (label == 2) + generator.normal(0, 5, label.shape)
        _write(folder / "imagesTr" / f"sub-{number}_0000.nii.gz", image.astype(np.float32))
        _write(folder / "labelsTr" / f"sub-{number}.nii.gz", label)
    names = {"background": 0, "cube": 1, "slab": 2}
    description = {"channel_names": {"0": "T2"}, "labels": names, "numTraining": 6, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


@pytest.fixture(scope="session")
def trained(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two of three folds; its card has the hashes of the toy's data and splits."""
    folder = tmp_path_factory.mktemp("trained")
    dataset = open_dataset(toy)
    recipe = resolve(
        {
            "preparation": {"spacing_mm": [1, 1, 1], "normalisation": {"T2": "zscore"}},
            "patches": {"shape": [16, 16, 8], "foreground": 0.5},
            "network": {"options": {"features": [4, 8], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}},
            "splits": {"folds": 3},
        }
    )
    splits = choose_folds(dataset, recipe)
    folds = tuple(export_fold(_learn(dataset, recipe, seed), recipe, ("T2",), seed, folder) for seed in (0, 2))
    hashes = {"data_hash": dataset.content_hash(), "split_hash": hash_folds(splits)}
    card = Card(name="toy", labels=dataset.labels, channels=("T2",), recipe=recipe, folds=(0, 2), **hashes)
    return write_bundle(BundleParts(card, folds), folder / "toy.nxb")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Caches of what the session makes once."""
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(place))
        patch.setattr(runtime, "processor_has_int8", lambda: True)
        yield place


@pytest.fixture(scope="session")
def quantised(trained: Path, toy: Path, home: Path) -> ModelBundle:
    """The model with int8 networks."""
    return quantise_bundle(trained, toy, trained.with_name("int8.nxb"), QuantiseOptions(patches=6))


@pytest.fixture
def without(trained: Path, tmp_path: Path) -> Callable[..., ModelBundle]:
    """The model with keys of its card changed."""

    def changed(**changes: Any) -> ModelBundle:
        bundle = open_bundle(trained)
        card = Card.model_validate({**bundle.card, **changes})
        return open_bundle(write_bundle(BundleParts(card, bundle.folds), tmp_path / "changed.nxb", overwrite=True))

    return changed


def _learn(dataset: Dataset, recipe: Recipe, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = NETWORKS.load("unet")(recipe.network.typed_options(), 1, 3).train()
    steps = torch.optim.Adam(network.parameters(), 0.02)
    prepared = [prepare_case(case, dataset, recipe.preparation) for case in dataset.cases[:2]]
    images = torch.stack([torch.from_numpy(case.image[:, :16, :16]) for case in prepared])
    targets = torch.stack([torch.from_numpy(case.target[0, :16, :16].astype(np.int64)) for case in prepared])
    for _ in range(STEPS):
        logits = network(images)
        loss = torch.nn.functional.cross_entropy(logits[0] if isinstance(logits, list) else logits, targets)
        steps.zero_grad()
        loss.backward()
        steps.step()
    return network.eval()


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, Volume(array[None], Grid(array.shape, np.eye(4))))
