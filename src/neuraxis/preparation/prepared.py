"""What the network sees of a case, and the way back to the scan."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from neuraxis.recipe.preparation import Interpolation
from neuraxis.registration.transform import Transform
from neuraxis.volume.grid import Grid
from neuraxis.volume.interpolation import Order
from neuraxis.volume.lattice import SAME, Ticks, back
from neuraxis.volume.resample import Orders
from neuraxis.volume.turn import NO_TURN, Turn

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class WayBack:
    """How a scan was turned, cut and resampled, so that a result returns to its canonical grid.

    Attributes:
        source: the scan's grid, turned to the network's axes.
        crop_start: first voxel of the box that was kept.
        crop_shape: size of that box.
        shape: its size after resampling; the shape of the prepared arrays.
        thick_axis: the axis of thick slices, or None.
        thick_across: how values are interpolated along it, there and back.
        turn: how the axes of `source` and of all above lie in the scan's.
        thick_axis_back: the axis of thick slices on the way back.
        ticks: where the prepared voxels lie among those of the box, if it is not the box's edges that were kept.
        native: the grid that results return to, where `source` is that of a template.
        to_native: from the world of `source` to that of `native`.
    """

    source: Grid
    crop_start: Triple
    crop_shape: Triple
    shape: Triple
    thick_axis: int | None = None
    thick_across: Interpolation = "nearest"
    turn: Turn = NO_TURN
    thick_axis_back: int | None = None
    ticks: Ticks | None = None
    native: Grid | None = None
    to_native: Transform | None = None

    @property
    def home(self) -> Grid:
        """The grid that results return to; its axes are the network's where there is no template."""
        return self.native or self.source

    @property
    def grid(self) -> Grid:
        """The grid of the prepared arrays."""
        box = self.source.cropped(self.crop_start, self.crop_shape)
        if self.ticks is None:
            return box.resampled(self.shape)
        moved = np.diag([*(step for _, step in self.ticks), 1.0])
        moved[:3, 3] = [start for start, _ in self.ticks]
        return Grid(self.shape, box.affine @ moved)

    @property
    def is_resampled(self) -> bool:
        """Whether the prepared voxels are others than those of the box."""
        return self.shape != self.crop_shape or self.ticks not in (None, (SAME, SAME, SAME))

    @property
    def ticks_back(self) -> Ticks | None:
        """Where the voxels of the box lie among the prepared ones; None where the edges of the box were kept."""
        return None if self.ticks is None else back(self.ticks)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The kept box as slices of the source."""
        x, y, z = (slice(a, a + n) for a, n in zip(self.crop_start, self.crop_shape, strict=True))
        return x, y, z

    def orders(self, order: Order) -> Orders:
        """Return the order of interpolation along each axis: `order`, but across thick slices that which is chosen."""
        return self._orders(order, self.thick_axis)

    @property
    def orders_back(self) -> Orders:
        """The order of interpolation along each axis on the way back: linear, but across thick slices as chosen."""
        return self._orders(1, self.thick_axis_back)

    def _orders(self, order: Order, thick_axis: int | None) -> Orders:
        across: Order = 0 if self.thick_across == "nearest" else 1
        x, y, z = (min(order, across) if axis == thick_axis else order for axis in range(3))
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
            "turn": asdict(self.turn),
            "thick_axis_back": self.thick_axis_back,
            **({"ticks": [list(tick) for tick in self.ticks]} if self.ticks else {}),
            **self._home_to_dict(),
        }

    def _home_to_dict(self) -> dict[str, Any]:
        if self.native is None or self.to_native is None:
            return {}
        return {
            "native_shape": list(self.native.shape),
            "native_affine": self.native.affine.tolist(),
            "to_native": self.to_native.to_dict(),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> WayBack:
        """Build from what `to_dict` returned."""
        source = Grid(tuple(content["source_shape"]), np.array(content["source_affine"]))
        start, cropped, shape = (tuple(content[name]) for name in ("crop_start", "crop_shape", "shape"))
        axis, across = content.get("thick_axis"), content.get("thick_across", "nearest")
        turn = Turn(**{name: tuple(values) for name, values in content.get("turn", {}).items()})
        ticks = None
        if "ticks" in content:
            x, y, z = ((float(start), float(step)) for start, step in content["ticks"])
            ticks = (x, y, z)
        way = cls(source, start, cropped, shape, axis, across, turn, content.get("thick_axis_back", axis), ticks)
        if "to_native" not in content:
            return way
        native = Grid(tuple(content["native_shape"]), np.array(content["native_affine"]))
        return replace(way, native=native, to_native=Transform.from_dict(content["to_native"]))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as the network sees it.

    Attributes:
        image: (C, X, Y, Z) float32, at the recipe's spacing, normalised.
        way_back: how to return to the scan's grid.
        target: (T, X, Y, Z) uint8, see `Labels.encode`, or of soft labels float16, see `Labels.encode_shares`; None for
            an unlabelled scan.
        warnings: what went wrong on the way, in words.
    """

    image: np.ndarray
    way_back: WayBack
    target: np.ndarray | None = None
    warnings: tuple[str, ...] = ()

    @property
    def grid(self) -> Grid:
        """The grid of `image` and `target`."""
        return self.way_back.grid
