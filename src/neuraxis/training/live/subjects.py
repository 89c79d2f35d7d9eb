"""The cases that previews show, and where to look in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from neuraxis.dataset.labels import Labels, counted
from neuraxis.dataset.splits import Fold
from neuraxis.preparation.prepared import Prepared, WayBack
from neuraxis.preparation.store import Store
from neuraxis.recipe.previews import PreviewRecipe
from neuraxis.report.overlays import PLANES

Role = Literal["held out", "trained on", "unlabelled"]
Box = tuple[slice, slice, slice]
Triple = tuple[int, int, int]

MOST_CASES = 12
COARSER = 1.5
KEEPS = 0.5


@dataclass(frozen=True)
class Focus:
    """Where a preview looks.

    Attributes:
        voxel: of the prepared scan; the slice through it is drawn.
        found: labelled or predicted voxels on that slice.
    """

    voxel: Triple
    found: int = 0


@dataclass(eq=False)
class Subject:
    """A case to show.

    Attributes:
        id: what its files are called.
        role: what it is to this training.
        way: how it was prepared.
        read: returns image (C, ...) and target (T, ...), or None for it, in a box of the prepared scan.
        plane: which of the planes is drawn: that of the finest voxels.
        focus: where in it, once that is known.
    """

    id: str
    role: Role
    way: WayBack
    read: Callable[[Box], tuple[np.ndarray, np.ndarray | None]]
    plane: str
    focus: Focus | None = field(default=None)

    @property
    def across(self) -> int:
        """The axis of the prepared scan that is cut across."""
        return self.way.turn.axes.index(PLANES[self.plane][0])

    def shown_slice(self, voxel: Triple) -> int:
        """Return the slice through a voxel, counted from 0 along RAS+."""
        index, size = voxel[self.across], self.way.shape[self.across]
        return size - 1 - index if self.way.turn.flips[self.across] else index

    def voxel_of(self, shown: int) -> Triple:
        """Return the middle voxel of a slice, counted from 0 along RAS+."""
        voxel, size = [side // 2 for side in self.way.shape], self.way.shape[self.across]
        shown = min(max(shown, 0), size - 1)
        voxel[self.across] = size - 1 - shown if self.way.turn.flips[self.across] else shown
        return voxel[0], voxel[1], voxel[2]

    def look(self, labels: Labels) -> Focus:
        """Return where to look: at the slice with most reference, else where it looked last, else in the middle."""
        if self.focus is None and self.role != "unlabelled":
            _, target = self.read((slice(None), slice(None), slice(None)))
            if target is not None:
                self.focus = fullest(np.where(counted(target), labels.decode_target(target), 0), self.across)
        return self.focus or Focus(self.voxel_of(self.way.shape[self.across] // 2))

    def follow(self, label_map: np.ndarray, corner: Triple) -> None:
        """Look where most of a prediction is, from now on, unless the present slice holds half as much.

        Args:
            label_map: the prediction in a box of the prepared scan.
            corner: first voxel of the box.
        """
        if self.role != "unlabelled" or not label_map.any():
            return
        keep = self.focus.voxel[self.across] - corner[self.across] if self.focus else -1
        inside = keep if 0 <= keep < label_map.shape[self.across] else None
        here = fullest(label_map, self.across, inside)
        x, y, z = (first + place for first, place in zip(corner, here.voxel, strict=True))
        self.focus = Focus((x, y, z), here.found)


def choose_subjects(
    recipe: PreviewRecipe, store: Store, fold: Fold, scans: Mapping[str, Prepared], flat_axis: int | None
) -> list[Subject]:
    """Return the cases to show, 12 at most: those named or some held-out ones, then the unlabelled scans.

    Args:
        recipe: which.
        store: the prepared cases.
        fold: which of them are held out.
        scans: unlabelled scans by name, prepared.
        flat_axis: the axis along which a 2D network's window has one voxel.
    """
    own = Store(store.folder)  # another thread reads patches through the first
    subjects = []
    for id in recipe.cases or _spread(fold.validation or fold.training, recipe.count):
        way = own.way_back(id)
        role: Role = "held out" if id in fold.validation else "trained on"
        subjects.append(Subject(id, role, way, _reader(own, id), _plane(way, flat_axis)))
    taken = {subject.id for subject in subjects}
    for id, scan in scans.items():
        name = id if id not in taken else f"{id}-file"
        subjects.append(Subject(name, "unlabelled", scan.way_back, _cutter(scan), _plane(scan.way_back, flat_axis)))
    return subjects[:MOST_CASES]


def fullest(label_map: np.ndarray, across: int, keep: int | None = None) -> Focus:
    """Return the middle of the labels on the slice with most of them.

    Args:
        label_map: numbers (X, Y, Z), 0 is background.
        across: the axis that is cut across.
        keep: a slice that is taken as long as it holds half as much as the fullest.
    """
    labelled = label_map != 0
    counts = labelled.sum(axis=tuple(axis for axis in range(3) if axis != across))
    index = int(counts.argmax()) if counts.any() else label_map.shape[across] // 2
    if keep is not None and counts[keep] >= max(1, KEEPS * counts[index]):
        index = keep
    voxel = [side // 2 for side in label_map.shape]
    voxel[across] = index
    places = np.nonzero(labelled.take(index, axis=across))
    for axis, place in zip([axis for axis in range(3) if axis != across], places, strict=True):
        voxel[axis] = int(np.median(place)) if place.size else voxel[axis]
    return Focus((voxel[0], voxel[1], voxel[2]), int(counts[index]))


def _spread(ids: Sequence[str], count: int) -> list[str]:
    """Return so many ids, evenly spread over all in their order."""
    ids = sorted(ids)
    count = min(count, len(ids))
    return [ids[(2 * place + 1) * len(ids) // (2 * count)] for place in range(count)]


def _plane(way: WayBack, flat_axis: int | None) -> str:
    """Return the plane a 2D network sees, or that of the finest voxels; axial where they are alike."""
    if flat_axis is not None:
        across = way.turn.axes[flat_axis]
    else:
        spacing = [way.grid.exact_spacing_mm[way.turn.axes.index(axis)] for axis in range(3)]
        coarse = max(range(3), key=lambda axis: spacing[axis])
        across = coarse if spacing[coarse] > COARSER * sorted(spacing)[1] else 2
    return next(name for name, (axis, *_) in PLANES.items() if axis == across)


def _reader(store: Store, id: str) -> Callable[[Box], tuple[np.ndarray, np.ndarray | None]]:
    return lambda box: store.read(id, box)


def _cutter(scan: Prepared) -> Callable[[Box], tuple[np.ndarray, np.ndarray | None]]:
    return lambda box: (np.asarray(scan.image[(slice(None), *box)]), None)
