"""Tests of `neuraxis.report.png`."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from neuraxis.report.png import data_url, encode_png


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (40, 33), (3, 5, 3), (2, 7, 4)])
def test_another_reader_finds_the_same_pixels(shape: tuple[int, ...]) -> None:
    image_module = pytest.importorskip("PIL.Image")
    pixels = (np.arange(np.prod(shape)) * 37 % 256).astype(np.uint8).reshape(shape)
    read = np.asarray(image_module.open(io.BytesIO(encode_png(pixels))))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, pixels)


def test_the_address_holds_the_file_itself() -> None:
    pixels = np.zeros((2, 2), np.uint8)
    head, _, content = data_url(pixels).partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(content) == encode_png(pixels)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((2, 2), np.float32),
        np.zeros((0, 2), np.uint8),
        np.zeros((2, 2, 2), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="PNG"):
        encode_png(pixels)
