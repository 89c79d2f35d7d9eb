"""At which spacing cases are trained."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.recipe.spacing import coarsened, median_shape, target_spacing


def test_the_median_spacing_is_taken_axis_by_axis() -> None:
    found, reason = target_spacing([(1, 1, 1), (1, 2, 1.2), (3, 1, 1.4)], [(100, 100, 100)])
    assert found.tolist() == [1, 1, 1.2]
    assert "median" in reason


def test_thick_and_few_slices_get_the_10th_percentile_so_that_thin_ones_keep_their_detail() -> None:
    thick = [(0.5, 0.5, step) for step in (3.0, 3.5, 4.0, 4.5, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)]
    found, reason = target_spacing(thick, [(256, 256, 20)])
    assert found.tolist() == pytest.approx([0.5, 0.5, 3.45])
    assert "along axis Z, where slices are thick and few, the 10th percentile" in reason


def test_thick_but_many_slices_keep_the_median() -> None:
    thick = [(0.5, 0.5, step) for step in (3.0, 5.0, 5.0)]
    assert target_spacing(thick, [(100, 100, 34)])[0].tolist() == [0.5, 0.5, 5.0]


def test_the_10th_percentile_is_never_finer_than_the_other_axes() -> None:
    mixed = [*[(0.2, 1, 1)] * 2, *[(6, 1, 1)] * 6]
    assert target_spacing(mixed, [(20, 256, 256)])[0].tolist() == pytest.approx([1.00001, 1, 1])


def test_axes_finer_than_half_the_coarsest_are_coarsened_first() -> None:
    assert coarsened(np.array([5.0, 1.0, 3.0])) == pytest.approx([5.0, 1.03, 3.0])
    assert coarsened(np.array([1.5, 1.0, 1.0])) == pytest.approx([1.545, 1.03, 1.03])


def test_the_median_shape_is_that_of_the_resampled_cases() -> None:
    shapes, spacings = [(10, 20, 30), (10, 21, 30)], [(2.0, 1.0, 1.0), (2.0, 1.0, 0.5)]
    assert median_shape(shapes, spacings, (1, 1, 1)).tolist() == [20.0, 20.5, 22.5]
