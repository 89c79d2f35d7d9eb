"""A contact sheet of augmentations: one scan, unchanged and after each kind, with the outline of its label.

It stands beside the augmentations because it runs them: `report/`, which draws finished results, may not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.errors import DataError
from neuraxis.files import atomic_path
from neuraxis.patches.augment.augment import Augmentation
from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.augmentation import AugmentationRecipe
from neuraxis.registry import import_extra
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Volume

COLUMNS, LARGEST, SEED, THICK, MARGIN = 5, 224, 1318, 1.8, 0.06
TILE, HEAD, GAP = 2.7, 0.42, 0.12
GROUND, TEXT, FAINT, OUTLINE = "#121518", "#e7eaed", "#9aa4af", "#e69f00"


@dataclass(frozen=True, eq=False)
class Specimen:
    """What is augmented for the sheet.

    Attributes:
        image: one channel (X, Y, Z) with the lowest value 0 and SD 1.
        label: (X, Y, Z) uint8.
        spacing_mm: of the voxels.
        name: of the scan.
    """

    image: np.ndarray
    label: np.ndarray
    spacing_mm: tuple[float, float, float]
    name: str


@dataclass(frozen=True, eq=False)
class Tile:
    """One picture of the sheet: its title, words below it, and the augmented arrays (X, Y, Z)."""

    title: str
    words: str
    image: np.ndarray
    label: np.ndarray


def specimen(scan: Volume, label: Volume | None = None) -> Specimen:
    """Return a scan's first channel, scaled, and cut so that the slice with most label lies in its middle.

    Args:
        scan: any scan.
        label: on the same grid; None takes what is brighter than Otsu's threshold.

    Raises:
        DataError: the two do not share a grid, or the scan is constant.
    """
    image = np.nan_to_num(np.asarray(scan.array[0], np.float32), posinf=0.0, neginf=0.0)
    if label is not None and not label.grid.matches(scan.grid, tolerance=SAME_VOXELS):
        raise DataError(
            f"{label.name}: does not share the scan's grid: {label.grid.describe()} against {scan.grid.describe()}. "
            "Name the label that was drawn on this scan."
        )
    low, spread = float(np.percentile(image, 0.1)), float(image.std())
    if spread == 0:
        raise DataError(f"{scan.name}: every voxel is {image.flat[0]:g}; nothing would be seen. Name another scan.")
    image = np.maximum(image - low, 0) / spread
    bright = _bright(image)
    marked = bright if label is None else np.asarray(label.array[0]) > 0
    x_mm, y_mm, z_mm = scan.grid.spacing_mm
    box = _box(bright, *_slice(marked, (x_mm, y_mm, z_mm)))
    return Specimen(image[box].copy(), marked[box].astype(np.uint8), (x_mm, y_mm, z_mm), Path(scan.name).name)


def phantom_specimen() -> Specimen:
    """Return the FLAIR image of a phantom with lesions, where no scan is at hand."""
    phantom = make_phantom(SITES[0], seed=1, subject=7, options=PhantomOptions(skull=True))
    return replace(specimen(phantom.images, phantom.label), name="a phantom's FLAIR")


def make_tiles(subject: Specimen, preset: str = "", progress: Progress | None = None) -> list[Tile]:
    """Return the unchanged scan, and one tile for each kind of the catalog, strong enough to be seen.

    Args:
        subject: what is augmented.
        preset: show what this preset makes of the scan in as many steps instead.
        progress: who shows how far it is.

    Raises:
        UnknownName: there is no such preset.
    """
    names = list(AUGMENTATIONS.entries)
    chosen = AugmentationRecipe(preset=preset) if preset else None
    tiles = [Tile("unchanged", subject.name, subject.image, subject.label)]
    with (progress or Silent()).stage("augment", len(names)) as stage:
        for step, name in enumerate(names):
            recipe = chosen or AUGMENTATIONS.load(name)
            image, label, happened = _augmented(subject, recipe, step if preset else 0)
            title = f"{preset}, step {step}" if preset else name
            words = (", ".join(happened) or "nothing") if preset else AUGMENTATIONS.summary(name)
            tiles.append(Tile(title, words, image, label))
            stage.advance()
    return tiles


def draw_sheet(tiles: Sequence[Tile], subject: Specimen, path: Path, overwrite: bool = False) -> None:
    """Draw tiles in rows of five: one slice each, at right proportions, with the label's outline.

    Args:
        tiles: the unchanged scan first; its range of brightness holds for all.
        subject: what they were made from.
        path: PNG file, written whole or not at all.
        overwrite: whether it may exist already.

    Raises:
        UsageError: the file exists.
        MissingExtra: matplotlib is not installed.
    """
    figures = import_extra("matplotlib.figure", "report")
    across, place = _slice(subject.label > 0, subject.spacing_mm)
    wide, high = (axis for axis in range(3) if axis != across)
    sides = [size * step for size, step in zip(subject.image.shape, subject.spacing_mm, strict=True)]
    tile_high = TILE * min(1.5, max(0.5, sides[high] / sides[wide]))
    rows = -(-len(tiles) // COLUMNS)
    width, height = COLUMNS * (TILE + GAP) + GAP, rows * (tile_high + HEAD + GAP)
    figure = figures.Figure((width, height), facecolor=GROUND)
    shown = np.percentile(subject.image.take(place, across), (0.5, 99.7))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, COLUMNS)
        left, bottom = GAP + column * (TILE + GAP), height - (row + 1) * (tile_high + HEAD + GAP) + GAP
        axes = figure.add_axes((left / width, bottom / height, TILE / width, tile_high / height), facecolor="black")
        image, label = (array.take(place, across) for array in (tile.image, tile.label))
        if wide == 0:
            image, label = image[::-1], label[::-1]
        aspect = subject.spacing_mm[high] / subject.spacing_mm[wide]
        axes.imshow(image.T, cmap="gray", vmin=shown[0], vmax=shown[1], origin="lower", aspect=aspect)
        if label.any():
            axes.contour(label.T > 0, levels=[0.5], colors=[OUTLINE], linewidths=0.9)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        for text, size, colour, lift in ((tile.title, 11, TEXT, 0.21), (_short(tile.words), 7.5, FAINT, 0.06)):
            lifted = (bottom + tile_high + lift) / height
            figure.text(left / width, lifted, text, color=colour, fontsize=size, parse_math=False)
    with atomic_path(path, overwrite) as part:
        figure.savefig(part, format="png", dpi=110, facecolor=GROUND)


def _augmented(
    subject: Specimen, recipe: AugmentationRecipe, step: int
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    x, y, z = subject.image.shape
    flat = next((axis for axis in (2, 1, 0) if subject.image.shape[axis] == 1), None)
    augmentation = Augmentation(recipe, (x, y, z), subject.spacing_mm, SEED, flat)
    image, label = augmentation(
        torch.from_numpy(subject.image)[None, None], torch.from_numpy(subject.label)[None, None], step
    )
    return image[0, 0].numpy(), label[0, 0].numpy(), augmentation.draw(step, 0, 1).names


def _slice(marked: np.ndarray, spacing_mm: tuple[float, float, float]) -> tuple[int, int]:
    """Return the axis to cut across (that of thick slices, else Z) and the slice with most label."""
    thickest = int(np.argmax(spacing_mm))
    thick = spacing_mm[thickest] > THICK * min(spacing_mm)
    flat = [axis for axis in (2, 1, 0) if marked.shape[axis] == 1]
    across = flat[0] if flat else thickest if thick else 2
    areas = marked.sum(axis=tuple(axis for axis in range(3) if axis != across))
    widest = np.flatnonzero(areas == areas.max())
    return across, int(widest[len(widest) // 2])


def _box(bright: np.ndarray, across: int, place: int) -> tuple[slice, ...]:
    """Return what to show: the bright part and a margin, as far to one side of the slice as to the other."""
    box = []
    for axis, size in enumerate(bright.shape):
        if axis == across:
            reach = min(place, size - 1 - place, LARGEST // 2)
            box.append(slice(place - reach, place + reach + 1))
            continue
        found = np.flatnonzero(bright.any(axis=tuple(other for other in range(3) if other != axis)))
        first, last = (int(found[0]), int(found[-1])) if len(found) else (0, size - 1)
        edge = round(MARGIN * (last - first + 1))
        first, last = max(0, first - edge), min(size - 1, last + edge)
        spare = max(0, last - first + 1 - LARGEST)
        box.append(slice(first + spare // 2, last + 1 - (spare - spare // 2)))
    return tuple(box)


def _bright(image: np.ndarray) -> np.ndarray:
    """Return what is brighter than Otsu's threshold (1979), holes filled."""
    counts, edges = np.histogram(image, 256)
    values = (edges[:-1] + edges[1:]) / 2
    below, weighted = np.cumsum(counts), np.cumsum(counts * values)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (weighted / below - (weighted[-1] - weighted) / above) ** 2
    filled: np.ndarray = ndimage.binary_fill_holes(image > values[int(np.nanargmax(between))])
    return filled


def _short(words: str) -> str:
    return words if len(words) <= 52 else f"{words[:49]}..."
