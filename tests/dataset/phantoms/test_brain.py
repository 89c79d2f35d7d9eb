from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from neuraxis.dataset.phantoms.brain import TISSUES, Brain, grow_brain
from neuraxis.dataset.phantoms.fields import generator


@cache
def brain(subject: int = 1, spacing_mm: float = 3.0) -> Brain:
    axes = [np.arange(low, high, spacing_mm) for low, high in ((-78, 79), (-111, 82), (-78, 87))]
    return grow_brain(axes, generator(0, subject, 0))


def volumes_ml(subject: int = 1, spacing_mm: float = 3.0) -> dict[str, float]:
    sums = brain(subject, spacing_mm).tissues.sum(axis=(1, 2, 3)) * spacing_mm**3 / 1000
    return dict(zip(TISSUES, sums.tolist(), strict=True))


def test_tissues_fill_each_voxel_of_the_brain_and_none_outside() -> None:
    total = brain().tissues.sum(axis=0)
    assert brain().tissues.min() >= -1e-6
    np.testing.assert_allclose(total[brain().surface_mm > 3], 1, atol=1e-5)
    np.testing.assert_allclose(total[brain().surface_mm < -3], 0, atol=1e-6)


@pytest.mark.parametrize("subject", [1, 2, 3])
def test_volumes_are_those_of_an_adult(subject: int) -> None:
    found = volumes_ml(subject)
    assert 350 < found["grey"] < 800
    assert 350 < found["white"] < 750
    assert 950 < found["grey"] + found["white"] + found["deep_grey"] < 1450
    assert 12 < found["deep_grey"] < 60
    assert 0 < found["plexus"] < 4
    ventricles = (brain(subject).ventricle_mm < 0).sum() * 0.027
    assert 5 < ventricles < 60


def test_a_subject_has_the_same_volumes_at_another_voxel_size() -> None:
    coarse, fine = volumes_ml(1, 3.0), volumes_ml(1, 2.0)
    for tissue in ("csf", "grey", "white", "deep_grey"):
        assert fine[tissue] == pytest.approx(coarse[tissue], rel=0.07)


def test_subjects_differ_and_one_subject_does_not() -> None:
    again = grow_brain(
        [np.arange(low, high, 3.0) for low, high in ((-78, 79), (-111, 82), (-78, 87))], generator(0, 1, 0)
    )
    assert np.array_equal(again.tissues, brain(1).tissues)
    assert np.abs(brain(1).tissue("white") - brain(2).tissue("white")).mean() > 0.02


def test_the_cortex_is_folded_far_beyond_a_smooth_hull() -> None:
    found = brain()
    grey = found.tissue("grey") > 0.5
    above = found.points[2] > 20
    assert (grey & above & (found.surface_mm > 8)).sum() > 0.4 * (grey & above).sum()
