"""One subject at one session: its images by channel, and its label map where there is one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.memory import copy_reordered
from neuraxis.volume.volume import Volume

_PLAIN_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}")


@dataclass(frozen=True)
class ImageFile:
    """Where one channel lies.

    Attributes:
        path: of a file, or of a folder of slices.
        index: of the volume in it, where it holds several.
        series: which one, where the path holds several.
    """

    path: Path
    index: int | None = None
    series: str = ""

    def read(self) -> Volume:
        """Read all that the file (or its series) holds as one volume.

        Raises:
            DataError: it is refused.
        """
        return any_format.read(self.path, self.series)


@dataclass(frozen=True)
class Case:
    """One scan with everything that belongs to it.

    Attributes:
        id: unique in its dataset; names the result.
        images: channel name to file, in the order of the dataset's channels.
        label: the label map's file.
        subject: the patient; cases of one subject never part in a split.
        site: where it was acquired.
        session: the time point.
    """

    id: str
    images: Mapping[str, ImageFile]
    label: Path | None = None
    subject: str = ""
    site: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        if not _PLAIN_NAME.fullmatch(self.id):
            raise DataError(
                f"{self.id[:60]!a}: is no name of a case, since files are named after it. Needed is a name without "
                "slashes and control characters that does not begin with a dot; rename the case."
            )

    def read_images(self) -> Volume:
        """Read all channels as one volume (C, X, Y, Z), float32.

        Raises:
            DataError: a file is refused, or the channels do not share a grid.
        """
        read: dict[tuple[Path, str], Volume] = {}
        channels, first = [], None
        for name, file in self.images.items():
            key = file.path, file.series
            if key not in read:
                read[key] = file.read()
            volume = read[key]
            if file.index is None and volume.channels > 1:
                raise DataError(
                    f"{self.id}: '{name}' ({file.path.name}) is 4D with {volume.channels} volumes where 3D is needed. "
                    "Split it or name the volume."
                )
            if file.index is not None and file.index >= volume.channels:
                raise DataError(
                    f"{self.id}: '{name}' is volume {file.index} of {file.path.name}, which holds {volume.channels}. "
                    "Needed is one volume for each channel: add it or mend dataset.json."
                )
            if first is None:
                first = volume
            elif not volume.grid.matches(first.grid, SAME_VOXELS):
                raise DataError(
                    f"{self.id}: '{name}' and '{next(iter(self.images))}' do not share a grid: "
                    f"{volume.grid.describe()} against {first.grid.describe()}. Resample one onto the other or leave "
                    "the case out."
                )
            channels.append(volume.array[file.index or 0])
        if first is None:
            raise DataError(f"{self.id}: has no image. Add one or leave the case out.")
        array = np.empty((len(channels), *first.grid.shape), np.float32)
        for place, channel in enumerate(channels):
            copy_reordered(array[place], channel)
        return Volume(array, first.grid, first.stored, first.name)

    def read_label(self) -> Volume:
        """Read the label map as (1, X, Y, Z), int16; floats a thousandth from a whole number are rounded.

        Raises:
            DataError: there is none, it is refused, or it holds fractions.
        """
        if self.label is None:
            raise DataError(f"{self.id}: has no label map. Add one or leave the case out.")
        volume = any_format.read(self.label)
        if volume.channels > 1:
            raise DataError(f"{self.id}: label map {self.label.name} is 4D. Needed is one number for each voxel.")
        array = volume.array
        if array.dtype.kind == "f":
            whole = np.rint(array)
            if not np.isfinite(array).all() or np.abs(array - whole).max() > 1e-3:
                raise DataError(
                    f"{self.id}: label map {self.label.name} holds fractions or NaN. Needed are whole numbers: "
                    "was it interpolated? Resample it again with nearest neighbour."
                )
            array = whole
        if array.size and (array.min() < 0 or array.max() > 32767):
            raise DataError(
                f"{self.id}: label map {self.label.name} holds numbers from {array.min():g} to {array.max():g}. "
                "Needed are whole numbers from 0 to 32767."
            )
        return volume.with_array(array.astype(np.int16))
