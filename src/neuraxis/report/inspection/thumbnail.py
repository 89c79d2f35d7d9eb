"""A case as one small picture: the slice with most label, and the labels outlined on it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.structures import structures_of
from neuraxis.registry import import_extra
from neuraxis.report.overlays import PLANES, hung
from neuraxis.report.previews.strip import IGNORED_COLOUR

ALL_BYTES = 19 * 2**20  # what the pictures of a page take together, as they stand in it
SIDES = ((300, 240), (1200, 176), (4000, 128), (12000, 88))  # up to so many cases: pixels of the longer side
LEAST_SIDE = 56
THICK = 1.5
FILL = 0.22
CT_WINDOW = (-200.0, 600.0)
_QUALITIES = (84, 72, 58, 44, 30, 18)


@dataclass(frozen=True)
class Size:
    """How large pictures may be.

    Attributes:
        side: pixels of the longer side.
        most_bytes: of the JPEG.
    """

    side: int
    most_bytes: int

    @classmethod
    def of(cls, cases: int) -> Size:
        """Return the size for a page of so many cases, so that all together stay below `ALL_BYTES`."""
        side = next((side for most, side in SIDES if cases <= most), LEAST_SIDE)
        return cls(side, min(24_000, ALL_BYTES * 3 // 4 // max(1, cases)))


@dataclass(frozen=True)
class Thumbnail:
    """A picture as it stands on the page.

    Attributes:
        jpeg: the file, base64.
        width: pixels.
        height: pixels.
        view: plane and slice in words.
    """

    jpeg: str
    width: int
    height: int
    view: str


def colours_of(labels: Labels) -> dict[int, str]:
    """Return label number to colour, the same for every case."""
    colours = {structure.number: structure.colour for structure in structures_of(labels)}
    return colours | ({labels.ignore: IGNORED_COLOUR} if labels.ignore is not None else {})


def draw_thumbnail(
    image: np.ndarray,
    label: np.ndarray | None,
    spacing_mm: tuple[float, float, float],
    colours: Mapping[int, str],
    size: Size,
    is_ct: bool = False,
) -> Thumbnail:
    """Draw a case.

    Args:
        image: one channel (X, Y, Z), RAS+.
        label: label numbers (X, Y, Z), or None.
        spacing_mm: voxel size; the plane is the one that thick slices were acquired in, else the axial one.
        colours: label number to "#rrggbb".
        size: how large the picture may be.
        is_ct: whether values are Hounsfield units, of which a fixed window is shown.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    pictures = import_extra("PIL.Image", "report")
    plane = _plane(image.shape, spacing_mm)
    across, column, row, _ = PLANES[plane]
    index = _fullest(label, image.shape[across], across)
    grey = _grey(hung(image, across, index), is_ct)
    width, height = _pixels(grey.shape, (spacing_mm[column], spacing_mm[row]), size.side)
    picture = pictures.fromarray(grey).resize((width, height), pictures.Resampling.LANCZOS)
    pixels = np.asarray(picture.convert("RGB")).astype(np.float32)
    if label is not None:
        pixels = _painted(pixels, hung(label, across, index), colours)
    drawn = pictures.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    jpeg = _encoded(drawn, size.most_bytes)
    view = f"{plane} {index + 1} of {image.shape[across]}"
    return Thumbnail(base64.b64encode(jpeg).decode(), width, height, view)


def _plane(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> str:
    if 1 in shape:
        across = shape.index(1)
    else:
        across = int(np.argmax(spacing_mm)) if max(spacing_mm) > THICK * float(np.median(spacing_mm)) else 2
    return next(name for name, (axis, *_) in PLANES.items() if axis == across)


def _fullest(label: np.ndarray | None, count: int, across: int) -> int:
    if label is None or not label.any():
        return count // 2
    return int((label > 0).sum(axis=tuple(axis for axis in range(3) if axis != across)).argmax())


def _grey(plane: np.ndarray, is_ct: bool) -> np.ndarray:
    values = plane.astype(np.float32)
    finite = values[np.isfinite(values)]
    held = finite[finite != 0]
    low, high = CT_WINDOW if is_ct else (0.0, 1.0)
    if not is_ct and finite.size:
        low = float(np.percentile(finite, 1))
        high = float(np.percentile(held if held.size else finite, 99.5))
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-12)
    grey: np.ndarray = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return grey


def _pixels(shape: tuple[int, ...], size_mm: tuple[float, float], side: int) -> tuple[int, int]:
    width, height = shape[1] * size_mm[0], shape[0] * size_mm[1]
    scale = side / max(width, height)
    return max(8, round(width * scale)), max(8, round(height * scale))


def _painted(pixels: np.ndarray, label: np.ndarray, colours: Mapping[int, str]) -> np.ndarray:
    """Fill labels faintly and draw their edges; the label map (rows, columns) is brought to the picture's size."""
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(pixels.shape[:2], label.shape, strict=True)
    )
    large = label[np.ix_(rows, columns)]
    edge = np.zeros(large.shape, bool)
    for axis in range(2):
        differs = np.diff(large, axis=axis) != 0
        ahead: list[slice] = [slice(None), slice(None)]
        behind = ahead.copy()
        ahead[axis], behind[axis] = slice(1, None), slice(None, -1)
        edge[tuple(ahead)] |= differs
        edge[tuple(behind)] |= differs
    for number in np.unique(large).tolist():
        if not number or number not in colours:
            continue
        colour = np.array([int(colours[number][at : at + 2], 16) for at in (1, 3, 5)], np.float32)
        inside = large == number
        pixels[inside] += FILL * (colour - pixels[inside])
        pixels[inside & edge] = colour
    return pixels


def _encoded(drawn: object, most: int) -> bytes:
    content = b""
    for quality in _QUALITIES:
        stream = io.BytesIO()
        drawn.save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)  # type: ignore[attr-defined]
        content = stream.getvalue()
        if len(content) <= most:
            break
    return content
