"""What all layouts do with a case's files: copied where they are as they should be, else read and written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.coding import PLAIN, exchange
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Volume

ENDING = ".nii.gz"


def refuse_incomplete(dataset: Dataset) -> None:
    """Raise `DataError` where a case lacks a channel, since other programs need all of them."""
    for case in (*dataset.cases, *dataset.unlabelled):
        lacking = [channel for channel in dataset.channels if channel not in case.images]
        if lacking:
            raise DataError(f"{case.id}: lacks {', '.join(lacking)}, and this layout needs all. Leave the case out.")


def write_channels(case: Case, places: list[Path]) -> None:
    """Write each channel of a case as a file of its own, unchanged where it is one already.

    Raises:
        DataError: a file is refused, or the channels do not share a grid.
    """
    read: dict[tuple[Path, str], Volume] = {}
    for (name, file), place in zip(case.images.items(), places, strict=True):
        key = file.path, file.series
        volume = read[key] = read.get(key) or file.read()
        first = next(iter(read.values()))
        if not volume.grid.matches(first.grid, SAME_VOXELS):
            raise DataError(
                f"{case.id}: '{name}' and '{next(iter(case.images))}' do not share a grid: {volume.grid.describe()} "
                f"against {first.grid.describe()}. Resample one onto the other or leave the case out."
            )
        if volume.channels == 1 and file.path.name.endswith(ENDING):
            shutil.copyfile(file.path, place)
        else:
            nifti.write(place, volume.with_array(_storable(file.pick(volume))[None]))


def write_joined(case: Case, place: Path) -> None:
    """Write all channels of a case as one file, 4D where there are several.

    Raises:
        DataError: a file is refused, or the channels do not share a grid.
    """
    if len(case.images) == 1:
        write_channels(case, [place])
    else:
        nifti.write(place, case.read_images())


def write_label(case: Case, place: Path, numbers: dict[int, int]) -> None:
    """Write the label map of a case with other numbers, unchanged where it has them already.

    Args:
        case: with a label map.
        place: the file.
        numbers: number in the dataset to number in the file.

    Raises:
        DataError: it is refused, or holds a number without a name.
    """
    volume = case.read_label()
    unknown = sorted(set(np.unique(volume.array).tolist()) - set(numbers))
    if unknown:
        few = ", ".join(map(str, unknown[:6]))
        raise DataError(f"{case.id}: the label map holds numbers without a name: {few}. Name them, or mend the map.")
    plain = case.coding == PLAIN and not case.more_labels and all(old == new for old, new in numbers.items())
    if plain and case.label is not None and case.label.name.endswith(ENDING):
        shutil.copyfile(case.label, place)
        return
    array = exchange(volume.array, numbers)
    nifti.write(place, volume.with_array(array.astype(np.uint8 if array.max(initial=0) < 256 else np.int16)))


def consecutive(labels: Labels) -> dict[int, int]:
    """Return number to number so that labels are 0, 1, 2, ... in rising order and ignored voxels come last."""
    rising = sorted(labels.names.values())
    return {number: place for place, number in enumerate([*rising, *([labels.ignore] if labels.ignore else [])])}


def _storable(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if array.dtype in (np.float64, np.float16) else array
