"""A picture for people: slices of a scan, and what a label map shows on them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.files import refuse_existing
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.report.overlays import PLANES, THINNEST_VOXELS, as_grey, hung
from neuraxis.report.previews.strip import Panel, StripPainter, Words, save_png
from neuraxis.volume.grid import SAME_VOXELS

MOST_SLICES, SIDE = 20, 224
_LEFT = {"axial": "the patient's right is on the left", "coronal": "the patient's right is on the left",
         "sagittal": "the front is on the left"}  # fmt: skip


def _write(export: Export, path: Path, overwrite: bool) -> None:
    refuse_existing(path, overwrite)
    save_png(draw(export), path)


def draw(export: Export) -> np.ndarray:
    """Return the picture of a scan or a label map, uint8 (rows, columns, 3).

    A picture is drawn whole. Of a volume up to 20 slices are shown, evenly spread over where there is a label, across
    the axis with the thickest slices.

    Raises:
        DataError: the scan that a label map belongs to is refused, or lies on another grid.
        MissingExtra: Pillow is not installed.
    """
    grid = export.volume.grid
    grey, label_map = _grey(export), export.volume.array[0] if export.structures is not None else None
    painter = StripPainter(export.structures or ())
    name = _plane(grid.shape, grid.spacing_mm)
    across, column, row, ends = PLANES[name]
    size_mm = (grid.spacing_mm[column], grid.spacing_mm[row])

    def panel(index: int) -> Panel:
        return Panel("", hung(grey, across, index), None if label_map is None else hung(label_map, across, index))

    shown = _spread(grid.shape[across], across, label_map)
    if len(shown) == 1:
        return painter.side_by_side([panel(shown[0])], size_mm, Words(export.name, "", ends if across < 2 else ""))
    columns = math.ceil(math.sqrt(len(shown) * 1.25))
    tiles = {divmod(place, columns): panel(index) for place, index in enumerate(reversed(shown))}
    about = f"{name}, {len(shown)} of {grid.shape[across]} slices, {shown[-1] + 1} to {shown[0] + 1}; {_LEFT[name]}"
    return painter.tiled(tiles, size_mm, Words(export.name, about), SIDE)


def _grey(export: Export) -> np.ndarray:
    """Return what lies below the labels, uint8 (X, Y, Z): the scan, the image itself, or nothing."""
    if export.structures is None:
        return as_grey(export.volume.array.mean(axis=0))
    if export.scan is None:
        return np.zeros(export.volume.grid.shape, np.uint8)
    scan = export.scan.read()
    if not scan.grid.matches(export.volume.grid, SAME_VOXELS):
        raise DataError(
            f"{export.name}: the label map and the scan do not share a grid: {export.volume.grid.describe()} against "
            f"{scan.grid.describe()}. Name the scan that it was drawn on."
        )
    one = scan.channels == 1 or export.scan.index is not None
    return as_grey(export.scan.pick(scan) if one else scan.array.mean(axis=0))


def _plane(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> str:
    """Return the plane in which the scan is sharpest; axial where all are alike, and for a picture."""
    sharpest = {name: spacing_mm[across] for name, (across, *_) in PLANES.items()}
    thin = [name for name, (across, *_) in PLANES.items() if shape[across] < THINNEST_VOXELS]
    return thin[0] if thin else max(sharpest, key=lambda name: (round(sharpest[name], 3), name == "axial"))


def _spread(count: int, across: int, label_map: np.ndarray | None) -> list[int]:
    """Return the slices to show, rising: evenly spread over the labelled ones, or over all."""
    low, high = 0, count - 1
    if label_map is not None and label_map.any():
        labelled = np.nonzero(label_map.any(axis=tuple(axis for axis in range(3) if axis != across)))[0]
        low, high = int(labelled[0]), int(labelled[-1])
    places = np.linspace(low, high, min(MOST_SLICES, high - low + 1))
    return sorted({round(float(place)) for place in places})


OVERLAY = Form(("_overlay.png", ".png"), _write, takes="cases", packages=("PIL",))
