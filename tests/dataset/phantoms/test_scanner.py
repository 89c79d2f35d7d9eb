from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from neuraxis.dataset.phantoms.brain import Brain, grow_brain
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.lesions import LesionOptions, Lesions, plant_lesions
from neuraxis.dataset.phantoms.mimics import CHANNELS, add_mimics
from neuraxis.dataset.phantoms.scanner import SITES, Site, acquire

AXES = [np.arange(low, high, 2.5) for low, high in ((-80, 81), (-112, 84), (-80, 89))]
PLAIN = replace(SITES[0], bias=0.0, noise=0.0)


@cache
def subject() -> tuple[Brain, Lesions]:
    brain = grow_brain(AXES, generator(0, 1, 0))
    return brain, plant_lesions(brain, AXES, generator(0, 1, 1), LesionOptions(40, 40, 2.0))


def scan(site: Site = PLAIN, stream: int = 2, skull: bool = False) -> np.ndarray:
    return acquire(*subject(), AXES, site, generator(0, 1, stream), skull)


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_contrast_is_that_of_flair_t1_and_t2(site: Site) -> None:
    flair, t1, t2 = scan(site)
    brain, lesions = subject()
    healthy = lesions.fraction == 0
    inside = {name: healthy & (brain.tissue(name) > 0.98) for name in ("csf", "grey", "white")}
    lesion = lesions.fraction > 0.9

    def median(image: np.ndarray, where: np.ndarray) -> float:
        return float(np.median(image[where]))

    assert median(flair, inside["csf"]) < median(flair, inside["white"]) < median(flair, inside["grey"])
    assert median(flair, inside["grey"]) < median(flair, lesion)
    assert median(t1, inside["csf"]) < median(t1, inside["grey"]) < median(t1, inside["white"])
    assert median(t1, lesion) < 0.85 * median(t1, inside["white"])
    assert median(t2, inside["white"]) < median(t2, inside["grey"]) < median(t2, inside["csf"])
    assert median(t2, inside["grey"]) < median(t2, lesion) < median(t2, inside["csf"])


def test_a_cut_out_brain_is_0_outside_and_above_0_inside() -> None:
    images = scan(SITES[1])
    outside = subject()[0].surface_mm <= 0
    assert images.dtype == np.int16
    assert (images[:, outside] == 0).all()
    assert (images[:, ~outside] > 0).all()


def test_a_skull_leaves_noise_in_the_air_and_bright_fat_around_the_brain() -> None:
    images, surface = scan(SITES[0], skull=True), subject()[0].surface_mm
    t1 = images[1].astype(float)
    white = np.median(t1[subject()[0].tissue("white") > 0.98])
    assert 0.01 * white < t1[surface < -25].mean() < 0.1 * white
    assert np.median(t1[(surface < -10) & (surface > -12)]) > 1.2 * white
    assert np.median(t1[(surface < -4.5) & (surface > -6.5)]) < 0.5 * white


def test_noise_in_the_air_follows_rayleighs_law() -> None:
    noisy = acquire(*subject(), AXES, replace(SITES[0], gain=(20000.0,) * 3), generator(0, 1, 2), skull=True)
    air = noisy[0][subject()[0].surface_mm < -25].astype(float)
    assert air.std() / air.mean() == pytest.approx(np.sqrt((4 - np.pi) / np.pi), rel=0.05)


def test_the_bias_field_varies_slowly_and_as_much_as_the_site_says() -> None:
    flat, uneven = scan(PLAIN).astype(float), scan(replace(PLAIN, bias=0.2)).astype(float)
    white = subject()[0].tissue("white") > 0.98
    ratio = np.log(uneven[1][white] / flat[1][white])
    assert 0.08 < ratio.std() < 0.35


def test_mimics_are_bright_on_flair_where_no_lesion_is_and_spare_one_contrast_at_least() -> None:
    brain, _ = subject()
    images = np.ones((len(CHANNELS), *brain.surface_mm.shape), np.float32)
    add_mimics(images, brain, AXES, generator(0, 1, 2))
    flair, t1, t2 = images - 1
    bright = (flair > 0.3) & (brain.tissue("csf") < 0.2)
    assert bright.sum() * 2.5**3 / 1000 > 3  # mL, as much as a lesion load
    like_a_lesion = bright & (t1 < -0.15) & (t2 > 0.3)
    assert like_a_lesion.sum() < 0.03 * bright.sum()


def test_another_scan_of_one_subject_differs_in_noise_alone() -> None:
    first, again, other = scan(SITES[0]), scan(SITES[0]), scan(SITES[0], stream=3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.corrcoef(first[1].ravel(), other[1].ravel())[0, 1] > 0.95
