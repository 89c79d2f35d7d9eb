"""The networks that attend train, ship and segment as the others do."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.report.curves import panels
from neuraxis.training.curves import read_curves

NARROW = ("network.options.features=[16, 32]", "network.options.heads=[1, 2]")
SMALL = {"segformer3d": NARROW, "segformer3d-moe": NARROW}


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_the_toy_is_learned(name, toy_dataset, toy_settings, tmp_path: Path) -> None:
    kept = [setting for setting in toy_settings if not setting.startswith(("network.", "training.learning"))]
    settings = (*kept, f"network.name={name}", *SMALL[name], "training.steps=150", "training.learning_rate=0.003")

    result = fit([toy_dataset], FitOptions(into=tmp_path / "run", settings=settings, device="cpu"))

    assert result.scores.mean("dice") > 0.7
    curves = read_curves(tmp_path / "run" / "curves.csv")
    experts = {name.rpartition("/")[0] for name in curves[-1] if name.startswith("experts/")}
    stages = {f"experts/{part} {number}" for part in ("stage", "decoder") for number in (1, 2)}
    assert experts == (stages if name.endswith("moe") else set())
    titles = [panel.title for panel in panels(curves)]
    assert ("Experts stage 1" in titles) == name.endswith("moe")
