"""Every rule of normalisation, with answers written out."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from neuraxis.preparation.normalise import head_of, normalise
from neuraxis.recipe.preparation import IntensityStatistics, Normalisation, PreparationRecipe

STATISTICS = IntensityStatistics(low=-100, high=300, mean=50, std=100)
SCALE = (-2.0, -1.5, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
RULES = get_args(Normalisation)


def by(rule, image):
    recipe = PreparationRecipe(
        spacing_mm=(1, 1, 1), normalisation={"MRI": rule}, intensity={"MRI": STATISTICS}, landmarks={"MRI": SCALE}
    )
    return normalise(image, "MRI", recipe)


def column(*values):
    return np.array(values, np.float32).reshape(-1, 1, 1)


def test_zscore_gives_mean_0_and_sd_1():
    assert by("zscore", column(2, 4, 4, 4, 5, 5, 7, 9)).ravel().tolist() == [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2]


def test_zscore_of_huge_values_loses_nothing():
    np.testing.assert_allclose(by("zscore", column(1e6, 1e6 + 1, 1e6 + 2)).ravel(), [-1.2247, 0, 1.2247], atol=1e-3)


def test_zscore_of_tiny_values_loses_nothing():
    np.testing.assert_allclose(by("zscore", column(1e-12, 2e-12, 3e-12)).ravel(), [-1.2247, 0, 1.2247], atol=1e-3)


def test_zscore_of_a_large_image_is_that_of_numpy_in_double_precision():
    image = np.random.default_rng(0).gamma(2, 100, (70, 90, 80)).astype(np.float32)
    exact = image.astype(np.float64)
    np.testing.assert_allclose(by("zscore", image), (exact - exact.mean()) / exact.std(), atol=1e-5)


def test_zscore_nonzero_leaves_the_background_at_zero():
    assert by("zscore_nonzero", column(0, 0, 10, 20)).ravel().tolist() == [0, 0, -1, 1]


def test_zscore_nonzero_of_an_image_without_zeros_is_zscore():
    image = column(1, 5, -3, 8)
    np.testing.assert_array_equal(by("zscore_nonzero", image), by("zscore", image))


def test_zscore_head_takes_every_voxel_of_the_head_and_leaves_the_rest_at_zero():
    head = column(0, 1, 1, 1) > 0
    recipe = PreparationRecipe(spacing_mm=(1, 1, 1), normalisation={"MRI": "zscore_head"})
    assert normalise(column(0, 0, 10, 20), "MRI", recipe, head).ravel() == pytest.approx(
        [0, -1.2247, 0, 1.2247], abs=1e-3
    )


def test_the_head_is_where_any_channel_is_not_zero_with_its_holes():
    first, second = np.zeros((2, 9, 9, 9))
    first[2:7, 2:7, 2:7] = 1
    first[4, 4, 4] = 0  # a hole
    first[4, 4, 2] = 0  # a dent, open to the outside
    second[8, 8, 8] = 5  # touches the border
    expected = first != 0
    expected[4, 4, 4] = expected[8, 8, 8] = True
    np.testing.assert_array_equal(head_of([first, second]), expected)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 999), st.tuples(*[st.integers(1, 9)] * 3))
def test_the_head_is_scipys_filled_mask(seed, shape):
    image = np.random.default_rng(seed).random((2, *shape)) > 0.7
    np.testing.assert_array_equal(head_of(image), ndimage.binary_fill_holes(image.any(axis=0)))


def test_range_and_picture_scale_to_one():
    assert by("range", column(-5, 0, 5)).ravel().tolist() == [0, 0.5, 1]
    assert by("picture", column(0, 51, 255)).ravel() == pytest.approx([0, 0.2, 1])


def test_ct_is_clipped_and_scaled_by_the_statistics_of_the_data():
    assert by("ct", column(-1000, -100, 50, 150, 300, 900)).ravel().tolist() == [-1.5, -1.5, 0, 1, 2.5, 2.5]


def test_percentile_scales_to_0_to_1():
    image = column(*np.linspace(-3, 7, 1001))
    normalised = by("percentile", image).ravel()

    assert (normalised[:6] == 0).all()
    assert (normalised[-6:] == 1).all()
    assert normalised[500] == pytest.approx(0.5, abs=1e-6)
    np.testing.assert_allclose(np.diff(normalised[5:-5]), 1 / 990, atol=1e-6)


def test_percentile_of_tiny_values_fills_0_to_1_too():
    normalised = by("percentile", column(*np.linspace(0, 1e-10, 1001)))
    assert (normalised.min(), normalised.max()) == (0, 1)


def test_nyul_puts_the_foregrounds_percentiles_on_the_landmarks():
    # the foreground is 1000 to 1100, so that percentile p is 1000 + p; what is not above the mean is not in it
    image = column(*[1] * 101, *range(1000, 1101))
    normalised = by("nyul", image).ravel()

    foreground = normalised[101:]
    np.testing.assert_allclose(foreground[[1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99]], SCALE, atol=1e-5)
    assert foreground[55] == pytest.approx(0.125)  # half way between 0 and 0.25
    assert foreground[100] == pytest.approx(2 + 4 / 98)  # with the slope of the whole scale


def test_nyul_undoes_a_scanners_own_scale():
    image = np.random.default_rng(0).gamma(4, 50, (12, 12, 12)).astype(np.float32)
    np.testing.assert_allclose(by("nyul", 3 * image + 40), by("nyul", image), atol=1e-4)


def test_none_changes_nothing_but_the_type():
    normalised = by("none", column(-7, 0, 1000).astype(np.int16))
    assert normalised.dtype == np.float32
    assert normalised.ravel().tolist() == [-7, 0, 1000]


@pytest.mark.parametrize("rule", RULES)
def test_the_image_given_is_never_changed(rule):
    image = np.random.default_rng(0).gamma(4, 50, (4, 4, 4)).astype(np.float32)
    before = image.copy()
    normalised = by(rule, image)
    assert not np.shares_memory(normalised, image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("rule", ["zscore", "zscore_nonzero", "percentile", "nyul"])
@pytest.mark.parametrize("value", [0.0, 0.1, -3.3, 1e7 + 1, 1e-20, 3e38])
def test_a_constant_image_becomes_zero(rule, value):
    assert not by(rule, np.full((5, 7, 11), value)).any()


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(
    values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=12),
    kind=st.sampled_from([np.float32, np.float64, np.int16]),
)
def test_no_rule_gives_nan_or_infinity(rule, values, kind):
    image = column(*values) if kind is not np.int16 else column(*(np.clip(values, -32768, 32767)))
    normalised = by(rule, image.astype(kind))
    assert normalised.dtype == np.float32
    assert normalised.shape == image.shape
    assert np.isfinite(normalised).all()
