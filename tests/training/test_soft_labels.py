"""Soft labels from files to a model whose probabilities are the shares that it saw."""

import json

import numpy as np
import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.steps import prepare_datasets, train_store
from neuraxis.preparation.store import Store
from neuraxis.recipe.branches.labels import LabelRecipe, relabel
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SHARES = {"dark": 0.0, "grey": 0.3, "bright": 0.8}
SHAPE = (20, 18, 16)


def places(number):
    """Which voxels of a scan are grey, and which bright: two boxes apart."""
    grey, bright = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    draws = np.random.default_rng(number)
    for mask, first in ((grey, 3), (bright, 11)):
        low, size = draws.integers(1, 6, 2), draws.integers(6, 10, 2)
        mask[first : first + 6, low[0] : low[0] + size[0], low[1] : low[1] + size[1]] = True
    return grey, bright


@pytest.fixture(scope="module")
def soft_data(tmp_path_factory):
    """Scans in which what is grey belongs to the lesion by 30 %, and what is bright by 80 %."""
    folder = tmp_path_factory.mktemp("soft") / "Dataset003_Soft"
    for number in range(4):
        grey, bright = places(number)
        share = SHARES["grey"] * grey + SHARES["bright"] * bright
        draws = np.random.default_rng(number)
        image = (draws.normal(100, 20, SHAPE) + 200 * grey + 400 * bright)[None].astype(np.float32)
        grid = Grid(SHAPE, np.diag([1.0, 1.0, 1.2, 1.0]))
        for name, array in ((f"imagesTr/s_{number}_0000", image), (f"labelsTr/s_{number}", share[None])):
            path = folder / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nifti.write(path, Volume(array.astype(np.float32), grid))
    content = {"channel_names": {"0": "T2"}, "labels": {"background": 0, "lesion": 1}, "numTraining": 4}
    (folder / "dataset.json").write_text(json.dumps({**content, "file_ending": ".nii.gz"}))
    return folder


def test_a_prepared_soft_label_is_interpolated_and_not_cut(soft_data, toy_settings, tmp_path):
    settings = (*toy_settings, "labels.soft=1", "preparation.spacing_mm=[0.5,1,1.2]", "patches.shape=[16,16,16]")
    prepare_datasets([soft_data], "auto", settings, tmp_path)

    target = Store(tmp_path).read("s_0")[1]

    assert target.dtype == np.float16
    assert target.shape == (1, 40, 18, 16)
    assert target.max() == pytest.approx(0.8, abs=1e-3)
    edge = target[0, 16:20, 7, 7]  # from 0.3 to 0 over a voxel of 1 mm
    assert np.all(np.diff(edge) <= 0)
    assert np.any((edge > 0.01) & (edge < 0.29))


def test_a_model_gives_the_shares_that_it_was_taught(soft_data, toy_settings, tmp_path):
    wishes = ("labels.soft=1", "loss.dice_weight=0", "training.steps=150", "training.loader_workers=1")
    settings = (*toy_settings, *wishes, "previews.every=30")
    prepare_datasets([soft_data], "auto", settings, tmp_path / "store")
    bundle = open_bundle(train_store(tmp_path / "store", tmp_path / "run", 0, "cpu"))

    found = Predictor(bundle, PredictorOptions(cache=tmp_path, probabilities=True)).predict(
        nifti.read(soft_data / "imagesTr" / "s_0_0000.nii.gz")
    )

    grey, bright = (np.asarray(found.probability.array)[1][inside].mean() for inside in places(0))
    assert grey == pytest.approx(SHARES["grey"], abs=0.1)
    assert bright == pytest.approx(SHARES["bright"], abs=0.1)
    assert bundle.labels.soft


def test_whoever_asks_for_whole_voxels_gets_the_larger_share(soft_data):
    dataset = relabel(open_dataset(soft_data), LabelRecipe(soft=1))

    label = dataset.cases[0].read_label().array[0]

    np.testing.assert_array_equal(label == 1, places(0)[1])
