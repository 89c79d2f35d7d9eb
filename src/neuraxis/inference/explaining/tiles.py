"""A prepared image in the windows that prediction lays, and what is found in them laid back over the image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.inference.tiling import Tiling, zeros
from neuraxis.patches.grid import Shape
from neuraxis.patches.merge import Merger

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Tiles:
    """An image cut into windows.

    Attributes:
        image: (C, X, Y, Z) float32, padded to the window.
        begin: where the image that was given begins in it.
        shape: of the image that was given.
        starts: first voxel of each window.
        window: voxels along (X, Y, Z).
        weight: (x, y, z), how much each voxel of a window weighs where windows overlap.
        batch: how many windows are run at once.
    """

    image: np.ndarray
    begin: Shape
    shape: Shape
    starts: tuple[Shape, ...]
    window: Shape
    weight: np.ndarray
    batch: int = 1

    @classmethod
    def of(cls, image: np.ndarray, tiling: Tiling, most_voxels: int = 0) -> Tiles:
        """Cut a prepared image (C, X, Y, Z) as prediction does, as many windows at once as hold so many voxels."""
        padded, begin, starts = tiling.lay(image)
        shape = image.shape[1], image.shape[2], image.shape[3]
        batch = max(1, most_voxels // math.prod(tiling.window))
        return cls(padded, begin, shape, starts, tiling.window, tiling.weight(), batch)

    def box(self, start: Shape) -> Box:
        """Return a window as slices of the image."""
        x, y, z = (slice(first, first + side) for first, side in zip(start, self.window, strict=True))
        return x, y, z

    def chunks(self, starts: Iterable[Shape] | None = None) -> Iterator[tuple[Shape, ...]]:
        """Yield the windows that are run at once, none of which begins on another plane than the others."""
        for _, group in itertools.groupby(self.starts if starts is None else starts, lambda start: start[0]):
            together = list(group)
            for first in range(0, len(together), self.batch):
                yield tuple(together[first : first + self.batch])

    def cut(self, starts: Sequence[Shape]) -> np.ndarray:
        """Return windows (B, C, x, y, z)."""
        return np.stack([self.image[(slice(None), *self.box(start))] for start in starts])

    def padded(self, masks: np.ndarray) -> np.ndarray:
        """Return masks (L, X, Y, Z) of the image that was given, False where it was padded."""
        whole = np.zeros((len(masks), *self.image.shape[1:]), bool)
        whole[(slice(None), *self._inside())] = masks
        return whole

    def summed(self) -> np.ndarray:
        """Return the summed weight of all windows, (X, Y, Z) float32, by which a window's share of a voxel is told."""
        total = np.zeros(self.image.shape[1:], np.float32)
        for start in self.starts:
            total[self.box(start)] += self.weight
        return total

    def merged(self, found: Iterable[tuple[Shape, np.ndarray]], count: int) -> Iterator[np.ndarray]:
        """Lay what was found in windows over the image: the weighted mean of those that cover a voxel.

        Args:
            found: first voxel and values (L, x, y, z) float32 of every window, those of a plane before the next.
            count: L.

        Yields:
            Slabs (L, n, Y, Z) of the image that was given, along X; each is overwritten by the next.
        """
        padded = self.image.shape[1], self.image.shape[2], self.image.shape[3]
        merger = Merger.of_numpy(count, padded, self.weight, zeros=zeros)
        rows, *across = self._inside()
        plane = 0
        for start, values in found:
            if start[0] > plane:
                yield merger.finish(start[0] - plane)[(slice(None), slice(max(0, rows.start - plane), None), *across)]
                plane = start[0]
            merger.add(start, values)
        last = slice(max(0, rows.start - plane), rows.stop - plane)
        yield merger.finish()[(slice(None), last, *across)]

    def _inside(self) -> Box:
        x, y, z = (slice(first, first + size) for first, size in zip(self.begin, self.shape, strict=True))
        return x, y, z
