"""Models that were planned differently are averaged on the scan's own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.labels import Labels
from neuraxis.inference.ensemble import average
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.preparation.steps import Restored
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

REGIONS = Labels(names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)}, paint=(1, 2))


def scan() -> Volume:
    array = np.random.default_rng(0).uniform(0, 10, (1, 9, 7, 6)).astype(np.float32)
    grid = Grid(array.shape[1:], np.eye(4))
    return Volume(array, grid, Stored.of(grid), "scan.nii.gz")


def above(threshold: float, steepness: float = 1.0) -> Callable[[np.ndarray], np.ndarray]:
    def network(windows: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros_like(windows[:, 0]), steepness * (windows[:, 0] - threshold)], axis=1)

    return network


@pytest.fixture
def make(model: Callable[..., ModelBundle], arithmetic: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    networks = {"fine": arithmetic(above(3)), "coarse": arithmetic(above(6, steepness=4))}
    monkeypatch.setattr(Predictor, "_load", lambda self, fold: networks[self.bundle.name])

    def build(**decisions: Any) -> tuple[ModelBundle, ModelBundle]:
        fine = replace(model(**decisions), name="fine")
        coarse = replace(model(preparation={"spacing_mm": [2, 2, 2]}, patches={"shape": [2, 4, 4]}), name="coarse")
        return fine, coarse

    return build


def test_the_mean_of_the_models_probabilities_decides(make: Any) -> None:
    fine, coarse = make()
    kept = PredictorOptions(probabilities=True)
    alone = [Predictor(bundle, kept).predict(scan()).probability.array for bundle in (fine, coarse)]
    mean = np.mean(np.array(alone, np.float32), axis=0)

    found = Predictor(replace(fine, members=(coarse,)), kept).predict(scan())
    plain = Predictor(replace(fine, members=(coarse,))).predict(scan())

    np.testing.assert_array_equal(found.segmentation.array[0], mean.argmax(axis=0))
    np.testing.assert_allclose(found.probability.array, mean, atol=1e-3)
    np.testing.assert_array_equal(plain.segmentation.array, found.segmentation.array)
    assert plain.probability is None
    assert any((alone[0].argmax(axis=0) != mean.argmax(axis=0)).ravel())


def test_the_sidecar_names_every_model(make: Any) -> None:
    fine, coarse = make()
    told = Predictor(replace(fine, members=(coarse,))).predict(scan()).sidecar()

    assert (told["model"], [member["model"] for member in told["members"]]) == ("fine", ["coarse"])
    assert told["members"][0]["tiling"]["window"] == [2, 4, 4]


def test_rules_are_applied_to_what_all_models_found(make: Any) -> None:
    fine, coarse = make(postprocessing={"min_volume_mm3": {"lesion": 1000.0}})

    found = Predictor(replace(fine, members=(coarse,))).predict(scan())

    assert not found.segmentation.array.any()
    assert found.sidecar()["postprocessing"]["changes"]["lesion"]["removed_components"] > 0


def test_regions_above_one_half_of_the_mean_are_painted() -> None:
    probabilities = [np.array([[0.9, 0.4], [0.3, 0.8]]), np.array([[0.2, 0.5], [0.6, 0.6]])]
    found = [Restored(np.zeros((2, 1, 1)), each.reshape(2, 2, 1, 1).astype(np.float16)) for each in probabilities]

    assert average(found, REGIONS).segmentation.ravel().tolist() == [1, 2]


def test_without_probabilities_nothing_is_averaged() -> None:
    with pytest.raises(ValueError, match="Without probabilities"):
        average([Restored(np.zeros((1, 1, 1)), None)], REGIONS)
    with pytest.raises(ValueError, match="Without a prediction"):
        average([], REGIONS)
