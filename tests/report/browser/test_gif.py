from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from neuraxis.report.browser.gif import slices_gif, time_gif
from neuraxis.report.overlays import Overlay


def frames(content: bytes) -> list[np.ndarray]:
    picture, found = Image.open(io.BytesIO(content)), []
    for place in range(picture.n_frames):
        picture.seek(place)
        found.append(np.asarray(picture.convert("RGB")).astype(int))
    return found


def test_slices_with_label_and_two_around_them_are_shown_once_plain_and_once_painted(overlay: Overlay) -> None:
    shown = frames(slices_gif(overlay))
    assert len(shown) == 4 + 2 * 2
    height, width = shown[0].shape[:2]
    assert width == 600
    assert height == round(600 / (2 * 12) * 16)
    plain, painted = shown[4][:, : width // 2], shown[4][:, width // 2 :]
    assert (plain.max(axis=2) - plain.min(axis=2)).max() < 12
    assert (painted.max(axis=2) - painted.min(axis=2)).max() > 60


def test_a_series_is_shown_through_time_at_the_fullest_slice(overlay: Overlay) -> None:
    bright = np.zeros((5, *overlay.image.shape), np.float32)
    bright[3] = 100.0
    shown = frames(time_gif(bright, overlay))
    assert len(shown) >= 2
    assert shown[-1][0, 0].max() < 60


def test_a_case_without_label_is_shown_whole(overlay: Overlay) -> None:
    empty = np.zeros_like(overlay.predicted)
    rising = np.arange(10, dtype=np.float32) + np.zeros(overlay.image.shape, np.float32)
    assert len(frames(slices_gif(replace(overlay, image=rising, reference=empty, predicted=empty)))) == 10
