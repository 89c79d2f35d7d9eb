"""A case with its reference and its prediction, and the slices that show them.

Slices are drawn as radiologists hang them: the patient's right is on the left of the picture, the front is up (axial)
or on the left (sagittal), the head is up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.labels import Labels

MARGIN_MM = 15.0
NARROWEST = 0.6
THINNEST_VOXELS = 4
WHOLE = (slice(None), slice(None))

PLANES = {  # name: (axis cut across, axis along columns, axis along rows, ends at left, right, top, bottom)
    "axial": (2, 0, 1, "RLAP"),
    "coronal": (1, 0, 2, "RLSI"),
    "sagittal": (0, 1, 2, "APSI"),
}


@dataclass(frozen=True, eq=False)
class Overlay:
    """One case to be shown.

    Attributes:
        case: its id.
        caption: why it is shown, such as "worst" or "median, Dice 0.89".
        image: one channel (X, Y, Z), RAS+, any real dtype.
        reference: label numbers (X, Y, Z), or None where there is no reference.
        predicted: label numbers (X, Y, Z).
        spacing_mm: voxel size along (X, Y, Z).
        labels: what the numbers mean.

    Raises:
        ValueError: the arrays do not share a 3D shape.
    """

    case: str
    caption: str
    image: np.ndarray
    reference: np.ndarray | None
    predicted: np.ndarray
    spacing_mm: tuple[float, float, float]
    labels: Labels

    def __post_init__(self) -> None:
        shapes = [array.shape for array in (self.image, self.predicted, self.reference) if array is not None]
        if self.image.ndim != 3 or len(set(shapes)) > 1 or 0 in self.image.shape:
            raise ValueError(f"{self.case}: an overlay needs arrays (X, Y, Z) of one shape, not {shapes}.")

    def scored(self, label_map: np.ndarray) -> np.ndarray:
        """Return `label_map` with 0 where the reference says "ignore"."""
        ignore = self.labels.ignore
        if ignore is None:
            return label_map
        ignored = label_map == ignore
        if self.reference is not None:
            ignored |= self.reference == ignore
        return np.where(ignored, 0, label_map)


@dataclass(frozen=True, eq=False)
class Slice:
    """One plane of a case, as it is drawn: row 0 is on top, column 0 on the left.

    Attributes:
        plane: "axial", "coronal" or "sagittal".
        index: which slice, counted from 1 along RAS+, of `count`.
        count: number of slices across the plane.
        size_mm: width and height of a voxel on the picture.
        ends: the letters at left, right, top and bottom.
        reference: label numbers (rows, columns), or None.
        predicted: label numbers (rows, columns).
        grey: image, uint8 (rows, columns).
    """

    plane: str
    index: int
    count: int
    size_mm: tuple[float, float]
    ends: str
    reference: np.ndarray | None
    predicted: np.ndarray
    grey: np.ndarray

    def agreement(self) -> dict[str, np.ndarray]:
        """Return masks (rows, columns) of found, missed and false voxels, and of those given another structure."""
        if self.reference is None:
            return {}
        wanted, given = self.reference > 0, self.predicted > 0
        same = self.reference == self.predicted
        return {
            "found": wanted & same,
            "missed": wanted & ~given,
            "false": given & ~wanted,
            "confused": wanted & given & ~same,
        }


def slices(overlay: Overlay) -> tuple[Slice, ...]:
    """Return the three planes, each at the slice with most label, cut to the labels and a margin around them.

    A plane in which the scan is thinner than 4 voxels is left out, so that a 2D picture has one.
    """
    predicted = overlay.scored(overlay.predicted)
    reference = None if overlay.reference is None else overlay.scored(overlay.reference)
    labelled = (predicted > 0).astype(np.uint8)
    if reference is not None:
        labelled += reference > 0
    grey = as_grey(overlay.image)
    found = []
    for name in _planes(overlay.image.shape):
        across, column, row, ends = PLANES[name]
        index = _fullest(labelled, across)
        size = (overlay.spacing_mm[column], overlay.spacing_mm[row])
        box = _box(np.asarray(labelled.any(axis=across)), size)
        found.append(
            Slice(
                name,
                index + 1,
                overlay.image.shape[across],
                size,
                ends,
                None if reference is None else hung(reference, across, index, box),
                hung(predicted, across, index, box),
                hung(grey, across, index, box),
            )
        )
    return tuple(found)


def outline(mask: np.ndarray) -> list[np.ndarray]:
    """Return the closed border lines of a mask along the edges of its pixels.

    Args:
        mask: bool (rows, columns).

    Returns:
        Lines (points, 2) of corners (x, y), the mask on the right hand when y points down; the last point joins the
        first. Pixels that touch at a corner alone belong to lines of their own.
    """
    padded = np.pad(mask.astype(bool), 1)
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    inside = padded[1:-1, 1:-1]
    for (rows, columns), start, end in (
        (np.nonzero(inside & ~padded[:-2, 1:-1]), (0, 0), (1, 0)),
        (np.nonzero(inside & ~padded[1:-1, 2:]), (1, 0), (1, 1)),
        (np.nonzero(inside & ~padded[2:, 1:-1]), (1, 1), (0, 1)),
        (np.nonzero(inside & ~padded[1:-1, :-2]), (0, 1), (0, 0)),
    ):
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            following.setdefault((x + start[0], y + start[1]), []).append((x + end[0], y + end[1]))
    return _joined(following)


def chamfered(line: np.ndarray) -> np.ndarray:
    """Return the line through the midpoints of a border's unit edges: corners are cut, straight runs stay.

    This is what marching squares at one half draws for a mask.
    """
    middle: np.ndarray = (line + np.roll(line, -1, axis=0)) / 2
    return middle


def straightened(line: np.ndarray) -> np.ndarray:
    """Return a closed line without the points between two parallel pieces."""
    before, after = line - np.roll(line, 1, axis=0), np.roll(line, -1, axis=0) - line
    corners: np.ndarray = line[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
    return corners


def hung(array: np.ndarray, across: int, index: int, box: tuple[slice, slice] = WHOLE) -> np.ndarray:
    """Return one slice as rows and columns of the picture: the far end of each axis comes first.

    Args:
        array: (X, Y, Z), RAS+.
        across: the axis that is cut across.
        index: which slice.
        box: the part of the plane to show.
    """
    plane = array[tuple(index if axis == across else slice(None) for axis in range(3))]
    return np.ascontiguousarray(plane[box].T[::-1, ::-1])


def _planes(shape: tuple[int, ...]) -> tuple[str, ...]:
    names = (name for name, (_, *sides, _) in PLANES.items() if min(shape[side] for side in sides) >= THINNEST_VOXELS)
    return tuple(names) or ("axial",)


def _joined(following: dict[tuple[int, int], list[tuple[int, int]]]) -> list[np.ndarray]:
    lines = []
    while following:
        start = next((corner for corner, ends in following.items() if len(ends) == 1), next(iter(following)))
        line, here, previous = [start], following[start][0], start
        _use(following, start, here)
        while here != start:
            line.append(here)
            ends = following[here]
            heading = (here[0] - previous[0], here[1] - previous[1])
            right = (here[0] - heading[1], here[1] + heading[0])
            chosen = right if right in ends else ends[0]
            _use(following, here, chosen)
            previous, here = here, chosen
        lines.append(np.array(line, dtype=np.float64))
    return lines


def _use(following: dict[tuple[int, int], list[tuple[int, int]]], start: tuple[int, int], end: tuple[int, int]) -> None:
    following[start].remove(end)
    if not following[start]:
        del following[start]


def as_grey(image: np.ndarray) -> np.ndarray:
    """Return the image as uint8, from its 1st to its 99.5th percentile; what is not finite is black."""
    values = image.astype(np.float32)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.zeros(image.shape, np.uint8)
    low, high = np.percentile(finite, (1, 99.5))
    if high <= low:
        low, high = float(finite.min()), float(finite.max())
    scaled = (np.where(np.isfinite(values), values, low) - low) / max(float(high - low), 1e-12)
    grey: np.ndarray = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return grey


def _fullest(labelled: np.ndarray, across: int) -> int:
    """Return the slice with most label, reference and prediction added up; the middle one where there is none."""
    counts = labelled.sum(axis=tuple(axis for axis in range(3) if axis != across))
    return int(counts.argmax()) if counts.any() else labelled.shape[across] // 2


def _box(shadow: np.ndarray, size_mm: tuple[float, float]) -> tuple[slice, slice]:
    """Return the part of a plane to show: the labels' shadow on it and a margin, never very narrow."""
    if not shadow.any():
        return slice(0, shadow.shape[0]), slice(0, shadow.shape[1])
    spans = [np.nonzero(shadow.any(axis=1 - axis))[0][[0, -1]] + [0, 1] for axis in range(2)]
    lengths = [float(span[1] - span[0]) * size for span, size in zip(spans, size_mm, strict=True)]
    wanted = [length + 2 * max(MARGIN_MM, 0.5 * length) for length in lengths]
    wanted = [max(length, NARROWEST * max(wanted)) for length in wanted]
    parts = []
    for span, size, length, limit in zip(spans, size_mm, wanted, shadow.shape, strict=True):
        half = length / size / 2
        middle = (span[0] + span[1]) / 2
        parts.append(slice(max(0, int(np.floor(middle - half))), min(limit, int(np.ceil(middle + half)))))
    return parts[0], parts[1]
