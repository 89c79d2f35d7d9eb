"""Bundles that nnU-Net's models became, of 3D and 2D, cascades and ensembles, are explained like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuraxis as nx
from neuraxis.bundle.bundle import open_bundle, parts_of, write_bundle
from neuraxis.pipelines.explaining.explain import ExplainOptions, explain

FIXTURES = Path(__file__).parents[2] / "bundle" / "nnunet" / "fixtures"
MODELS = [
    ("head", "nnUNetTrainer__nnUNetPlans__3d_fullres"),
    ("head", "nnUNetTrainer__nnUNetPlans__2d"),
    ("spine", "nnUNetTrainer__nnUNetResEncUNetMPlans__3d_fullres"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imported")


def looked(bundle, name: str, into: Path):
    """Explain the dataset's first scan; every map lies on its grid, and one of them at least is not empty."""
    results = explain(FIXTURES / name / "scans", bundle, into, ExplainOptions(threads=1, kind="gradcam"))
    assert [result.error for result in results] == [None] * len(results)
    segmentation = nx.read_volume(into / results[0].maps.segmentation)
    arrays = {}
    for one in results[0].maps.gradcam:
        found = nx.read_volume(into / one.file)
        assert found.grid.matches(segmentation.grid, 1e-4)
        assert np.isfinite(found.array).all()
        arrays[one.label] = found.array[0]
    assert any(array.any() for array in arrays.values())
    return results[0].maps, arrays


@pytest.mark.parametrize(("name", "model"), MODELS, ids=[model for _, model in MODELS])
def test_a_model_of_nnunet_is_explained(name, model, home, tmp_path) -> None:
    bundle = nx.import_bundle(FIXTURES / name / model, home / f"{name}-{model}.nxb")

    maps, arrays = looked(bundle, name, tmp_path / "why")

    assert set(arrays) == set(bundle.labels.scored)
    for one in maps.gradcam:
        assert [network["fold"] for network in one.networks] == [fold.index for fold in bundle.folds]
        assert all(network["layer"].startswith("encoder.") for network in one.networks)


def test_of_a_cascade_the_second_stage_is_explained(home, tmp_path) -> None:
    folder = FIXTURES / "trunk" / "nnUNetTrainer__nnUNetPlans__3d_cascade_fullres"
    bundle = nx.import_bundle(folder, home / "trunk.nxb")
    assert bundle.previous is not None

    maps, _ = looked(bundle, "trunk", tmp_path / "why")

    assert {network["model"] for one in maps.gradcam for network in one.networks} == {bundle.name}


def test_an_ensemble_is_explained_by_the_mean_of_its_models(home, tmp_path) -> None:
    name = "head"
    first, second = (
        nx.import_bundle(FIXTURES / name / model, home / f"member-{place}.nxb")
        for place, (_, model) in enumerate(MODELS[:2])
    )
    parts = parts_of(first)
    card = parts.card.model_copy(update={"members": 1})
    path = write_bundle(replace(parts, card=card, members=(second.path,)), tmp_path / "both.nxb")

    maps, _ = looked(open_bundle(path, tmp_path / "cache"), name, tmp_path / "why")

    for one in maps.gradcam:
        models = [network["model"] for network in one.networks]
        assert len(models) == len(first.folds) + len(second.folds)
        assert models[-1] == second.name
