"""The TorchScript file computes what our predictor computes around a window, and says nothing of our code."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import neuraxis as nx
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.exports import torchscript
from neuraxis.bundle.exports.torchscript import script_of, write_script
from neuraxis.bundle.weights import read_weights
from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError
from neuraxis.inference.predictor import Predictor, PredictorOptions

REGIONS = Labels(names={"oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})
CASES = [
    pytest.param({}, id="one fold"),
    pytest.param({"inference": {"mirror_axes": [0, 2]}}, id="mirrored"),
    pytest.param(
        {"folds": 2, "preparation": {"axes": [2, 0, 1]}, "inference": {"mirror_axes": [1]}}, id="ensemble, turned"
    ),
    pytest.param({"folds": 2, "labels": REGIONS}, id="ensemble of regions"),
    pytest.param({"folds": 2, "inference": {"arithmetic": "nnunet"}}, id="ensemble of logits"),
]


@pytest.fixture
def bundle(tmp_path: Path, write_model: Callable[..., Path]) -> Callable[..., ModelBundle]:
    return lambda **wanted: nx.open_bundle(write_model(tmp_path / "toy.nxb", **wanted))


@pytest.mark.parametrize("wanted", CASES)
def test_a_window_gets_the_logits_of_our_predictor(
    wanted: dict[str, Any], bundle: Callable[..., ModelBundle], tmp_path: Path
) -> None:
    model = bundle(**wanted)
    write_script(script_of(model), tmp_path / "model.ts", {})
    script = torch.jit.load(str(tmp_path / "model.ts"))
    axes = model.recipe.preparation.axes
    window = np.random.default_rng(0).normal(size=(1, *model.recipe.patches.shape)).astype(np.float32)
    expected = Predictor(model, PredictorOptions(runtime="torch", precision="fp32")).logits(window)
    back = [0, *(1 + axes.index(axis) for axis in range(3))]  # from the network's axes to the scan's
    with torch.no_grad():
        found = script(torch.from_numpy(window.transpose(back).copy())[None])[0].numpy()
    expected = expected.transpose(back)
    rounded = model.recipe.inference.arithmetic == "nnunet"  # to what float16 holds, at the edges to few digits
    if rounded:
        found, expected = (logits[:, 4:12, 4:12, 5:15] for logits in (found, expected))
    np.testing.assert_allclose(found, expected, atol=0.02 if rounded else 1e-4)


def test_each_fold_of_an_ensemble_can_be_run_by_itself(bundle: Callable[..., ModelBundle], tmp_path: Path) -> None:
    model = bundle(folds=3)
    write_script(script_of(model), tmp_path / "model.ts", {})
    folds = list(torch.jit.load(str(tmp_path / "model.ts")).folds.children())
    image = torch.randn(1, 1, *model.recipe.patches.shape)
    with torch.no_grad():
        logits = [fold(image) for fold in folds]
    assert len(folds) == 3
    assert not torch.allclose(logits[0], logits[1])
    for fold, found in zip(model.folds, logits, strict=True):
        alone = Predictor(model, PredictorOptions(runtime="torch", precision="fp32", folds=(fold.index,)))
        np.testing.assert_allclose(found[0].numpy(), alone.logits(image[0].numpy()), atol=1e-4)


def test_the_state_is_that_of_the_bundle_by_the_same_names(bundle: Callable[..., ModelBundle]) -> None:
    model = bundle()
    state, weights = script_of(model).state_dict(), read_weights(model.folds[0].weights)
    assert set(state) == set(weights)
    assert all(np.array_equal(state[name].numpy(), weights[name]) for name in weights)


def test_it_names_no_code_of_ours_and_no_place_of_this_machine(
    bundle: Callable[..., ModelBundle], tmp_path: Path
) -> None:
    residual = {"name": "residual-unet", "options": {"blocks": [1, 1]}}
    script = script_of(bundle(folds=2, network=residual, inference={"mirror_axes": [0]}))
    write_script(script, tmp_path / "model.ts", {"note.txt": "a note"})
    with zipfile.ZipFile(tmp_path / "model.ts") as archive:
        names = archive.namelist()
        content = b"".join(archive.read(name) for name in names)
    root = str(Path(torchscript.__file__).parents[4]).encode()
    assert b"neuraxis" not in content
    assert root not in content
    assert b"site-packages" not in content
    assert not [name for name in names if "neuraxis" in name or name.endswith("debug_pkl")]
    notes = {"note.txt": ""}
    torch.jit.load(str(tmp_path / "model.ts"), _extra_files=notes)
    assert notes == {"note.txt": b"a note"}
    assert [path.name for path in tmp_path.glob("*model.ts*")] == ["model.ts"]


class Fickle(nn.Module):
    """A network that does with one image otherwise than with several."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv3d(1, 3, 1), nn.Conv3d(1, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.one(image) if len(image) == 1 else self.other(image)


def test_a_network_that_cannot_be_recorded_is_refused(
    bundle: Callable[..., ModelBundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = bundle()
    torch.manual_seed(0)
    network = Fickle().eval()
    monkeypatch.setattr(torchscript, "_network", lambda *_: network)
    with pytest.raises(BundleError, match=r"as TorchScript, the network 'unet' gives other logits"):
        script_of(model)


def test_weights_of_another_network_are_refused(bundle: Callable[..., ModelBundle]) -> None:
    model = bundle()
    wider = {"features": [3, 5], "kernels": [[3, 3, 3]] * 2, "strides": [[1, 1, 1], [2, 2, 2]]}
    network = type(model.recipe.network)(name="unet", options=wider)
    object.__setattr__(model, "recipe", model.recipe.model_copy(update={"network": network}))
    with pytest.raises(BundleError, match="the weights of fold 0 do not fit the network 'unet'"):
        script_of(model)
