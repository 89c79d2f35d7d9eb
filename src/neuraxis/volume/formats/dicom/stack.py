"""From slices at their places to one straight grid, and back.

Slices are sorted along their normal. Where they lie one behind the other at even distances, they are the grid. A
tilted gantry moves each slice a little further within its own plane: the slices are kept, and each is moved back by a
part of a pixel (so thick slices are never mixed with one another for the tilt's sake). Uneven distances and missing
slices are brought to the finest distance that occurs more than once, linearly between neighbours. Labels take the way
back without interpolation: each pixel of a slice has exactly one voxel of the grid.

Inside this folder arrays are (slices, rows, columns) and the world is DICOM's: left, posterior, head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats.dicom.frames import Frame
from neuraxis.volume.grid import Grid

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAME_PLACE_MM = 0.01
_EVEN = 0.05  # of a step: how far a slice may lie from its place on an even grid
_ALIKE = 0.03  # of a step: steps that differ by less are the same distance, told with rounding
_DRIFT = 0.5  # pixels that slices may drift sideways, over the whole stack, before they are moved back
_GAP_MM, _GAP_STEPS = 25.0, 4.0
_MAX_GROWTH = 8
_NOWHERE = Path()
_BIAS = 1e-3  # of a pixel: halves are rounded alike on both ways though positions are rounded in files


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order, and the straight grid that stands for them.

    Attributes:
        frames: the slices of the first volume, by rising place along the normal.
        volumes: all slices (T, K): those of volume t at place k.
        places: of the slices along the normal from the first, in mm (K).
        shifts: of the slices from the first, in columns and rows (K, 2); all 0 where nothing is tilted.
        shape: rows and columns of a slice.
        step: between the slices of the grid, in mm.
        depth: how many slices the grid has.
        tilt_degrees: of the gantry; 0: none.
        remarks: what is odd, in words.
    """

    frames: tuple[Frame, ...] = field(repr=False)
    volumes: tuple[tuple[Frame, ...], ...] = field(repr=False)
    places: np.ndarray
    shifts: np.ndarray
    shape: tuple[int, int]
    step: float
    depth: int
    tilt_degrees: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def margin(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How many columns, and rows, the grid has before and behind the first slice's."""
        low, high = np.floor(self.shifts.min(axis=0)), np.ceil(self.shifts.max(axis=0))
        return (int(-low[0]), int(high[0])), (int(-low[1]), int(high[1]))

    @property
    def straight_shape(self) -> tuple[int, int, int]:
        """Slices, rows and columns of the grid."""
        columns, rows = (sum(margin) for margin in self.margin)
        return self.depth, self.shape[0] + rows, self.shape[1] + columns

    @property
    def is_even(self) -> bool:
        """Whether each slice of the grid is one of the stack, at its place."""
        return self.depth == len(self.places) and bool(
            np.abs(self.places - self.step * np.arange(self.depth)).max() <= _EVEN * self.step
        )

    @property
    def is_straight(self) -> bool:
        """Whether no slice is moved."""
        return not self.shifts.any()

    def grid(self) -> Grid:
        """Return the straight grid (columns, rows, slices) in RAS+ mm."""
        first = self.frames[0]
        depth, rows, columns = self.straight_shape
        normal = np.cross(first.row, first.column)
        affine = np.eye(4)
        affine[:3, 0] = np.array(first.row) * first.spacing[1]
        affine[:3, 1] = np.array(first.column) * first.spacing[0]
        affine[:3, 2] = normal * self.step
        (left, _), (above, _) = self.margin
        affine[:3, 3] = first.position or (0.0, 0.0, 0.0)
        affine[:3, 3] -= affine[:3, 0] * left + affine[:3, 1] * above
        return Grid((columns, rows, depth), TO_RAS @ affine)

    def straighten(self, slices: np.ndarray) -> np.ndarray:
        """Bring values (K, rows, columns) onto the grid, linearly; what no slice covers takes the lowest value."""
        if self.is_even and self.is_straight:
            return slices
        moved = np.full((len(slices), *self.straight_shape[1:]), slices.min(), np.float32)
        (left, _), (above, _) = self.margin
        for out, values, (across, down) in zip(moved, slices, self.shifts, strict=True):
            rows = _moved(values.astype(np.float32), down + above, out.shape[0], float(out[0, 0]))
            out[...] = _moved(rows.T, across + left, out.shape[1], float(out[0, 0])).T
        if self.is_even:
            return moved
        below, above_it, weight = self._between()
        result = np.empty(self.straight_shape, np.float32)
        for out, low, high, part in zip(result, below, above_it, weight, strict=True):
            out[...] = moved[low] if part == 0 else (1 - part) * moved[low] + part * moved[high]
        return result

    def straighten_labels(self, slices: np.ndarray) -> np.ndarray:
        """Bring labels (K, rows, columns) onto the grid: each voxel takes the pixel that lies nearest, below of two."""
        result = np.zeros(self.straight_shape, slices.dtype)
        places = self.step * np.arange(self.depth)
        nearest = np.abs(places[:, None] - self.places - _BIAS * self.step).argmin(axis=1)
        for out, index in zip(result, nearest, strict=True):
            out[self._window(int(index))] = slices[index]
        return result

    def slices_of(self, straight: np.ndarray) -> np.ndarray:
        """Bring labels (depth, rows, columns) on the grid back to the slices (K, rows, columns)."""
        nearest = np.clip(np.floor(self.places / self.step + 0.5 + _BIAS), 0, self.depth - 1).astype(int)
        return np.stack([straight[index][self._window(place)] for place, index in enumerate(nearest)])

    def _window(self, index: int) -> tuple[slice, slice]:
        """Return the rows and columns of the grid that a slice's pixels stand for."""
        (left, _), (above, _) = self.margin
        across, down = self.shifts[index]
        row = int(np.floor(down + above + 0.5 + _BIAS))
        column = int(np.floor(across + left + 0.5 + _BIAS))
        return slice(row, row + self.shape[0]), slice(column, column + self.shape[1])

    def _between(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places = np.clip(self.step * np.arange(self.depth), self.places[0], self.places[-1])
        above = np.clip(np.searchsorted(self.places, places, side="left"), 1, len(self.places) - 1)
        below = above - 1
        weight = (places - self.places[below]) / (self.places[above] - self.places[below])
        weight[weight < 1e-4] = 0
        weight[weight > 1 - 1e-4] = 1
        return below, above, weight


def pile(frames: Sequence[Frame], shape: tuple[int, int], who: str) -> Stack:
    """Sort slices of one orientation and find their grid.

    Args:
        frames: the slices, in any order.
        shape: rows and columns of each.
        who: names the series in messages.

    Raises:
        DataError: they do not say where they lie, or make no stack.
    """
    if any(frame.position is None for frame in frames):
        if len(frames) > 1:
            raise DataError(
                f"{who}: its slices do not say where they lie (no Image Position). Needed is a series with positions; "
                "choose the original one."
            )
        remark = "the header does not say where the slice lies, so left and right are a guess"
        return _single(frames[0], shape, (remark,))
    normal = np.cross(frames[0].row, frames[0].column)
    heights = np.array([np.dot(frame.position or (), normal) for frame in frames])
    volumes, remarks = _volumes(frames, heights)
    ordered = volumes[0]
    if len(ordered) == 1:
        return _single(ordered[0], shape, (*remarks, "there is a single slice"), volumes)
    corners = np.array([frame.position for frame in ordered]) - np.array(ordered[0].position)
    places = corners @ normal
    step, depth, uneven = _spacing(places, who)
    shifts, tilt, moved = _tilt(ordered, corners, places)
    stack = Stack(ordered, volumes, places, shifts, shape, step, depth, tilt, (*remarks, *moved, *uneven))
    _refuse_growth(stack, who)
    return stack


def stack_on(grid: Grid) -> Stack:
    """Return the slices that a grid would have been made of, had it been DICOM: those along its third axis.

    Args:
        grid: in any order of axes.
    """
    straight = TO_RAS @ grid.affine
    columns, rows, depth = grid.shape
    sizes = np.sqrt((straight[:3, :3] ** 2).sum(axis=0))
    row, column = (tuple(straight[:3, axis] / sizes[axis]) for axis in (0, 1))
    frames = tuple(
        Frame(
            path=_NOWHERE, index=0, position=tuple(straight[:3, 3] + index * straight[:3, 2]), row=row, column=column,
            spacing=(float(sizes[1]), float(sizes[0])), thickness=float(sizes[2]), distance=float(sizes[2]),
            slope=1.0, intercept=0.0, order=(),
        )
        for index in range(depth)
    )  # fmt: skip
    normal = np.cross(frames[0].row, frames[0].column)
    places = float(straight[:3, 2] @ normal) * np.arange(depth)
    return Stack(frames, (frames,), places, np.zeros((depth, 2)), (rows, columns), float(sizes[2]), depth)


def _moved(values: np.ndarray, shift: float, size: int, fill: float) -> np.ndarray:
    """Move the lines (L, N) of an array along its first axis by a part of a line, into `size` lines."""
    start = int(np.floor(shift))
    part = np.float32(shift - start)
    result = np.full((size, values.shape[1]), fill, np.float32)
    count = len(values)
    if part < _BIAS:
        result[start : start + count] = values
        return result
    result[start + 1 : start + count] = (1 - part) * values[1:] + part * values[:-1]
    if part < 0.5 - _BIAS:
        result[start] = values[0]
    else:
        result[start + count] = values[-1]
    return result


def _single(
    frame: Frame, shape: tuple[int, int], remarks: tuple[str, ...], volumes: tuple[tuple[Frame, ...], ...] = ()
) -> Stack:
    step = frame.distance or frame.thickness or 1.0
    return Stack((frame,), volumes or ((frame,),), np.zeros(1), np.zeros((1, 2)), shape, step, 1, 0.0, remarks)


def _volumes(frames: Sequence[Frame], heights: np.ndarray) -> tuple[tuple[tuple[Frame, ...], ...], list[str]]:
    """Sort slices by place; where each place has several, they are as many volumes."""
    order = np.argsort(heights, kind="stable")
    places: list[list[Frame]] = []
    last = -np.inf
    for index in order:
        if heights[index] - last > SAME_PLACE_MM:
            places.append([])
        places[-1].append(frames[index])
        last = heights[index]
    for here in places:
        here.sort(key=lambda frame: frame.order)
    counts = [len(here) for here in places]
    few, many = min(counts), max(counts)
    remarks = []
    if few != many and few == 1:
        doubled = sum(count > 1 for count in counts)
        remarks.append(f"{doubled} of {len(places)} places hold more than one slice; the first of each is taken")
    elif few != many:
        remarks.append(f"the last volumes lack slices; the first {few} are taken")
    return tuple(tuple(here[index] for here in places) for index in range(few)), remarks


def _spacing(places: np.ndarray, who: str) -> tuple[float, int, list[str]]:
    """Return the grid's step and number of slices, and what is odd about the slices' distances."""
    steps = np.diff(places)
    mean = float(places[-1] / len(steps))
    if np.abs(places - mean * np.arange(len(places))).max() <= max(_EVEN * mean, SAME_PLACE_MM):
        return mean, len(places), []
    base = _finest(steps)
    worst = float(steps.max())
    if worst > _GAP_MM and worst > _GAP_STEPS * base:
        raise DataError(
            f"{who}: {worst:.4g} mm lie between two neighbouring slices, {base:.3g} mm between others. What lies "
            "between them cannot be made up: add the missing slices, or name the part that is meant."
        )
    depth = int(np.ceil(places[-1] / base - 0.01)) + 1
    wholes = np.rint(steps / base)
    if np.abs(steps / base - wholes).max() <= 2 * _EVEN and wholes.min() >= 1:
        base = float(places[-1] / wholes.sum())
        missing = int((wholes - 1).sum())
        where = ", ".join(f"after slice {index + 1}" for index in np.flatnonzero(wholes > 1)[:4])
        count = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
        return base, int(wholes.sum()) + 1, [f"{count} ({where}); neighbours are interpolated in its place"]
    found = ", ".join(f"{size:.3g}" for size in _distances(steps))
    return base, depth, [f"the slices lie {found} mm apart; they are interpolated to an even {base:.3g} mm"]


def _finest(steps: np.ndarray) -> float:
    """Return the smallest distance between slices that occurs more than once, else the smallest."""
    sizes = np.sort(steps)
    alike = [sizes[np.abs(sizes - size) <= _ALIKE * size + SAME_PLACE_MM] for size in sizes]
    repeated = [cluster for cluster in alike if len(cluster) > 1]
    return float(np.mean(repeated[0])) if repeated else float(sizes[0])


def _distances(steps: np.ndarray) -> list[float]:
    """Return each distance that occurs once, smaller ones first; at most six."""
    found: list[float] = []
    for size in np.sort(steps):
        if not found or size - found[-1] > _ALIKE * size + SAME_PLACE_MM:
            found.append(float(size))
    return found if len(found) <= 6 else [*found[:5], found[-1]]


def _tilt(frames: Sequence[Frame], corners: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, float, list[str]]:
    """Return how far slices are moved within their planes, in pixels, and what is said of it."""
    first = frames[0]
    across, down = corners @ np.array(first.row), corners @ np.array(first.column)
    shifts = np.stack([across / first.spacing[1], down / first.spacing[0]], axis=1)
    if np.abs(shifts).max() <= _DRIFT:
        return np.zeros_like(shifts), 0.0, []
    for axis in (0, 1):  # a drift that rounding explains is none
        if np.abs(shifts[:, axis]).max() <= _DRIFT:
            shifts[:, axis] = 0
    drift = float(np.hypot(across[-1], down[-1]))
    degrees = float(np.degrees(np.arctan2(drift, places[-1])))
    even = np.outer(places / places[-1], shifts[-1])
    if np.abs(shifts - even).max() <= 1.0:
        remark = f"the gantry was tilted by {degrees:.1f} degrees; the slices are moved onto a straight grid"
        return shifts, degrees, [remark]
    far = float(np.abs(np.stack([across, down])).max())
    return shifts, degrees, [f"slices lie up to {far:.3g} mm beside one another; they are moved onto a straight grid"]


def _refuse_growth(stack: Stack, who: str) -> None:
    """Refuse positions that would make a grid far larger than the slices."""
    rows, columns = stack.shape
    (left, right), (above, below) = stack.margin
    held = len(stack.places) * rows * columns
    wanted = stack.depth * (rows + above + below) * (columns + left + right)
    if wanted > _MAX_GROWTH * held + 2**20:
        raise DataError(
            f"{who}: its slices are strewn too far to make one stack (distances from {np.diff(stack.places).min():.3g} "
            f"to {np.diff(stack.places).max():.4g} mm). Was a slice of another series mixed in? Take it out."
        )
