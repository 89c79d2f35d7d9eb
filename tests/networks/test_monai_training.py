"""The networks of MONAI train, ship and segment as our own do."""

from __future__ import annotations

from pathlib import Path

import pytest

import neuraxis as nx
from neuraxis.pipelines.fit import FitOptions, fit

WIDTHS = {"segresnet": "network.options.first_width=8", "monai-unet": "network.options.features=[8, 16]"}


@pytest.mark.long
@pytest.mark.parametrize("name", WIDTHS)
def test_the_toy_is_learned_and_exported_for_monai(name, toy_dataset, toy_settings, tmp_path: Path) -> None:
    kept = [setting for setting in toy_settings if not setting.startswith("network.")]
    settings = (*kept, f"network.name={name}", WIDTHS[name], "training.steps=60", "loss.deep_supervision=false")

    result = fit([toy_dataset], FitOptions(into=tmp_path / "run", settings=settings, device="cpu"))

    assert result.scores.mean("dice") > 0.7
    assert (nx.export_bundle(result.bundle, tmp_path / "monai", "monai") / "models" / "model.ts").is_file()
