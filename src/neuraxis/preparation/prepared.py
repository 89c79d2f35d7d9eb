"""What the network sees of a case, and the way back to the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.recipe.preparation import Interpolation
from neuraxis.volume.grid import Grid
from neuraxis.volume.interpolation import Order
from neuraxis.volume.resample import Orders

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class WayBack:
    """How a prepared array was cut and resampled, so that a result returns to the scan's canonical grid.

    Attributes:
        source: the scan's canonical grid.
        crop_start: first voxel of the box that was kept.
        crop_shape: size of that box.
        shape: its size after resampling; the shape of the prepared arrays.
        thick_axis: the axis of thick slices, or None.
        thick_across: how values are interpolated along it, there and back.
    """

    source: Grid
    crop_start: Triple
    crop_shape: Triple
    shape: Triple
    thick_axis: int | None = None
    thick_across: Interpolation = "nearest"

    @property
    def grid(self) -> Grid:
        """The grid of the prepared arrays."""
        return self.source.cropped(self.crop_start, self.crop_shape).resampled(self.shape)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The kept box as slices of the source."""
        x, y, z = (slice(a, a + n) for a, n in zip(self.crop_start, self.crop_shape, strict=True))
        return x, y, z

    def orders(self, order: Order) -> Orders:
        """Return the order of interpolation along each axis: `order`, but across thick slices that which is chosen."""
        across: Order = 0 if self.thick_across == "nearest" else 1
        x, y, z = (min(order, across) if axis == self.thick_axis else order for axis in range(3))
        return x, y, z

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-able content."""
        return {
            "source_shape": list(self.source.shape),
            "source_affine": self.source.affine.tolist(),
            "crop_start": list(self.crop_start),
            "crop_shape": list(self.crop_shape),
            "shape": list(self.shape),
            "thick_axis": self.thick_axis,
            "thick_across": self.thick_across,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> WayBack:
        """Build from what `to_dict` returned."""
        source = Grid(tuple(content["source_shape"]), np.array(content["source_affine"]))
        start, cropped, shape = (tuple(content[name]) for name in ("crop_start", "crop_shape", "shape"))
        axis, across = content.get("thick_axis"), content.get("thick_across", "nearest")
        return cls(source, start, cropped, shape, axis, across)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as the network sees it.

    Attributes:
        image: (C, X, Y, Z) float32, at the recipe's spacing, normalised.
        way_back: how to return to the scan's grid.
        target: (T, X, Y, Z) uint8, see `Labels.encode`; None for an unlabelled scan.
    """

    image: np.ndarray
    way_back: WayBack
    target: np.ndarray | None = None

    @property
    def grid(self) -> Grid:
        """The grid of `image` and `target`."""
        return self.way_back.grid
