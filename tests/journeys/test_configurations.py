"""Every configuration that the planner offers trains, and segments a scan on the scan's own grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.pipelines.steps import prepare_datasets, train_store
from neuraxis.pipelines.verbs import segment

COARSE = ("configuration=3d_low", "preparation.spacing_mm=[2.0,2.0,2.4]")


@pytest.mark.parametrize(
    ("settings", "patch"), [(("configuration=2d", "patches.batch=3"), (20, 20, 1)), (COARSE, (10, 10, 8))]
)
def test_a_configuration_by_wish_trains_and_segments(
    toy_dataset: Path, tmp_path: Path, settings: tuple[str, ...], patch: tuple[int, int, int]
) -> None:
    quick = ("training.steps=2", "training.validations=1", "splits.folds=2", "training.precision=fp32")
    prepare_datasets([toy_dataset], "auto", (*settings, *quick), tmp_path / "store")
    bundle = train_store(tmp_path / "store", tmp_path / "run")
    recipe = open_bundle(bundle).recipe
    assert recipe.configuration == settings[0].removeprefix("configuration=")
    assert recipe.patches.shape == patch
    found = segment(toy_dataset / "imagesTr" / "toy_01_0000.nii.gz", bundle)
    assert found.segmentation.grid.shape == (20, 18, 16)
