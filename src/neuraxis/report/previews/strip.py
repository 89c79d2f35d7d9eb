"""One strip of a preview: image, reference and prediction side by side, or the raw windows at their places.

Slices hang as in the overlays: the patient's right is on the left of the picture, the front or the head is up, and
voxels are drawn in mm. Needs the extra `report`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.dataset.structures import Structure
from neuraxis.files import atomic_path
from neuraxis.registry import import_extra
from neuraxis.report.overlays import chamfered, outline

IGNORED_COLOUR, GROUND, TEXT, QUIET, FRAME = "#5b6470", "#121518", "#e7eaed", "#9ca7b2", "#d55e00"
PANEL_PIXELS, MOST_WIDE, MARGIN, GAP, FILL, FINER = 320, 1200, 14, 8, 0.35, 2
FEW_KEYS = 8


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a strip.

    Attributes:
        title: what it shows.
        grey: the image, uint8 (rows, columns).
        label_map: label numbers (rows, columns), or None for the image alone.
        frame: the part that was predicted as rows and columns, where that is not all of it.
    """

    title: str
    grey: np.ndarray
    label_map: np.ndarray | None = None
    frame: tuple[slice, slice] | None = None


@dataclass(frozen=True)
class Words:
    """What stands around the pictures.

    Attributes:
        heading: the case and how good its prediction is.
        about: the slice, and what was predicted.
        ends: the letters at left, right, top and bottom.
    """

    heading: str
    about: str
    ends: str = ""


class StripPainter:
    """Draws strips in one look.

    Args:
        structures: what the numbers of a label map mean; each has its own colour throughout.
        ignore: the number of voxels that are neither learned nor scored.

    Raises:
        MissingExtra: Pillow is not installed.
    """

    def __init__(self, structures: Sequence[Structure], ignore: int | None = None) -> None:
        self._image = import_extra("PIL.Image", "report")
        self._draw = import_extra("PIL.ImageDraw", "report")
        self.colours = {structure.number: structure.colour for structure in structures}
        self._keys = [(structure.name, structure.colour) for structure in structures]
        if ignore is not None:
            self.colours[ignore] = IGNORED_COLOUR
            self._keys.append(("ignored", IGNORED_COLOUR))

    def side_by_side(self, panels: Sequence[Panel], size_mm: tuple[float, float], words: Words) -> np.ndarray:
        """Return panels of one size in a row.

        Args:
            panels: at least one.
            size_mm: width and height of a voxel on the picture.
            words: what stands around them.

        Returns:
            Pixels, uint8 (rows, columns, 3).
        """
        scale = _scale(panels[0].grey.shape, size_mm, len(panels), PANEL_PIXELS)
        pictures = [self._panel(panel, size_mm, scale) for panel in panels]
        width, height = pictures[0].size
        sheet, pen, top = self._sheet(len(pictures) * (width + GAP) - GAP, height + 22, words)
        for place, (panel, picture) in enumerate(zip(panels, pictures, strict=True)):
            left = MARGIN + place * (width + GAP)
            pen.text((left, top), panel.title, fill=QUIET, font=_font(13))
            sheet.paste(picture, (left, top + 22))
            self._ends(pen, (left, top + 22, width, height), words.ends)
        return np.asarray(sheet)

    def tiled(
        self, tiles: Mapping[tuple[int, int], Panel], size_mm: tuple[float, float], words: Words, side: int = 120
    ) -> np.ndarray:
        """Return windows at their places, a gap between each and the next though they overlap.

        Args:
            tiles: row and column, counted from 0 at the top left, to a window; all of one size.
            size_mm: width and height of a voxel on the picture.
            words: what stands around them.
            side: pixels that the longer side of a window gets at least, unless the sheet were too wide.

        Returns:
            Pixels, uint8 (rows, columns, 3).
        """
        rows, columns = (1 + max(place[axis] for place in tiles) for axis in range(2))
        some = next(iter(tiles.values()))
        side = max(side, 3 * PANEL_PIXELS // 2 // max(1, min(rows, columns)))
        scale = _scale(some.grey.shape, size_mm, columns, side)
        pictures = {place: self._panel(panel, size_mm, scale) for place, panel in tiles.items()}
        width, height = next(iter(pictures.values())).size
        sheet, _, top = self._sheet(columns * (width + GAP) - GAP, rows * (height + GAP) - GAP, words)
        for (row, column), picture in pictures.items():
            sheet.paste(picture, (MARGIN + column * (width + GAP), top + row * (height + GAP)))
        return np.asarray(sheet)

    def _sheet(self, width: int, height: int, words: Words) -> tuple[Any, Any, int]:
        """Return an empty sheet with its words and the key to the colours, its pen, and the first row for pictures."""
        texts = [(words.heading, 16, TEXT), (words.about, 13, QUIET)]
        keys = self._keys_for(width)
        key_width = sum(30 + _width(name, 13) for name, _ in keys)
        inner = max(width, key_width, *(_width(text, size) for text, size, _ in texts))
        inner = min(inner, max(width, MOST_WIDE - 2 * MARGIN))
        sheet = self._image.new("RGB", (inner + 2 * MARGIN, height + 56 + 30 + 2 * MARGIN - 8), GROUND)
        pen = self._draw.Draw(sheet)
        for place, (text, size, colour) in enumerate(texts):
            pen.text((MARGIN, MARGIN - 4 + 24 * place), text, fill=colour, font=_font(size))
        left, top = MARGIN, MARGIN + 56 + height
        for name, colour in keys:
            pen.rectangle((left, top + 3, left + 11, top + 14), fill=colour)
            pen.text((left + 17, top), name, fill=QUIET, font=_font(13))
            left += 30 + _width(name, 13)
        return sheet, pen, MARGIN + 50

    def _keys_for(self, width: int) -> list[tuple[str, str]]:
        """Return the key to the colours as far as it fits below pictures of a width, but at least a few of it."""
        ends = np.cumsum([30 + _width(name, 13) for name, _ in self._keys])
        return self._keys[: max(FEW_KEYS, int((ends <= width).sum()))]

    def _panel(self, panel: Panel, size_mm: tuple[float, float], scale: float) -> Any:
        """Draw one picture twice as large as needed, so that its lines are smooth, and shrink it."""
        rows, columns = panel.grey.shape
        across, down = FINER * scale * size_mm[0], FINER * scale * size_mm[1]
        width, height = (
            FINER * max(1, int(count * one / FINER + 1e-6)) for count, one in ((columns, across), (rows, down))
        )
        grey = self._image.fromarray(panel.grey).resize((width, height), self._image.Resampling.BILINEAR)
        picture = grey.convert("RGB")
        if panel.frame is not None:
            picture = self._dimmed(picture, panel.frame, (width / columns, height / rows))
        if panel.label_map is not None:
            picture = self._painted(picture, panel.label_map, (width / columns, height / rows))
        return picture.reduce(FINER)

    def _painted(self, picture: Any, label_map: np.ndarray, pixels: tuple[float, float]) -> Any:
        present = [number for number in np.unique(label_map).tolist() if number in self.colours]
        for number in present:
            mask = self._image.fromarray(np.where(label_map == number, np.uint8(255 * FILL), np.uint8(0)))
            colour = self._image.new("RGB", picture.size, self.colours[number])
            picture.paste(colour, (0, 0), mask.resize(picture.size, self._image.Resampling.NEAREST))
        pen = self._draw.Draw(picture)
        for number in present:
            for line in outline(label_map == number):
                middles = chamfered(line)
                points = np.vstack([middles, middles[:1]]) * pixels
                pen.line([(x, y) for x, y in points.tolist()], fill=self.colours[number], width=2 * FINER)
        return picture

    def _dimmed(self, picture: Any, frame: tuple[slice, slice], pixels: tuple[float, float]) -> Any:
        """Darken what was not predicted and draw a line around what was."""
        rows, columns = frame
        box = (columns.start * pixels[0], rows.start * pixels[1], columns.stop * pixels[0], rows.stop * pixels[1])
        corners = tuple(round(value) for value in box)
        dark = self._image.blend(picture, self._image.new("RGB", picture.size, GROUND), 0.6)
        dark.paste(picture.crop(corners), corners[:2])
        edge = (*corners[:2], corners[2] - 1, corners[3] - 1)
        self._draw.Draw(dark).rectangle(edge, outline=FRAME, width=FINER)
        return dark

    def _ends(self, pen: Any, box: tuple[int, int, int, int], ends: str) -> None:
        left, top, width, height = box
        middle, centre = top + height / 2, left + width / 2
        places = ((left + 9, middle), (left + width - 9, middle), (centre, top + 10), (centre, top + height - 10))
        for letter, place in zip(ends, places, strict=False):
            pen.text(place, letter, fill=TEXT, font=_font(12), anchor="mm", stroke_width=2, stroke_fill=GROUND)


def save_png(pixels: np.ndarray, path: Path) -> None:
    """Write pixels (rows, columns, 3) as a PNG, atomically.

    Raises:
        MissingExtra: Pillow is not installed.
        ResourceError: the file cannot be written.
    """
    image = import_extra("PIL.Image", "report")
    with atomic_path(path) as part:
        image.fromarray(pixels).save(part, "PNG", compress_level=3)  # the default takes three times as long


def _scale(shape: tuple[int, ...], size_mm: tuple[float, float], columns: int, side: int) -> float:
    """Return pixels for each mm: the longer side of a picture gets `side`, unless the strip were too wide."""
    width, height = shape[1] * size_mm[0], shape[0] * size_mm[1]
    room = (MOST_WIDE - 2 * MARGIN + GAP) / columns - GAP
    return float(min(side / max(width, height), room / width))


def _width(text: str, size: int) -> int:
    return int(_font(size).getlength(text)) + 1


@cache
def _font(size: int) -> Any:
    """Return DejaVu Sans, which comes with matplotlib, or Pillow's own letters."""
    fonts = import_extra("PIL.ImageFont", "report")
    found = importlib.util.find_spec("matplotlib")
    for place in (found.submodule_search_locations or ()) if found else ():
        file = Path(place) / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
        if file.is_file():
            return fonts.truetype(str(file), size)
    return fonts.load_default(size)
