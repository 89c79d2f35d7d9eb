"""What colours or greys a picture holds, so that a mask can be read without a table.

Masks that were resized or packed as JPEG have mixtures along every edge. A colour counts where it covers enough of a
picture and is no mixture of two that cover more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuraxis.dataset.coding import MIXED_TOLERANCE, channels_of, distance_to_mixtures
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format

GREY = "grey"
BLACK = "#000000"
MOST_EXACT = 32
# Channels of a grey picture differ by no more, which is what JPEG does to them.
_GREY_SPREAD = 12
_LEAST_PIXELS, _LEAST_SHARE = 16, 2e-4
_LOSSY = (".jpg", ".jpeg")
# Colours are taken to the next of these levels, which brings together what JPEG scattered.
_LEVELS = 51


@dataclass(frozen=True)
class FoundColours:
    """What one picture holds.

    Attributes:
        is_grey: whether all channels are alike.
        greys: those that occur, where it is grey.
        colours: "#rrggbb" to pixels, of those that cover enough of a colour picture.
        has_loss: whether it is packed with loss.
        exact: every colour of a colour picture to the last bit; of many, the first.
    """

    is_grey: bool
    greys: frozenset[int]
    colours: Mapping[str, int]
    has_loss: bool
    exact: frozenset[str] = frozenset()


def find_colours(path: Path) -> FoundColours | None:
    """Return what a picture holds; None where it cannot be read, which the check will say."""
    try:
        status = path.stat()
        return _find(path, status.st_size, status.st_mtime_ns)
    except (OSError, DataError):
        return None


@lru_cache(maxsize=100_000)
def _find(path: Path, size: int, modified: int) -> FoundColours:
    array = any_format.read(path).array[..., 0]  # (C, X, Y)
    has_loss = path.suffix.lower() in _LOSSY
    if array.shape[0] == 1:
        return FoundColours(True, _few(array), {}, has_loss)
    spread = array.max(axis=0).astype(np.int32) - array.min(axis=0)
    if int(spread.max(initial=0)) <= _GREY_SPREAD:
        return FoundColours(True, _few(array[0]), {}, has_loss)
    levels = (np.rint(array.astype(np.float32) / _LEVELS) * _LEVELS).astype(np.int64)
    first = array.astype(np.int64)
    exact = np.unique((first[0] << 16) + (first[1] << 8) + first[2])[: MOST_EXACT + 1]
    packed, counts = np.unique((levels[0] << 16) + (levels[1] << 8) + levels[2], return_counts=True)
    least = max(_LEAST_PIXELS, _LEAST_SHARE * spread.size)
    often = {f"#{colour:06x}": int(count) for colour, count in zip(packed, counts, strict=True) if count >= least}
    return FoundColours(False, frozenset(), often, has_loss, frozenset(f"#{colour:06x}" for colour in exact))


def pure_colours(pictures: Sequence[FoundColours]) -> list[str]:
    """Return the colours of several pictures that are neither black nor mixtures of two others.

    Where few colours occur at all, and nothing was packed with loss, none is a mixture.
    """
    exact = frozenset[str]().union(*(picture.exact for picture in pictures))
    if len(exact) <= MOST_EXACT and not any(picture.has_loss for picture in pictures):
        return sorted(exact - {BLACK})
    totals: dict[str, int] = {BLACK: 0}
    for picture in pictures:
        for colour, count in picture.colours.items():
            totals[colour] = totals.get(colour, 0) + count
    kept = sorted(totals, key=lambda name: (totals[name], name))
    for colour in list(kept):
        others = np.array([channels_of(other) for other in kept if other != colour], np.float64)
        own = np.array([channels_of(colour)], np.float64)
        if colour != BLACK and distance_to_mixtures(own, others)[0] <= MIXED_TOLERANCE:
            kept.remove(colour)
    return sorted(set(kept) - {BLACK})


def _few(array: np.ndarray) -> frozenset[int]:
    return frozenset(int(value) for value in np.unique(array)[:256])
