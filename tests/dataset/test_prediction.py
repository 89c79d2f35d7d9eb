from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.prediction import DISCLAIMER, Prediction
from neuraxis.errors import UsageError
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

GRID = Grid((2, 3, 4), np.diag([1.0, 2.0, 5.0, 1.0]))


def prediction(with_probability: bool = False) -> Prediction:
    array = np.zeros((1, 2, 3, 4), np.uint8)
    array[0, 0, 0, :3] = 1
    array[0, 1, 0, :2] = 2
    labels = Labels(names={"background": 0, "one": 1, "two": 2, "three": 3})
    probability = Volume(np.full((4, 2, 3, 4), 0.25, np.float16), GRID) if with_probability else None
    return Prediction(Volume(array, GRID), labels, probability, {"model": "toy"}, ("a little dark",))


def test_volumes_are_those_of_the_voxels_in_ml() -> None:
    assert prediction().volumes_ml() == {"one": 0.03, "two": 0.02, "three": 0.0}


def test_volumes_of_regions_join_their_labels() -> None:
    labels = Labels(names={"one": 1, "two": 2}, regions={"both": (1, 2), "two": (2,)})
    assert Prediction(prediction().segmentation, labels).volumes_ml() == {"both": 0.05, "two": 0.02}


def test_a_segmentation_is_saved_with_a_sidecar_that_says_what_it_is(tmp_path: Path) -> None:
    saved = prediction().save(tmp_path / "deep" / "sub-01_seg.nii.gz")
    np.testing.assert_array_equal(nifti.read(saved).array, prediction().segmentation.array)
    sidecar = json.loads((tmp_path / "deep" / "sub-01_seg.json").read_text())
    assert sidecar["model"] == "toy"
    assert sidecar["volumes_ml"]["one"] == 0.03
    assert sidecar["warnings"] == ["a little dark"]
    assert sidecar["labels"]["names"]["two"] == 2
    assert sidecar["notice"] == DISCLAIMER
    assert sorted(path.name for path in saved.parent.iterdir()) == ["sub-01_seg.json", "sub-01_seg.nii.gz"]


def test_probabilities_are_saved_beside_it(tmp_path: Path) -> None:
    prediction(with_probability=True).save(tmp_path / "seg.nii")
    kept = nifti.read(tmp_path / "seg_prob.nii.gz")
    assert kept.array.shape == (4, 2, 3, 4)
    assert kept.array.dtype == np.float32
    assert (kept.array == 0.25).all()
    with pytest.raises(ValueError, match="made without probabilities"):
        prediction().probability_for_disk()


@pytest.mark.parametrize("name", ["seg.nii.gz", "seg.json", "seg_prob.nii.gz"])
def test_nothing_is_written_where_any_of_its_files_exists(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(UsageError, match=f"{name} exists already"):
        prediction(with_probability=True).save(tmp_path / "seg.nii.gz")
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"
    prediction(with_probability=True).save(tmp_path / "seg.nii.gz", overwrite=True)
    assert len(list(tmp_path.iterdir())) == 3
