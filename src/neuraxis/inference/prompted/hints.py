"""What a user, another model or a reference says of a scan before it is segmented, and where that is once prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from neuraxis.errors import UsageError, suggest
from neuraxis.networks.sam.prompts import Point, Prompt
from neuraxis.preparation import steps
from neuraxis.preparation.prepared import WayBack
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

Kind = Literal["coarse", "centre-line", "previous", "map", "line", "drawn"]
Place = tuple[int, int]
AXES = "xyz"
REFERENCE = "reference"
ORACLE = "The prompts came from the reference: this is an oracle, and not what a user would get."


@dataclass(frozen=True)
class Drawn:
    """A box or a point that a user drew, in the voxels of the scan's file, counted from 0.

    Attributes:
        text: as it was given, for messages.
        box: first and last voxel along the two axes within the slice (x0, y0, x1, y1), or None.
        slice: the slice of a box; None where the scan has one.
        point: the voxel of a point (x, y, z), or None.
        inside: whether the point is inside of the structure.
        structure: its name; empty where the model knows one alone.
    """

    text: str
    box: tuple[float, float, float, float] | None = None
    slice: int | None = None
    point: tuple[float, float, float] | None = None
    inside: bool = True
    structure: str = ""


@dataclass(frozen=True, eq=False)
class Hints:
    """Where the prompts of one scan come from.

    Attributes:
        kind: "coarse", "centre-line" and "previous" ask the network's own coarse map; "map" boxes the structures of a
            label map in every slice; "line" points at its middle; "drawn" takes what was drawn and nothing else.
        told: the source in words, for the sidecar.
        label_map: (X, Y, Z) on the scan's canonical grid; its bit k says whether structure k is there.
        drawn: what a user drew.
    """

    kind: Kind
    told: str
    label_map: np.ndarray | None = None
    drawn: tuple[Drawn, ...] = ()

    @property
    def is_oracle(self) -> bool:
        """Whether they come from the reference."""
        return self.told.partition(":")[0] == REFERENCE

    def provenance(self) -> dict[str, Any]:
        """Return what a sidecar says of the prompts."""
        drawn = [each.text for each in self.drawn]
        return {"prompts": {"source": self.told, "oracle": self.is_oracle, **({"drawn": drawn} if drawn else {})}}


@dataclass(frozen=True, eq=False)
class Laid:
    """Hints on the prepared grid.

    Attributes:
        hints: as they were given.
        label_map: on the prepared grid.
        drawn: (slice, structure) to the prompts there; structures are counted from 0.
    """

    hints: Hints
    label_map: np.ndarray | None
    drawn: Mapping[Place, Sequence[Prompt]]

    def moved(self, begin: Sequence[int], shape: Sequence[int], axis: int) -> Laid:
        """Return them in an image that begins `begin` voxels before this one and has another shape."""
        padded = None
        if self.label_map is not None:
            padded = np.zeros(tuple(shape), self.label_map.dtype)
            padded[tuple(slice(b, b + n) for b, n in zip(begin, self.label_map.shape, strict=True))] = self.label_map
        a, b = (begin[each] for each in range(3) if each != axis)
        return replace(
            self, label_map=padded, drawn={key: [_moved(one, a, b) for one in each] for key, each in self.drawn.items()}
        )


def lay(hints: Hints, scan: Volume, way: WayBack, axis: int, structures: Sequence[str]) -> Laid:
    """Bring hints to the prepared grid.

    Args:
        hints: of the scan.
        scan: on its canonical grid.
        way: how it was prepared.
        axis: across which it is seen slice by slice.
        structures: names of the network's outputs but for the background.

    Raises:
        UsageError: something drawn lies outside of the scan, or names no structure.
    """
    brought = None
    if hints.label_map is not None:
        brought = steps.resample_target(steps.cut(way.turn.apply(hints.label_map), way), way)
    drawn: dict[Place, list[Prompt]] = {}
    for each in hints.drawn:
        structure = _structure(each, structures)
        place, prompt = _located(each, scan, way.grid, axis)
        there = drawn.setdefault((place, structure), [])
        if there and prompt.box is None:
            there[-1] = replace(there[-1], points=(*there[-1].points, *prompt.points))
        else:
            there.append(prompt)
    return Laid(hints, brought, drawn)


def _structure(drawn: Drawn, structures: Sequence[str]) -> int:
    if not drawn.structure and len(structures) == 1:
        return 0
    if drawn.structure not in structures:
        what = f"names no structure '{drawn.structure}'" if drawn.structure else "does not say of which structure"
        offer = suggest(drawn.structure, structures) if drawn.structure else f"Write {structures[0]}={drawn.text}."
        raise UsageError(f"{drawn.text}: {what} of the model. {offer}")
    return list(structures).index(drawn.structure)


def _located(drawn: Drawn, scan: Volume, prepared: Grid, axis: int) -> tuple[int, Prompt]:
    """Return the prepared slice of what was drawn, and the prompt in its voxels."""
    grid = scan.stored.grid if scan.stored else scan.grid
    across = scan.stored.axes[axis] if scan.stored else axis
    within = [each for each in range(3) if each != across]
    if drawn.point is not None:
        corners = [drawn.point]
    else:
        box = drawn.box or (0.0, 0.0, 0.0, 0.0)
        number = _slice_of(drawn, grid.shape[across], across)
        corners = [_corner(within, across, box[:2], number), _corner(within, across, box[2:], number)]
    for corner in corners:
        _refuse_outside(drawn, corner, grid.shape)
    if drawn.box is not None:
        low, high = (np.min(corners, axis=0), np.max(corners, axis=0))
        low[within], high[within] = low[within] - 0.5, high[within] + 0.5
        corners = [tuple(low), tuple(high)]
    turn = np.linalg.inv(prepared.affine) @ grid.affine
    found = np.array([(turn @ [*corner, 1.0])[:3] for corner in corners])
    place = round(float(found[:, axis].mean()))
    if not 0 <= place < prepared.shape[axis]:
        raise UsageError(f"{drawn.text}: lies where the scan is empty and was cut away. Draw it on the structure.")
    flat = np.delete(found, axis, axis=1) + 0.5
    limits = np.delete(np.array(prepared.shape, float), axis)
    flat = np.clip(flat, 0, limits)
    if drawn.point is not None:
        point: Point = (float(flat[0, 0]), float(flat[0, 1]), drawn.inside)
        return place, Prompt(points=(point,))
    (a0, b0), (a1, b1) = flat.min(axis=0), flat.max(axis=0)
    if a1 - a0 < 0.5 or b1 - b0 < 0.5:
        raise UsageError(f"{drawn.text}: lies where the scan is empty and was cut away. Draw it on the structure.")
    return place, Prompt((float(a0), float(b0), float(a1), float(b1)))


def _slice_of(drawn: Drawn, count: int, across: int) -> int:
    if drawn.slice is None and count > 1:
        raise UsageError(
            f"{drawn.text}: says no slice, and the scan has {count} along {AXES[across]}. Add its number: "
            f"{drawn.text},SLICE, from 0 to {count - 1}."
        )
    return drawn.slice or 0


def _corner(within: Sequence[int], across: int, flat: Sequence[float], number: int) -> tuple[float, float, float]:
    voxel = [0.0, 0.0, 0.0]
    voxel[within[0]], voxel[within[1]], voxel[across] = flat[0], flat[1], float(number)
    return voxel[0], voxel[1], voxel[2]


def _refuse_outside(drawn: Drawn, voxel: Sequence[float], shape: Sequence[int]) -> None:
    for axis, (place, size) in enumerate(zip(voxel, shape, strict=True)):
        if not 0 <= place <= size - 1:
            raise UsageError(
                f"{drawn.text}: lies outside of the scan, whose voxels along {AXES[axis]} go from 0 to {size - 1}."
            )


def _moved(prompt: Prompt, a: int, b: int) -> Prompt:
    box = None if prompt.box is None else (prompt.box[0] + a, prompt.box[1] + b, prompt.box[2] + a, prompt.box[3] + b)
    return Prompt(box, tuple((x + a, y + b, inside) for x, y, inside in prompt.points))
