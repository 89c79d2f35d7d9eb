"""A case as the browser of a page holds it: some slices as small pictures, label maps as runs of numbers.

A page of 100 cases must stay below 30 MB, so each case has a share of bytes. It decides how many slices are kept (those
with label first, evenly spread) and whether their pictures are halved; label maps are always kept in full.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraxis.report.overlays import PLANES, Overlay, as_grey, hung
from neuraxis.report.png import data_url

PAGE_BYTES = 18_000_000
CASE_BYTES = 1_600_000
MOST_LABELS = 15
MARGIN_VOXELS = 4
_FEWEST = 8
_BYTES_A_PIXEL = 0.75  # of a grey picture of 64 levels, packed and as text
_DARK = 12
_THUMB = 72
_COLOURS = {"found": (0, 158, 115), "missed": (230, 159, 0), "false": (86, 180, 233), "confused": (204, 121, 167)}


@dataclass(frozen=True)
class BrowserCase:
    """One case of the browser.

    Attributes:
        id: the case's id.
        note: its scores in a few words.
        content: what the page's script reads.
        thumbnail: a small picture as a `data:` address, where found, missed and false are coloured.
        thumbnail_size: its width and height in pixels.
    """

    id: str
    note: str
    content: dict[str, Any]
    thumbnail: str
    thumbnail_size: tuple[int, int]

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the entries that predicted it; a single one has none."""
        return tuple(self.content["entries"])

    @property
    def size(self) -> int:
        """About how many bytes it adds to a page."""
        return len(self.thumbnail) + sum(
            len(one["grey"]) + sum(map(len, one["maps"])) for one in self.content["slices"]
        )


def bytes_a_case(cases: int) -> int:
    """Return how many bytes each of so many cases may have."""
    return min(CASE_BYTES, PAGE_BYTES // max(1, cases))


def browser_case(overlays: Sequence[Overlay], most_bytes: int, entries: Sequence[str] = ("",)) -> BrowserCase:
    """Cut a case into the slices that the page shows.

    Args:
        overlays: the case with its reference, once for each entry that predicted it; their captions are the notes.
        most_bytes: about how large it may become.
        entries: names of the entries, in the order of the overlays.
    """
    overlay = overlays[0]
    predictions = [one.scored(one.predicted) for one in overlays]
    predicted = predictions[0]
    reference = np.zeros_like(predicted) if overlay.reference is None else overlay.scored(overlay.reference)
    plane = _plane(overlay)
    across, column, row, ends = PLANES[plane]
    grey = as_grey(overlay.image)
    coded = [_codes(reference, one, overlay) for one in predictions]
    codes = coded[0] if len(coded) == 1 else np.maximum.reduce(coded)
    box = _box(grey, codes, across)
    shape = hung(grey, across, 0, box).shape
    weight = shape[0] * shape[1] * _BYTES_A_PIXEL
    halved = weight * _FEWEST > most_bytes and min(shape) >= 96
    count = max(1, int(most_bytes // (weight / 4 if halved else weight)))
    chosen = _chosen(codes, across, count)
    slices: list[dict[str, Any]] = []
    left = most_bytes
    for index in chosen:
        picture = hung(grey, across, index, box)
        one: dict[str, Any] = {
            "index": index + 1,
            "grey": data_url(_fewer_levels(_halved(picture) if halved else picture)),
            "maps": [runs(hung(one, across, index, box)) for one in coded],
        }
        left -= len(one["grey"]) + sum(map(len, one["maps"]))
        if slices and left < 0:
            break
        slices.append(one)
    slices.sort(key=lambda one: one["index"])
    thumbnail = _thumbnail(*(hung(array, across, chosen[0], box) for array in (grey, reference, predicted)))
    spacing = overlay.spacing_mm
    content = {
        "id": overlay.case,
        "entries": list(entries),
        "notes": [one.caption for one in overlays],
        "plane": plane,
        "ends": ends,
        "count": int(overlay.image.shape[across]),
        "first": chosen[0] + 1,
        "rows": shape[0],
        "columns": shape[1],
        "box": [[part.start, part.stop] for part in box],
        "mm": [shape[1] * spacing[column], shape[0] * spacing[row]],
        "judged": overlay.reference is not None,
        "slices": slices,
    }
    size = thumbnail.shape[1], thumbnail.shape[0]
    return BrowserCase(overlay.case, overlay.caption, content, data_url(thumbnail), size)


def runs(codes: np.ndarray) -> str:
    """Return numbers as runs, in base64: the number, then how often it comes, 7 bits a byte, the lowest first.

    >>> base64.b64decode(runs(np.array([[0, 0, 0], [17, 0, 0]], np.uint8))).hex()
    '000311010002'
    """
    flat = codes.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1 - int(flat[0])))
    lengths = np.diff(starts, append=flat.size)
    packed = bytearray()
    for value, length in zip(flat[starts].tolist(), lengths.tolist(), strict=True):
        packed.append(value)
        while length >= 128:
            packed.append(length & 127 | 128)
            length >>= 7
        packed.append(length)
    return base64.b64encode(bytes(packed)).decode()


def agreement_picture(grey: np.ndarray, reference: np.ndarray, predicted: np.ndarray, share: float) -> np.ndarray:
    """Return a slice in colours: found, missed, false and confused voxels painted over the grey.

    Args:
        grey: uint8 (rows, columns).
        reference: label numbers (rows, columns).
        predicted: label numbers (rows, columns).
        share: of the colour, 0 to 1.

    Returns:
        uint8 (rows, columns, 3).
    """
    colours = np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
    wanted, given, same = reference > 0, predicted > 0, reference == predicted
    masks = {"found": wanted & same, "missed": wanted & ~given, "false": given & ~wanted,
             "confused": wanted & given & ~same}  # fmt: skip
    for name, mask in masks.items():
        colours[mask] = (1 - share) * colours[mask] + share * np.array(_COLOURS[name], np.float32)
    painted: np.ndarray = colours.round().astype(np.uint8)
    return painted


def fullest_first(codes: np.ndarray, across: int) -> list[int]:
    """Return the slices that hold a label, the fullest first; without any, the middle one."""
    counts = (codes > 0).sum(axis=tuple(axis for axis in range(3) if axis != across))
    held = [int(place) for place in np.argsort(-counts, kind="stable") if counts[place]]
    return held or [codes.shape[across] // 2]


def _plane(overlay: Overlay) -> str:
    """Return the plane with the finest pixels: across the thickest voxels; axial where all are alike."""
    shape, spacing = overlay.image.shape, overlay.spacing_mm
    if 1 in shape:
        return next(name for name, (across, *_) in PLANES.items() if shape[across] == 1)
    thickest = max(spacing)
    return next(name for name, (across, *_) in PLANES.items() if spacing[across] > 0.8 * thickest)


def _codes(reference: np.ndarray, predicted: np.ndarray, overlay: Overlay) -> np.ndarray:
    """Return for each voxel 16 times the reference's place among the labels, plus the prediction's; 0 is background."""
    numbers = sorted(number for number in overlay.labels.names.values() if number)
    table = np.zeros(max([*numbers, int(reference.max()), int(predicted.max())]) + 1, np.uint8)
    for place, number in enumerate(numbers):
        table[number] = 1 + place % MOST_LABELS
    codes: np.ndarray = 16 * table[reference] + table[predicted]
    return codes


def _box(grey: np.ndarray, codes: np.ndarray, across: int) -> tuple[slice, slice]:
    """Return the part of the plane that holds anything but darkness, and a margin."""
    shadow = np.asarray(((grey > _DARK) | (codes > 0)).any(axis=across))
    if not shadow.any():
        return slice(0, shadow.shape[0]), slice(0, shadow.shape[1])
    spans = [np.flatnonzero(shadow.any(axis=1 - axis))[[0, -1]] for axis in range(2)]
    first, second = (
        slice(max(0, int(low) - MARGIN_VOXELS), min(size, int(high) + 1 + MARGIN_VOXELS))
        for (low, high), size in zip(spans, shadow.shape, strict=True)
    )
    return first, second


def _chosen(codes: np.ndarray, across: int, count: int) -> list[int]:
    """Return which slices are kept, the fullest first, then evenly spread ones; all, if there is room."""
    labelled = fullest_first(codes, across)
    size = codes.shape[across]
    low, high = max(0, min(labelled) - 2), min(size - 1, max(labelled) + 2)
    if high - low + 1 >= count:
        spread = np.linspace(low, high, count)
    else:
        room = count - (high - low + 1)
        low, high = max(0, low - room // 2), min(size - 1, high + (room + 1) // 2)
        spread = np.arange(low, high + 1)
    others = dict.fromkeys(round(float(place)) for place in spread)
    return [labelled[0], *(place for place in others if place != labelled[0])][:count]


def _halved(picture: np.ndarray) -> np.ndarray:
    rows, columns = (size // 2 * 2 for size in picture.shape)
    blocks = picture[:rows, :columns].reshape(rows // 2, 2, columns // 2, 2)
    small: np.ndarray = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return small


def _fewer_levels(picture: np.ndarray) -> np.ndarray:
    fewer: np.ndarray = picture & 0xFC
    return fewer


def _thumbnail(grey: np.ndarray, reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the slice in colours, at most 72 pixels high and wide, by taking every n-th pixel."""
    step = max(1, -(-max(grey.shape) // _THUMB))
    parts = [array[::step, ::step] for array in (grey, reference, predicted)]
    small: np.ndarray = agreement_picture(parts[0], parts[1], parts[2], 0.6) & 0xF8
    return small
