"""Two stages, one prediction: the second sees the scan and what the first found in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.inference import predictor as predictor_module
from neuraxis.inference.cascade import NOTHING
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

TWO = Labels(names={"background": 0, "dark": 1, "bright": 2})


def scan(shape: tuple[int, int, int] = (9, 7, 6), spacing: tuple[float, ...] = (1, 1, 1)) -> Volume:
    array = np.random.default_rng(0).uniform(1, 10, (1, *shape)).astype(np.float32)
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    return Volume(array, grid, Stored.of(grid), "scan.nii.gz")


def dark_or_bright(windows: np.ndarray) -> np.ndarray:
    """The first stage: below 3 is dark, above 7 bright."""
    image = windows[:, 0]
    return np.stack([np.full_like(image, 0.5), 3.5 - image, image - 6.5], axis=1)


def where_bright(windows: np.ndarray) -> np.ndarray:
    """The second stage: a lesion where the first said bright and the scan is above 8."""
    image, _, bright = windows.swapaxes(0, 1)
    return np.stack([np.zeros_like(image), np.where(bright == 1, image - 8, -1)], axis=1)


@pytest.fixture
def cascade(model: Callable[..., ModelBundle], arithmetic: Any, monkeypatch: pytest.MonkeyPatch) -> ModelBundle:
    networks = {"first": arithmetic(dark_or_bright), "second": arithmetic(where_bright)}
    monkeypatch.setattr(Predictor, "_load", lambda self, fold: networks[self.bundle.name])
    first = replace(model(TWO), name="first", hash="f1")
    first = replace(first, folds=(first.folds[0], replace(first.folds[0], index=3)))
    return replace(model(), name="second", previous_labels=(1, 2), previous=first)


def test_the_second_stage_sees_the_scan_and_what_the_first_found(cascade: ModelBundle) -> None:
    volume = scan()
    found = Predictor(cascade).predict(volume)
    np.testing.assert_array_equal(found.segmentation.array, volume.array > 8)
    assert found.segmentation.array.any()
    assert found.segmentation.grid is volume.grid
    assert found.labels is cascade.labels
    assert found.warnings == ()


def test_a_scan_prepared_before_gives_the_same(cascade: ModelBundle) -> None:
    predictor, volume = Predictor(cascade), scan()
    first, second = predictor.predict(predictor.prepare(volume)), predictor.predict(volume)
    np.testing.assert_array_equal(first.segmentation.array, second.segmentation.array)


def test_each_stage_works_at_its_own_spacing(cascade: ModelBundle) -> None:
    """The first halves the scan's voxels; where it found something returns to the scan's own before the second."""
    coarse = cascade.previous.recipe.preparation.model_copy(update={"spacing_mm": (2.0, 2.0, 2.0)})
    first = replace(cascade.previous, recipe=cascade.previous.recipe.model_copy(update={"preparation": coarse}))
    volume = scan((8, 8, 8))
    halves = np.repeat([1.0, 9.0], 4).reshape(8, 1, 1)
    volume = volume.with_array(np.broadcast_to(halves, (8, 8, 8))[None].astype(np.float32))

    found = Predictor(replace(cascade, previous=first)).predict(volume)

    np.testing.assert_array_equal(found.segmentation.array, volume.array > 8)


def test_the_scan_is_examined_once(cascade: ModelBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    examined: list[str] = []

    def examine(volume: Volume, bundle: ModelBundle, channels: tuple[str, ...]) -> tuple[str, ...]:
        examined.append(bundle.name)
        return ("odd",)

    monkeypatch.setattr(predictor_module, "examine_scan", examine)
    assert Predictor(cascade).predict(scan()).warnings == ("odd",)
    assert examined == ["second"]


def test_a_scan_of_other_channels_is_refused_before_the_first_stage(cascade: ModelBundle) -> None:
    volume = scan()
    with pytest.raises(DataError, match=r"has 2 channel.*'second' needs 1"):
        Predictor(cascade).predict(volume.with_array(np.repeat(volume.array, 2, axis=0)))


def test_a_first_stage_that_finds_nothing_is_warned_of(cascade: ModelBundle) -> None:
    volume = scan()
    found = Predictor(cascade).predict(volume.with_array(4 + volume.array / 10))
    assert NOTHING in found.warnings


def test_the_sidecar_names_both_models(cascade: ModelBundle) -> None:
    sidecar = Predictor(cascade).predict(scan()).sidecar()
    assert sidecar["model"] == "second"
    stage = sidecar["previous_stage"]
    assert (stage["model"], stage["model_hash"], stage["folds"], stage["precision"]) == ("first", "f1", [0, 3], "fp32")
    assert "previous_stage" not in Predictor(cascade.previous).provenance()


def test_options_hold_for_both_stages_but_folds_and_probabilities(cascade: ModelBundle) -> None:
    options = PredictorOptions(folds=(0,), overlap=0.25, mirror_axes=(1,), probabilities=True)
    found = Predictor(cascade, options).predict(scan())
    first = found.provenance["previous_stage"]
    assert first["tiling"] == found.provenance["tiling"] == {"window": [4, 4, 4], "overlap": 0.25, "mirror_axes": [1]}
    assert (found.provenance["folds"], first["folds"]) == ([0], [0, 3])
    assert found.probability.array.shape == (2, 9, 7, 6)
