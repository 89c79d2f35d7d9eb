"""The standard scale of Nyúl and Udupa."""

from __future__ import annotations

import numpy as np
import pytest

from neuraxis.volume.intensity import NYUL_PERCENTILES, blocks_of_rows, match_landmarks, nyul_landmarks, standard_scale


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def test_landmarks_are_percentiles_of_what_is_brighter_than_the_mean() -> None:
    image = column(*[1] * 300, *range(200, 301))
    assert nyul_landmarks(image) == pytest.approx([200 + percentile for percentile in NYUL_PERCENTILES])


def test_empty_space_around_the_head_does_not_matter() -> None:
    head = np.random.default_rng(0).gamma(3, 40, (9, 8, 7)).astype(np.float32)
    assert nyul_landmarks(np.pad(head, ((5, 0), (0, 9), (3, 3)))) == nyul_landmarks(head)


def test_a_constant_image_has_one_landmark_eleven_times() -> None:
    assert nyul_landmarks(np.full((2, 2, 2), 7, np.int16)) == (7,) * 11


def test_the_scale_of_one_image_is_its_landmarks_up_to_a_linear_map() -> None:
    own = [10, 20, 25, 30, 33, 36, 40, 50, 60, 70, 90]
    scale = np.array(standard_scale([own]))
    slopes = np.diff(scale) / np.diff(own)
    np.testing.assert_allclose(slopes, slopes[0])
    assert slopes[0] > 0


def test_the_scale_has_mean_0_and_sd_1_over_the_foreground() -> None:
    scale = standard_scale([np.array([0, 1, 3, 4, 8, 9, 12, 15, 20, 22, 40.0])])
    even = np.interp(np.linspace(1, 99, 980_001), NYUL_PERCENTILES, scale)
    assert even.mean() == pytest.approx(0, abs=1e-5)
    assert even.std() == pytest.approx(1, abs=1e-5)


def test_the_scale_is_the_mean_of_the_stretched_landmarks() -> None:
    even = np.linspace(0, 100, 11)
    bent = np.array([0, 2, 4, 6, 8, 10, 28, 46, 64, 82, 100.0])
    middle = standard_scale([5 + even, 3 * bent])
    np.testing.assert_allclose(middle, standard_scale([(even + bent) / 2]), atol=1e-12)


def test_a_scanners_own_scale_does_not_matter() -> None:
    own = np.array([0, 1, 3, 4, 8, 9, 12, 15, 20, 22, 40.0])
    np.testing.assert_allclose(standard_scale([own, 7 * own + 300]), standard_scale([own]), atol=1e-12)


def test_constant_images_are_passed_over() -> None:
    own = np.array([0, 1, 3, 4, 8, 9, 12, 15, 20, 22, 40.0])
    assert standard_scale([own, [5] * 11]) == standard_scale([own])
    assert standard_scale([[5] * 11]) == (0,) * 11
    assert standard_scale([]) == (0,) * 11


def test_matching_is_linear_between_landmarks_and_goes_on_beyond_them() -> None:
    own = [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    standard = [0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20]
    mapped = match_landmarks(column(-10, 0, 5, 10, 15, 55, 95, 100, 110), own, standard)
    assert mapped.ravel().tolist() == pytest.approx([-2, 0, 1, 2, 2.5, 6.5, 15, 20, 22])


def test_close_landmarks_do_not_throw_the_background_far_out() -> None:
    own = [100, 100.000001, 110, 120, 130, 140, 150, 160, 170, 180, 200]
    mapped = match_landmarks(column(0, 300), own, range(11))
    assert mapped.ravel().tolist() == pytest.approx([-10, 20])


def test_landmarks_of_one_value_are_joined() -> None:
    own = [0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80]
    standard = [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]
    assert match_landmarks(column(0, 5, 10), own, standard).ravel().tolist() == pytest.approx([1, 2.5, 4])


def test_after_matching_images_have_the_same_landmarks() -> None:
    draws = np.random.default_rng(0)
    images = [draws.gamma(shape, scale, (20, 20, 20)) for shape, scale in ((2, 30), (5, 10), (9, 100))]
    scale = standard_scale([nyul_landmarks(image) for image in images])
    for image in images:
        foreground = match_landmarks(image, nyul_landmarks(image), scale)[image > image.mean()]
        np.testing.assert_allclose(np.percentile(foreground, NYUL_PERCENTILES), scale, atol=0.02)


def test_landmarks_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="3 landmarks cannot be matched with 11"):
        match_landmarks(column(1, 2), [1, 2, 3], range(11))


@pytest.mark.parametrize("shape", [(300, 100, 90), (3, 900, 900), (1, 1, 1), (5, 1, 1)])
def test_blocks_of_rows_cover_an_image_once(shape) -> None:
    counts = np.zeros(shape[0], int)
    for rows in blocks_of_rows(np.broadcast_to(np.float32(0), shape)):
        counts[rows] += 1
    assert (counts == 1).all()
