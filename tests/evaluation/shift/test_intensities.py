"""Tests of `neuraxis.evaluation.shift.intensities`."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuraxis.errors import DataError
from neuraxis.evaluation.shift.intensities import STATISTICS, describe_case, intensity_statistics
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def head() -> np.ndarray:
    image = np.zeros((20, 20, 20), np.float32)
    image[4:16, 4:16, 4:16] = np.random.default_rng(0).gamma(3, 100, (12, 12, 12))
    return image


def test_they_are_those_of_what_is_brighter_than_the_mean_of_the_box() -> None:
    box = head()[4:16, 4:16, 4:16].astype(np.float64)
    bright = box[box > box.mean()]
    found = intensity_statistics(head())
    assert tuple(found) == STATISTICS
    assert found["mean"] == pytest.approx(bright.mean())
    assert found["sd"] == pytest.approx(bright.std())
    assert found["skewness"] == pytest.approx(stats.skew(bright))
    assert found["kurtosis"] == pytest.approx(stats.kurtosis(bright))
    assert found["p90"] == pytest.approx(np.percentile(bright, 90))
    assert found["foreground"] == pytest.approx(bright.size / box.size)


def test_empty_space_around_the_head_changes_nothing() -> None:
    assert intensity_statistics(np.pad(head(), 7)) == pytest.approx(intensity_statistics(head()))


def test_a_constant_image_has_no_spread() -> None:
    found = intensity_statistics(np.full((4, 4, 4), 0.1, np.float32))
    assert (found["sd"], found["skewness"], found["kurtosis"], found["foreground"]) == (0, 0, 0, 0)
    assert found["mean"] == pytest.approx(0.1)


def test_voxels_that_are_not_finite_are_passed_over_and_only_such_are_refused() -> None:
    image = head()
    image[5, 5, 5] = np.nan
    assert np.isfinite(list(intensity_statistics(image).values())).all()
    volume = Volume(np.full((2, 3, 3, 3), np.nan, np.float32), Grid((3, 3, 3), np.eye(4)))
    with pytest.raises(DataError, match="sub-1: channel 'T1' has no finite voxel"):
        describe_case("sub-1", volume, ("T1", "T2"))


def test_every_channel_is_described_under_its_name() -> None:
    volume = Volume(np.stack([head(), 2 * head()]), Grid((20, 20, 20), np.eye(4)))
    found = describe_case("sub-1", volume, ("T1", "T2"))
    assert found["T2 mean"] == pytest.approx(2 * found["T1 mean"])
    assert len(found) == 2 * len(STATISTICS)
