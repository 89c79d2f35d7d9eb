"""Scans that no model can segment are refused, and unlikely ones are warned about."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.errors import DataError
from neuraxis.inference.intake import examine_scan
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume


def noise(channels: int = 1, spacing: tuple[float, float, float] = (1, 1, 1), low: float = 0.0) -> Volume:
    shape = (6, 5, 4)
    array = np.random.default_rng(1).uniform(low, low + 100, (channels, *shape)).astype(np.float32)
    return Volume(array, Grid(shape, np.diag([*spacing, 1.0])), None, "a.nii.gz")


def test_an_ordinary_scan_is_not_warned_about(model):
    assert examine_scan(noise(), model()) == ()


def test_a_scan_with_nan_is_refused_with_its_place_in_the_file(model):
    stored = Stored.of(Grid((5, 6, 4), np.array([[0, -1.0, 0, 0], [1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1]])))
    array = np.random.default_rng(0).normal(size=(1, 5, 6, 4))
    array[0, 1, 2, 3] = np.nan
    array[0, 4, 5, 3] = np.inf
    volume = Volume(stored.to_canonical(array), stored.canonical_grid, stored, "a.nii.gz")
    with pytest.raises(DataError) as refused:
        examine_scan(volume, model())
    text = str(refused.value)
    assert "a.nii.gz: channel 'FLAIR': 2 of 120 voxels are NaN or infinite" in text
    assert "voxel (4, 5, 3) of the file" in text


def test_large_finite_values_are_not_taken_for_infinite_ones(model):
    volume = noise()
    examine_scan(volume.with_array(volume.array * np.float32(1e36)), model())


def test_a_constant_channel_is_refused(model):
    volume = noise(2)
    volume.array[1] = 7
    with pytest.raises(DataError, match="channel 'T1': every voxel is 7, so nothing can be seen"):
        examine_scan(volume, model(channels=("FLAIR", "T1")))


def test_another_number_of_channels_is_refused(model):
    with pytest.raises(DataError, match=r"has 2 channel\(s\). The model 'toy' needs 1: FLAIR"):
        examine_scan(noise(2), model())


def test_a_label_map_in_place_of_a_scan_is_warned_about(model):
    volume = noise()
    warnings = examine_scan(volume.with_array((volume.array > 50).astype(np.uint8)), model())
    assert warnings == ("Channel 'FLAIR' holds hardly any different values: is it a label map?",)


def test_the_air_around_a_large_scan_does_not_make_it_a_label_map(model):
    array = np.zeros((1, 120, 110, 100), np.int16, order="F")
    array[:, 30:-30, 30:-30, 30:-30] = np.random.default_rng(2).integers(1, 900, (60, 50, 40))
    volume = Volume(array, Grid((120, 110, 100), np.eye(4)), None, "a.nii.gz")
    assert examine_scan(volume, model()) == ()


def test_a_ct_in_other_units_is_warned_about(model):
    trained = {"low": -100.0, "high": 300.0, "mean": 50.0, "std": 40.0}
    bundle = model(channels=("CT",), preparation={"normalisation": {"CT": "ct"}, "intensity": {"CT": trained}})
    assert examine_scan(noise(), bundle) == ()
    (warning,) = examine_scan(noise(low=1000), bundle)
    assert "none in the -100 to 300 of the training scans" in warning


@pytest.mark.parametrize(("spacing", "warned"), [((1, 1, 2), False), ((0.5, 1, 1), False), ((1, 1, 3), True)])
def test_a_spacing_far_from_the_trained_one_is_warned_about(model, spacing, warned):
    warnings = examine_scan(noise(spacing=spacing), model())
    assert [("1, 1, 3 mm is far from the 1, 1, 1 mm" in warning) for warning in warnings] == [True] * warned
