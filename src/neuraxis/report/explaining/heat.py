"""A case with its maps as a page holds it: the slices of the browser, and each map over them as a small picture.

Maps are smooth or made of blocks, so that a heat map is kept at few pixels and drawn large; labels of experts are kept
as runs, in full.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.report.browser.slices import browser_case, runs
from neuraxis.report.overlays import PLANES, Overlay, hung
from neuraxis.report.png import data_url

HEAT_PIXELS = 96
_SHARE = 0.3  # of what a picture takes, that a map over it takes


@dataclass(frozen=True)
class HeatCase:
    """One case of the page.

    Attributes:
        id: the case's id.
        content: what the page's script reads.
    """

    id: str
    content: dict[str, Any]

    @property
    def size(self) -> int:
        """About how many bytes it adds to a page."""
        slices = self.content["slices"]
        return sum(len(one["grey"]) + sum(map(len, [*one["maps"], *one["layers"]])) for one in slices)


class HeatCut:
    """A case cut to slices, to which maps are added one after another.

    Args:
        overlay: scan, segmentation and, where there is one, reference.
        most_bytes: about how large it may become.
        maps: how many will be added.
    """

    def __init__(self, overlay: Overlay, most_bytes: int, maps: int) -> None:
        case = browser_case([overlay], int(most_bytes / (1 + _SHARE * maps)))
        self._content: dict[str, Any] = {**case.content, "note": case.note, "layers": []}
        self._shape = overlay.image.shape
        for one in self._content["slices"]:
            one["layers"] = []

    def add_heat(self, name: str, array: np.ndarray, note: str = "") -> None:
        """Add a map (X, Y, Z) of values in [0, 1]."""
        self._add({"name": name, "kind": "heat", "note": note}, array)
        for one, picture in self._pictures(array):
            step = max(1, -(-max(picture.shape) // HEAT_PIXELS))
            levels = np.clip(_means(picture, step) * 255, 0, 255).round().astype(np.uint8)
            one["layers"].append(data_url(levels))

    def add_classes(self, name: str, array: np.ndarray, count: int, note: str = "") -> None:
        """Add a map (X, Y, Z) of whole numbers from 1 to `count`; 0 is nothing."""
        self._add({"name": name, "kind": "classes", "count": count, "note": note}, array)
        for one, picture in self._pictures(array):
            one["layers"].append(runs(picture.astype(np.uint8)))

    def done(self) -> HeatCase:
        """Return the case."""
        return HeatCase(str(self._content["id"]), self._content)

    def _add(self, layer: dict[str, Any], array: np.ndarray) -> None:
        if array.shape != self._shape:
            raise ValueError(f"A map of {array.shape} voxels does not lie on a scan of {self._shape}.")
        self._content["layers"].append(layer)

    def _pictures(self, array: np.ndarray) -> list[tuple[dict[str, Any], np.ndarray]]:
        across = PLANES[self._content["plane"]][0]
        first, second = (slice(*ends) for ends in self._content["box"])
        slices = self._content["slices"]
        return [(one, hung(array, across, one["index"] - 1, (first, second))) for one in slices]


def _means(picture: np.ndarray, step: int) -> np.ndarray:
    """Return the means of squares of `step` pixels; those at the end may be narrower."""
    rows, columns = (np.arange(0, size, step) for size in picture.shape)
    sums = np.add.reduceat(np.add.reduceat(picture.astype(np.float32), rows, axis=0), columns, axis=1)
    counts = np.diff(np.append(rows, picture.shape[0]))[:, None] * np.diff(np.append(columns, picture.shape[1]))
    return np.asarray(sums / counts, np.float32)
