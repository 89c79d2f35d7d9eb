"""Every network of the catalog: `fit` trains it, its loss falls, and its bundle segments."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.cli.main import run
from neuraxis.networks.catalog import NETWORKS, OPTIONS, PROMPTED
from neuraxis.networks.topology import plan_topology
from neuraxis.training.curves import read_curves

PATCHES = {"3D": (16, 16, 16), "2D": (16, 16, 1)}


def narrow(name: str, patch: tuple[int, int, int]) -> list[str]:
    """Return what a narrow network of three stages is set to on the command line."""
    flat = patch.index(1) if 1 in patch else None
    planned = OPTIONS.load(name).planned(plan_topology(patch, (1.0, 1.0, 1.0), max_stages=3), 8, 32, flat)
    given = planned.model_dump(mode="json", exclude_none=True)
    return [f"network.options.{key}={json.dumps(value)}" for key, value in given.items()]


@pytest.mark.long
@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES)
@pytest.mark.parametrize("name", [name for name in NETWORKS.names() if name not in PROMPTED])
def test_fit_learns_and_the_bundle_segments(name, patch, toy_dataset, toy_settings, tmp_path: Path) -> None:
    kept = [setting for setting in toy_settings if not setting.startswith(("network.", "patches.", "training."))]
    settings = [*kept, f"network.name={name}", *narrow(name, patch), f"patches.shape={json.dumps(patch)}"]
    settings += [
        "training.steps=60",
        "training.validations=3",
        "training.ema_decay=0.9",
        "training.learning_rate=0.003",
    ]
    words = [word for setting in settings for word in ("--set", setting)]

    fitted = run(["fit", str(toy_dataset), "--into", str(tmp_path / "run"), "--device", "cpu", *words])
    scan = next((toy_dataset / "imagesTr").glob("*.nii.gz"))
    segmented = run(["segment", str(scan), "--model", str(tmp_path / "run/model.nxb"), "--into", str(tmp_path / "out")])

    assert (fitted, segmented) == (0, 0)
    losses = [float(row["validation_loss"]) for row in read_curves(tmp_path / "run/curves.csv")]
    assert losses[-1] < losses[0] - 0.1
    labels = np.asarray(nib.load(next((tmp_path / "out").rglob("*.nii.gz"))).dataobj)
    assert labels.shape == nib.load(scan).shape
    assert {*np.unique(labels)} <= {0, 1, 2}
    assert 0 < (labels > 0).mean() < 0.5
