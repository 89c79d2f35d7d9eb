from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from neuraxis.dataset.labels import Labels
from neuraxis.report.inspection.thumbnail import ALL_BYTES, Size, colours_of, draw_thumbnail

COLOURS = colours_of(Labels(names={"background": 0, "lesion": 1}))


def picture(jpeg: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(jpeg))).convert("RGB")).astype(int)


@pytest.mark.parametrize("cases", [1, 300, 301, 2000, 5000, 20000])
def test_all_pictures_together_stay_below_their_share_of_the_page(cases: int) -> None:
    size = Size.of(cases)
    assert cases * size.most_bytes * 4 / 3 <= ALL_BYTES * 1.01
    assert 40 < size.side <= 240


def test_the_patients_right_is_left_and_the_front_is_up() -> None:
    image = np.zeros((20, 30, 8), np.int16)
    image[12:, 20:] = 1000  # right front
    drawn = draw_thumbnail(image, None, (1, 1, 1), COLOURS, Size(120, 20000))
    pixels = picture(drawn.jpeg).mean(axis=2)
    assert (drawn.width, drawn.height, drawn.view) == (80, 120, "axial 5 of 8")
    assert pixels[:30, :25].mean() > 200
    assert pixels[60:].mean() < 20
    assert pixels[:30, 50:].mean() < 20


def test_the_slice_with_most_label_is_shown_with_its_colour_and_in_the_plane_of_thick_slices() -> None:
    image = np.random.default_rng(0).integers(0, 100, (9, 40, 40))
    label = np.zeros(image.shape, np.uint8)
    label[6, 10:30, 10:30] = 1
    label[2, 15, 15] = 1
    drawn = draw_thumbnail(image, label, (5, 1, 1), COLOURS, Size(160, 20000))
    assert drawn.view == "sagittal 7 of 9"
    pixels = picture(drawn.jpeg)
    edge = pixels[42:118, 40]
    wanted = np.array([int(COLOURS[1][at : at + 2], 16) for at in (1, 3, 5)])
    assert np.abs(edge.mean(axis=0) - wanted).max() < 60


def test_a_picture_is_made_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).normal(size=(200, 200, 3))
    large, small = (draw_thumbnail(noise, None, (1, 1, 1), COLOURS, Size(160, most)) for most in (40000, 6000))
    assert len(base64.b64decode(small.jpeg)) < len(base64.b64decode(large.jpeg))
    assert len(base64.b64decode(small.jpeg)) <= 6000


def test_nan_and_flat_images_are_drawn_too() -> None:
    for image in (np.full((8, 8, 8), np.nan), np.zeros((8, 8, 1)), np.full((8, 8, 8), 7)):
        assert draw_thumbnail(image, None, (1, 1, 1), COLOURS, Size(64, 20000)).jpeg
