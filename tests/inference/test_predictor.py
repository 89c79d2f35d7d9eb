"""A predictor cuts, runs, merges and returns to the scan's own grid; the networks here are arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.errors import BundleError, DataError, ResourceError, UnknownName
from neuraxis.inference import predictor as predictor_module
from neuraxis.inference import tiling
from neuraxis.inference.predictor import Predictor, PredictorOptions, _choose_runtime
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume


def brighter_than_5(windows: np.ndarray) -> np.ndarray:
    """Logits of background and lesion: lesion where the first channel is above 5."""
    return np.stack([np.full_like(windows[:, 0], 5), windows[:, 0]], axis=1)


def scan(shape: tuple[int, int, int] = (9, 7, 6), spacing: tuple[float, ...] = (1, 1, 1), seed: int = 0) -> Volume:
    array = np.random.default_rng(seed).uniform(0, 10, (1, *shape)).astype(np.float32)
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    return Volume(array, grid, Stored.of(grid), "scan.nii.gz")


@pytest.mark.parametrize("shape", [(4, 4, 4), (9, 7, 6), (3, 4, 9), (2, 2, 2)])
def test_a_pointwise_network_gives_the_same_in_windows_as_at_once(model, arithmetic, shape):
    volume = scan(shape)
    logits = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).logits(volume.array)
    assert logits.shape == (2, *shape)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, brighter_than_5(volume.array[None])[0], rtol=1e-5)


def test_the_segmentation_lies_on_the_scans_own_grid(model, arithmetic):
    volume = scan()
    found = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(volume)
    assert found.segmentation.grid is volume.grid
    assert found.segmentation.stored is volume.stored
    assert found.segmentation.array.dtype == np.uint8
    np.testing.assert_array_equal(found.segmentation.array, volume.array > 5)


def test_the_result_does_not_depend_on_how_many_windows_run_at_once(model, arithmetic):
    volume = scan((11, 9, 8))
    one, four = arithmetic(brighter_than_5, batch=1), arithmetic(brighter_than_5, batch=4)
    first = Predictor(model(), runtimes=[one]).logits(volume.array)
    second = Predictor(model(), runtimes=[four]).logits(volume.array)
    assert set(one.batches) == {1}
    assert set(four.batches[:-1]) == {4}
    assert sum(one.batches) == sum(four.batches)
    np.testing.assert_array_equal(first, second)


def test_mirrored_windows_are_averaged(model, arithmetic):
    ramp = np.arange(4.0).reshape(1, 1, 4, 1, 1)

    def slanted(windows: np.ndarray) -> np.ndarray:
        return np.concatenate([windows * 0, windows * 0 + ramp], axis=1)

    bundle = model(inference={"mirror_axes": [0]})
    logits = Predictor(bundle, runtimes=[arithmetic(slanted)]).logits(np.ones((1, 4, 4, 4), np.float32))
    np.testing.assert_allclose(logits[1], 1.5, rtol=1e-6)


def test_two_mirror_axes_make_four_passes(model, arithmetic):
    runtime = arithmetic(brighter_than_5)
    Predictor(model(), PredictorOptions(mirror_axes=(0, 2)), [runtime]).logits(np.ones((1, 4, 4, 4), np.float32))
    assert len(runtime.batches) == 4


def test_folds_are_averaged_as_probabilities(model, arithmetic):
    def sure_of(logit: float):
        return lambda windows: np.concatenate([windows * 0, windows * 0 + logit], axis=1)

    bundle = model()
    bundle = replace(bundle, folds=(bundle.folds[0], replace(bundle.folds[0], index=1)))
    runtimes = [arithmetic(sure_of(np.log(9.0))), arithmetic(sure_of(np.log(1 / 3)))]
    found = Predictor(bundle, PredictorOptions(probabilities=True), runtimes).predict(scan())
    np.testing.assert_allclose(found.probability.array[1], (0.9 + 0.25) / 2, atol=1e-3)
    np.testing.assert_allclose(found.probability.array[0], (0.1 + 0.75) / 2, atol=1e-3)
    assert found.provenance["folds"] == [0, 1]


def test_folds_of_overlapping_regions_are_averaged_as_probabilities(model, arithmetic):
    tumour = Labels(names={"background": 0, "oedema": 1, "core": 2}, regions={"whole": (1, 2), "core": (2,)})

    def sure_of(whole: float, core: float):
        return lambda windows: np.concatenate([windows * 0 + whole, windows * 0 + core], axis=1)

    bundle = model(tumour)
    bundle = replace(bundle, folds=(bundle.folds[0], replace(bundle.folds[0], index=1)))
    runtimes = [arithmetic(sure_of(np.log(9.0), -50.0)), arithmetic(sure_of(np.log(1.0), 50.0))]
    found = Predictor(bundle, PredictorOptions(probabilities=True), runtimes).predict(scan())
    np.testing.assert_allclose(found.probability.array[0], 0.7, atol=1e-3)
    np.testing.assert_allclose(found.probability.array[1], 0.5, atol=1e-3)


def test_no_probabilities_are_kept_unless_asked_for(model, arithmetic):
    assert Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(scan()).probability is None


def test_an_empty_segmentation_is_warned_about(model, arithmetic):
    volume = scan()
    found = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(volume.with_array(volume.array / 10))
    assert not found.segmentation.array.any()
    assert found.warnings == ("Nothing was found: the segmentation is empty.",)


def test_a_scan_smaller_than_the_window_is_warned_about(model, arithmetic):
    found = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(scan((3, 7, 6)))
    assert found.warnings == (
        "The prepared scan of 3 x 7 x 6 voxels is smaller than the model's window of 4 x 4 x 4: zeros were added.",
    )


@pytest.mark.parametrize(("size", "warned"), [(3, False), (2, True)])
def test_a_small_scan_is_warned_about_only_where_the_training_scans_were_larger(model, arithmetic, size, warned):
    trained = {"training_data": {"median_shape": [6, 12, 12], "median_spacing_mm": [0.5, 0.5, 0.5]}}
    bundle = replace(model(), card=trained)
    found = Predictor(bundle, runtimes=[arithmetic(brighter_than_5)]).predict(scan((size, 6, 6)))
    assert bool(found.warnings) == warned


def test_a_scan_of_another_spacing_comes_back_in_its_own_voxels(model, arithmetic):
    volume = scan((8, 8, 4), spacing=(1, 1, 3))
    volume.array[:] = np.where(np.arange(8)[:, None, None] < 4, 0.0, 9.0)
    found = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).predict(volume)
    np.testing.assert_array_equal(found.segmentation.array[0], volume.array[0] > 5)
    assert any("spacing" in warning for warning in found.warnings)


def test_a_sidecar_can_tell_what_made_the_prediction(model, arithmetic):
    told = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).provenance()
    assert (told["model"], told["model_hash"], told["precision"]) == ("toy", "0123", "fp32")
    assert told["versions"]["engine"] == "arithmetic 1"
    assert told["tiling"] == {"window": [4, 4, 4], "overlap": 0.5, "mirror_axes": []}


def test_a_network_that_gives_nan_is_refused(model, arithmetic):
    broken = arithmetic(lambda windows: np.concatenate([windows, windows * np.nan], axis=1))
    with pytest.raises(BundleError, match="NaN or infinity in fp32"):
        Predictor(model(), runtimes=[broken]).predict(scan())


def test_a_refused_scan_is_told_before_the_network_runs(model, arithmetic):
    runtime = arithmetic(brighter_than_5)
    volume = scan()
    with pytest.raises(DataError, match=r"scan.nii.gz"):
        Predictor(model(), runtimes=[runtime]).predict(volume.with_array(volume.array * 0))
    assert runtime.batches == []


def test_where_memory_is_short_the_sum_is_kept_on_disk_with_the_same_result(model, arithmetic, monkeypatch):
    image = scan().array
    usual = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).logits(image)
    monkeypatch.setattr(tiling, "available_memory_gb", lambda: 1e-6)
    scarce = Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).logits(image)
    assert isinstance(scarce, np.memmap)
    np.testing.assert_array_equal(scarce, usual)


def test_where_neither_memory_nor_disk_suffice_it_is_said(model, arithmetic, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tiling, "available_memory_gb", lambda: 1e-6)
    monkeypatch.setattr(tiling.os, "posix_fallocate", full)
    with pytest.raises(ResourceError, match="GiB, more than memory and"):
        Predictor(model(), runtimes=[arithmetic(brighter_than_5)]).logits(scan().array)


def test_flat_windows_are_background_without_being_run_where_the_model_says_so(model, arithmetic):
    volume = scan((4, 4, 16))
    volume.array[..., 8:] = -7.0
    careful, quick = arithmetic(brighter_than_5), arithmetic(brighter_than_5)
    every = Predictor(model(), runtimes=[careful]).predict(volume)
    found = Predictor(model(inference={"skip_flat": True}), runtimes=[quick]).predict(volume)
    assert (sum(careful.batches), sum(quick.batches)) == (7, 4)
    np.testing.assert_array_equal(found.segmentation.array, every.segmentation.array)


def test_a_window_flat_in_one_channel_alone_is_run(model, arithmetic):
    bundle = model(channels=("T1", "T2"), inference={"skip_flat": True})
    runtime = arithmetic(brighter_than_5)
    image = np.stack([np.zeros((4, 4, 4)), np.arange(64).reshape(4, 4, 4)]).astype(np.float32)
    Predictor(bundle, runtimes=[runtime]).logits(image)
    assert runtime.batches == [1]


def test_skipped_windows_of_regions_hold_none(model, arithmetic):
    tumour = Labels(names={"background": 0, "core": 1}, regions={"core": (1,)})
    runtime = arithmetic(lambda windows: windows)
    logits = Predictor(model(tumour, inference={"skip_flat": True}), runtimes=[runtime]).logits(
        np.full((1, 4, 4, 4), 9.0)
    )
    assert runtime.batches == []
    assert (logits < -5).all()


def test_progress_counts_windows_mirrors_and_folds(model, arithmetic):
    class Told:
        total = done = 0

        def stage(self, name: str, total: int):
            self.total = total
            return self

        def __enter__(self):
            return self

        def __exit__(self, *_: object) -> None: ...

        def advance(self, amount: int = 1, note: str = "") -> None:
            self.done += amount

    told = Told()
    predictor = Predictor(model(), PredictorOptions(mirror_axes=(1,), overlap=0.0), [arithmetic(brighter_than_5)] * 2)
    predictor.logits(np.ones((1, 8, 4, 4), np.float32), told)
    assert (told.total, told.done) == (8, 8)


def test_openvino_is_chosen_on_processors_and_torch_elsewhere(model, monkeypatch):
    bundle = model()
    without_onnx = replace(bundle, folds=(replace(bundle.folds[0], onnx=None),))
    monkeypatch.setattr(predictor_module, "_torch_has_gpu", lambda: False)
    assert _choose_runtime(bundle, PredictorOptions()) == "openvino"
    assert _choose_runtime(bundle, PredictorOptions(device="cpu")) == "openvino"
    assert _choose_runtime(bundle, PredictorOptions(device="cuda")) == "torch"
    assert _choose_runtime(without_onnx, PredictorOptions()) == "torch"
    monkeypatch.setattr(predictor_module, "_torch_has_gpu", lambda: True)
    assert _choose_runtime(bundle, PredictorOptions()) == "torch"
    assert _choose_runtime(bundle, PredictorOptions(device="cpu")) == "openvino"
    assert _choose_runtime(bundle, PredictorOptions(precision="int8")) == "openvino", "torch has no int8"


def test_a_misspelt_runtime_is_answered_with_the_nearest_one(model):
    with pytest.raises(UnknownName, match=r"No runtime is called 'openvinno'. Did you mean 'openvino'"):
        Predictor(model(), PredictorOptions(runtime="openvinno"))
