"""From a look at a scan to its two strips: stitched, and window by window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from neuraxis.inference.tiling import Tiling
from neuraxis.patches.grid import pad_to_window
from neuraxis.report.overlays import PLANES, as_grey, hung
from neuraxis.report.previews.strip import Panel, StripPainter, Words
from neuraxis.training.live.looking import Look
from neuraxis.training.live.subjects import Focus, Subject

MOST_ALONG = 8
LEAST_FLAT = 0.02


def draw(seen: Look, subject: Subject, focus: Focus, painter: StripPainter, step: str) -> dict[str, np.ndarray]:
    """Return the strips "whole" and "tiled" of a look, as pixels (rows, columns, 3).

    Args:
        seen: what the network said.
        subject: of which case.
        focus: where it was looked.
        painter: draws in the colours of the labels.
        step: where the training stood, in words.
    """
    drawing = _Drawing(seen, subject, focus)
    part = "" if seen.extent.is_whole else " in this part"
    dice = "" if math.isnan(seen.dice) else f"  \u00b7  Dice {seen.dice:.3f}{part}"
    heading, shown = f"{subject.id}  \u00b7  {step}{dice}", subject.shown_slice(focus.voxel) + 1
    where = f"{subject.role}, {subject.plane} slice {shown} of {subject.way.shape[subject.across]}"
    tiles = drawing.tiles(seen.tiling)
    count = f"{len(tiles)} window{'s' * (len(tiles) != 1)}"
    words = Words(heading, f"{where}; predicted: {seen.extent.words}", drawing.ends)
    return {
        "whole": painter.side_by_side(drawing.panels(seen.tiling), drawing.size_mm, words),
        "tiled": painter.tiled(tiles, drawing.size_mm, Words(heading, f"{where}; {count} on it, not merged yet")),
    }


class _Drawing:
    """The arrays of one slice, turned to RAS+ and hung."""

    def __init__(self, seen: Look, subject: Subject, focus: Focus) -> None:
        self.seen, self.way, self.across = seen, subject.way, subject.across
        self.plane, column, row, self.ends = PLANES[subject.plane]
        self.in_plane = self.way.turn.axes.index(row), self.way.turn.axes.index(column)
        spacing = self.way.grid.exact_spacing_mm
        self.size_mm = spacing[self.in_plane[1]], spacing[self.in_plane[0]]
        self.index = focus.voxel[self.across]
        x, y, z = (
            slice(self.index, self.index + 1) if axis == self.across else slice(0, size)
            for axis, size in enumerate(self.way.shape)
        )
        image, self.target = subject.read((x, y, z))
        self.grey = _grey(image[0])
        self.focus = focus

    def panels(self, tiling: Tiling) -> list[Panel]:
        """Return the image, the reference where there is one, and the prediction."""
        box, thick = list(self.seen.extent.box), self.seen.label_map
        box[self.across] = slice(0, 1)
        predicted, inside = np.zeros(self.grey.shape, thick.dtype), np.zeros(self.grey.shape, bool)
        row = self.index - self.seen.extent.corner[self.across]
        predicted[tuple(box)] = thick.take([row], axis=self.across)
        inside[tuple(box)] = True
        grey, frame = self._hung(self.grey), None
        if not inside.all():
            rows, columns = np.nonzero(self._hung(inside))
            frame = slice(int(rows.min()), int(rows.max()) + 1), slice(int(columns.min()), int(columns.max()) + 1)
        panels = [Panel("image", grey)]
        if self.target is not None:
            panels.append(Panel("reference", grey, self._hung(tiling.labels.decode_target(self.target))))
        return [*panels, Panel("prediction", grey, self._hung(predicted), frame)]

    def tiles(self, tiling: Tiling) -> dict[tuple[int, int], Panel]:
        """Return each window on the slice by its row and column on the picture."""
        window = list(tiling.window)
        window[self.across] = 1
        box = list(self.seen.extent.box)
        box[self.across] = slice(0, 1)
        grey, _ = pad_to_window(self.grey[tuple(box)][None], (window[0], window[1], window[2]), tiling.how.padding)
        columns, rows = self._order(self.in_plane[1], window), self._order(self.in_plane[0], window)
        found = {}
        for start, label_map in self.seen.windows.items():
            place = start[self.in_plane[0]], start[self.in_plane[1]]
            if place[0] in rows and place[1] in columns:
                cut = [slice(first, first + side) for first, side in zip(start, window, strict=True)]
                cut[self.across] = slice(0, 1)
                panel = Panel("", self._hung(grey[0][tuple(cut)]), self._hung(label_map))
                found[rows.index(place[0]), columns.index(place[1])] = panel
        return found

    def _order(self, axis: int, window: Sequence[int]) -> list[int]:
        """Return the starts along an axis in the order in which they are drawn; of many those around the focus."""
        starts = {start[axis] for start in self.seen.windows}
        here = self.focus.voxel[axis] - self.seen.extent.corner[axis] + self.seen.begin[axis]
        near = sorted(starts, key=lambda first: abs(first + window[axis] / 2 - here))[:MOST_ALONG]
        return sorted(near, reverse=not self.way.turn.flips[axis])

    def _hung(self, layer: np.ndarray) -> np.ndarray:
        """Return a layer of the prepared scan, one voxel thick, as rows and columns of the picture."""
        return hung(self.way.turn.undo(layer), self.plane, 0)


def _grey(layer: np.ndarray) -> np.ndarray:
    """Return a layer as uint8; a large part of it that is one value, such as air after normalising, is black."""
    flat = layer == layer.flat[0]
    others = layer[~flat]
    if flat.mean() < LEAST_FLAT or others.size < 2 or others.min() == others.max():
        return as_grey(layer)
    grey = np.zeros(layer.shape, np.uint8)
    grey[~flat] = as_grey(others)
    return grey
