"""The smallest PNG writer: 8-bit grey or colour, made of zlib alone, so that pages need no imaging library."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def encode_png(pixels: np.ndarray) -> bytes:
    """Return pixels as a PNG file.

    Args:
        pixels: uint8, (rows, columns) for grey, or (rows, columns, 3 or 4) for RGB or RGBA.

    Raises:
        ValueError: another dtype or shape, or no pixels.
    """
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"A PNG needs uint8 (rows, columns[, 3 or 4]), not {pixels.dtype} of {pixels.shape}.")
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if channels not in _COLOUR_TYPES:
        raise ValueError(f"A PNG has 1, 3 or 4 channels, not {channels}.")
    rows, columns = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", columns, rows, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), pixels.reshape(rows, columns * channels)], axis=1)
    parts = (("IHDR", header), ("IDAT", zlib.compress(lines.tobytes(), 9)), ("IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name.encode(), content) for name, content in parts)


def data_url(pixels: np.ndarray) -> str:
    """Return pixels as a PNG inside a `data:` address, for the `href` of an image."""
    return "data:image/png;base64," + base64.b64encode(encode_png(pixels)).decode()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
