"""Two runs of all folds of the toy, planned differently."""

from __future__ import annotations

import pytest

from neuraxis.pipelines.fit import FitOptions
from neuraxis.pipelines.folds.fitting import fit_folds


@pytest.fixture(scope="session")
def two_runs(toy_dataset, toy_settings, tmp_path_factory):
    """A fine and a coarse one, each of two folds."""
    folder = tmp_path_factory.mktemp("two-runs")
    free = [setting for setting in toy_settings if not setting.startswith(("splits", "training.steps", "patches"))]
    plans = {
        "fine": ("patches.shape=[16,16,16]", "training.steps=60"),
        "coarse": ("patches.shape=[8,8,8]", "preparation.spacing_mm=[2,2,2]", "training.steps=40"),
    }
    for name, plan in plans.items():
        fit_folds([toy_dataset], FitOptions(into=folder / name, settings=(*free, *plan), device="cpu"), 2)
    return [folder / name for name in plans]
