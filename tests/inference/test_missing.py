"""A model that learned with channels left out serves every subset of them, in every runtime."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.cli.bundle import describe_bundle
from neuraxis.errors import DataError, RecipeError
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.fit import FitOptions, fit
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.pipelines.verbs import segment as segment_one
from neuraxis.volume.formats import nifti

CHANNELS = ("FLAIR", "T1", "T2")
SUBSETS = [subset for size in (1, 2, 3) for subset in combinations(CHANNELS, size)]


def trained(dataset, settings, into, *more):
    changed = tuple(setting for setting in settings if not setting.startswith("training.steps"))
    options = FitOptions(into=into, settings=(*changed, *more), device="cpu")
    return fit([dataset], options).bundle


@pytest.fixture(scope="module")
def bundle(toy_channels, toy_settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "dropout"
    return trained(toy_channels, toy_settings, folder, "training.steps=200", "missing.probability=0.4")


@pytest.fixture(scope="module")
def plain(toy_channels, toy_settings, tmp_path_factory):
    return trained(toy_channels, toy_settings, tmp_path_factory.mktemp("runs") / "plain", "training.steps=2")


def files(dataset, case, subset):
    return [
        f"{name}={dataset / 'imagesTr' / f'{case}_{CHANNELS.index(name):04}.nii.gz'}" for name in subset
    ]  # fmt: skip


def overlap(found, dataset, case):
    label = nifti.read(dataset / "labelsTr" / f"{case}.nii.gz").array[0]
    both = [(found == number, label == number) for number in (1, 2)]
    return min(2 * (given & wanted).sum() / (given.sum() + wanted.sum()) for given, wanted in both)


def test_it_segments_every_subset_alike_in_both_runtimes(bundle, toy_channels, tmp_path):
    case = "toy_00"
    for subset in SUBSETS:
        found = {}
        for runtime in ("openvino", "torch"):
            into = tmp_path / runtime / "-".join(subset) / f"{case}.nii.gz"
            options = SegmentOptions(runtime=runtime, precision="fp32")
            (result,) = segment(files(toy_channels, case, subset), bundle, into, options)
            assert result.exit_code == 0, result.error
            found[runtime] = nifti.read(into).array[0]
        assert (found["openvino"] != found["torch"]).mean() < 0.001
        assert overlap(found["torch"], toy_channels, case) > 0.5, subset
        sidecar = json.loads(into.with_name(f"{case}.json").read_text())
        lacking = [name for name in CHANNELS if name not in subset]
        assert sidecar.get("missing_channels", {}) == dict.fromkeys(lacking, "zeros")
        assert sum("is missing: the model sees zeros" in text for text in sidecar["warnings"]) == len(lacking)
        assert set(sidecar["images"]) == set(subset)


def test_a_folder_may_hold_cases_that_lack_different_channels(bundle, toy_channels, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for case, subset in (("toy_00", ("FLAIR", "T2")), ("toy_01", CHANNELS), ("toy_02", ("T1",))):
        for name in subset:
            source = toy_channels / "imagesTr" / f"{case}_{CHANNELS.index(name):04}.nii.gz"
            (scans / f"{case}_{name}.nii.gz").write_bytes(source.read_bytes())
    results = segment(scans, bundle, tmp_path / "out", SegmentOptions(runtime="torch"))
    assert [result.exit_code for result in results] == [0, 0, 0]
    assert [sorted(result.prediction.get("missing_channels", {})) for result in results] == [
        ["T1"],
        [],
        ["FLAIR", "T2"],
    ]


def test_the_prepared_scan_is_what_the_network_saw_in_training(bundle, toy_channels):
    opened = open_bundle(bundle)
    predictor = Predictor(opened, PredictorOptions(runtime="torch"))
    volume = nifti.read(toy_channels / "imagesTr" / "toy_00_0001.nii.gz")
    ready = predictor.prepare(volume, ("T1",))
    assert ready.missing == ("FLAIR", "T2")
    assert not ready.prepared.image[[0, 2]].any()
    assert float(ready.prepared.image[1].mean()) == pytest.approx(0, abs=0.1)


def test_the_card_says_what_may_be_missing(bundle, plain):
    assert open_bundle(bundle).card["recipe"]["missing"] == {
        "probability": dict.fromkeys(CHANNELS, 0.4),
        "fill": "zeros",
    }
    assert "FLAIR, T1, T2, though not all at once" in describe_bundle(open_bundle(bundle))
    assert "may be missing" not in describe_bundle(open_bundle(plain))


def test_a_model_that_never_lacked_a_channel_still_refuses(plain, bundle, toy_channels, tmp_path):
    with pytest.raises(DataError, match="T1, T2 is lacking"):
        segment(files(toy_channels, "toy_00", ("FLAIR",)), plain, tmp_path)
    volume = nifti.read(toy_channels / "imagesTr" / "toy_00_0001.nii.gz")
    with pytest.raises(DataError, match=r"channel 'FLAIR' is missing, and the model .* did not learn to do without it"):
        Predictor(open_bundle(plain), PredictorOptions(runtime="torch")).prepare(volume, ("T1",))
    with pytest.raises(DataError, match=r"has 1 channel\(s\)"):
        segment_one(volume, open_bundle(bundle), runtime="torch")


def test_the_python_function_takes_some_of_the_channels(bundle, toy_channels):
    paths = {"T2": toy_channels / "imagesTr" / "toy_03_0002.nii.gz"}
    found = segment_one(paths, open_bundle(bundle), runtime="torch")
    assert found.sidecar()["missing_channels"] == {"FLAIR": "zeros", "T1": "zeros"}
    assert np.unique(found.segmentation.array).size > 1


def test_what_cannot_be_missing_is_refused_before_anything_is_written(toy_dataset, toy_channels, tmp_path):
    for dataset, setting, message in (
        (toy_dataset, "missing.probability=0.2", "the data have one channel, T2, which has to be there"),
        (toy_channels, "missing.probability.T3=0.2", "missing.probability: the data have no channel 'T3'"),
        (toy_channels, "missing.probability=1.0", "missing.probability.*less than 1"),
    ):
        with pytest.raises(RecipeError, match=message):
            fit([dataset], FitOptions(into=tmp_path / "run", settings=(setting,), device="cpu"))
    assert not (tmp_path / "run").exists()
