"""The networks that attend train, ship and segment as the others do."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.pipelines.fit import FitOptions, fit

SMALL = {"segformer3d": ("network.options.features=[16, 32]", "network.options.heads=[1, 2]")}


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_the_toy_is_learned(name, toy_dataset, toy_settings, tmp_path: Path) -> None:
    kept = [setting for setting in toy_settings if not setting.startswith(("network.", "training.learning"))]
    settings = (*kept, f"network.name={name}", *SMALL[name], "training.steps=150", "training.learning_rate=0.003")

    result = fit([toy_dataset], FitOptions(into=tmp_path / "run", settings=settings, device="cpu"))

    assert result.scores.mean("dice") > 0.7
