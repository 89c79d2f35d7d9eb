"""One subject at one session: its images by channel, and its label map where there is one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from neuraxis.dataset.coding import PLAIN, Coding, Undecodable
from neuraxis.dataset.labels import Labels
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
        index: of the volume in it, where it holds several; "mean" takes the mean of all.
        series: which one, where the path holds several.
    """

    path: Path
    index: int | Literal["mean"] | None = None
    series: str = ""

    def read(self) -> Volume:
        """Read all that the file (or its series) holds as one volume.

        Raises:
            DataError: it is refused.
        """
        return any_format.read(self.path, self.series)

    def pick(self, volume: Volume) -> np.ndarray:
        """Return the channel (X, Y, Z) of what `read` returned that is meant."""
        if self.index == "mean":
            mean: np.ndarray = volume.array[0] if volume.channels == 1 else volume.array.mean(axis=0, dtype=np.float64)
            return mean
        picked: np.ndarray = volume.array[self.index or 0]
        return picked


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
        more_labels: further files of the label map, each a layer over those before.
        coding: how what these files hold becomes the dataset's label numbers.
    """

    id: str
    images: Mapping[str, ImageFile]
    label: Path | None = None
    subject: str = ""
    site: str = ""
    session: str = ""
    more_labels: tuple[Path, ...] = ()
    coding: Coding = PLAIN

    def __post_init__(self) -> None:
        if not _PLAIN_NAME.fullmatch(self.id):
            raise DataError(
                f"{self.id[:60]!a}: is no name of a case, since files are named after it. Needed is a name without "
                "slashes and control characters that does not begin with a dot; rename the case."
            )

    def read_images(self, apart: bool = False) -> Volume:
        """Read all channels as one volume (C, X, Y, Z), float32.

        Args:
            apart: whether channels that do not share a grid are returned each on its own (see `Volume.apart`).

        Raises:
            DataError: a file is refused, or the channels do not share a grid where they have to.
        """
        read: dict[tuple[Path, str], Volume] = {}
        channels, grids, first = [], [], None
        for name, file in self.images.items():
            key = file.path, file.series
            if key not in read:
                read[key] = file.read()
            volume = read[key]
            if file.index is None and volume.channels > 1:
                who = f"{self.id}: '{name}' ({Path(volume.name).name})"
                raise DataError(
                    f"{who} is 4D with {volume.channels} volumes where 3D is needed. Split it or name the volume."
                )
            if isinstance(file.index, int) and file.index >= volume.channels:
                held = f"{Path(volume.name).name}, which holds {volume.channels}"
                raise DataError(
                    f"{self.id}: '{name}' is volume {file.index} of {held}. "
                    "Needed is one volume for each channel: add it or mend dataset.json."
                )
            if first is None:
                first = volume
            elif not apart and not volume.grid.matches(first.grid, SAME_VOXELS):
                raise DataError(
                    f"{self.id}: '{name}' and '{next(iter(self.images))}' do not share a grid: "
                    f"{volume.grid.describe()} against {first.grid.describe()}. Resample one onto the other or leave "
                    "the case out."
                )
            channels.append(file.pick(volume))
            grids.append(volume)
        if first is None:
            raise DataError(f"{self.id}: has no image. Add one or leave the case out.")
        if any(not volume.grid.matches(first.grid, SAME_VOXELS) for volume in grids):
            single = (array[None].astype(np.float32) for array in channels)
            each = tuple(volume.with_array(array) for volume, array in zip(grids, single, strict=True))
            return replace(each[0], apart=each)
        array = np.empty((len(channels), *first.grid.shape), np.float32)
        for place, channel in enumerate(channels):
            copy_reordered(array[place], channel)
        return Volume(array, first.grid, first.stored, first.name)

    @property
    def label_files(self) -> tuple[Path, ...]:
        """All files of the label map; none where there is no label map."""
        return () if self.label is None else (self.label, *self.more_labels)

    def relabelled(self, label: Path | None) -> Case:
        """Return the case with another label map, one that holds the dataset's own numbers."""
        return replace(self, label=label, more_labels=(), coding=PLAIN)

    def read_label_file(self, path: Path) -> Volume:
        """Read one file of the label map as it is, a sparse one on the grid of the case's first image.

        Raises:
            DataError: it is refused.
        """
        image = next(iter(self.images.values()), None)
        return any_format.read_label(path, image.path if image else None, image.series if image else "")

    def read_label(self) -> Volume:
        """Read the label map as (1, X, Y, Z), int16; floats a thousandth from a whole number are rounded.

        Raises:
            DataError: there is none, it is refused, or it cannot be turned into label numbers.
        """
        volume, layers = self._label_layers()
        with self._as_refused():
            array = self.coding.decode(layers)
        if array.size and (array.min() < 0 or array.max() > 32767):
            raise DataError(
                f"{self.id}: label map {self.label_name} holds numbers from {array.min():g} to {array.max():g}. "
                "Needed are whole numbers from 0 to 32767."
            )
        return volume.with_array(array.astype(np.int16)[None])

    def read_shares(self, numbers: Sequence[int]) -> Volume:
        """Read soft labels as (S, X, Y, Z), float32: which share of each voxel each of these numbers has, in [0, 1].

        Raises:
            DataError: there is none, it is refused, or its shares are none.
        """
        volume, layers = self._label_layers()
        with self._as_refused():
            found = self.coding.shares(layers)
        shares = np.zeros((len(numbers), *volume.grid.shape), np.float32)
        for number, share in zip(numbers, shares, strict=True):
            if number in found:
                share[...] = found[number]
        return volume.with_array(shares)

    def read_target(self, labels: Labels) -> Volume:
        """Read what a network is taught, on the scan's own grid: (T, X, Y, Z), see `Labels.encode`.

        Raises:
            DataError: as `read_label` and `read_shares`.
        """
        if labels.soft:
            shares = self.read_shares(labels.shared)
            return shares.with_array(labels.encode_shares(shares.array))
        label = self.read_label()
        return label.with_array(labels.encode(label.array[0]))

    @property
    def label_name(self) -> str:
        """Name of the label map's first file."""
        return self.label.name if self.label else ""

    @contextmanager
    def _as_refused(self) -> Iterator[None]:
        try:
            yield
        except Undecodable as problem:
            raise DataError(f"{self.id}: label map {self.label_name} {problem}") from problem

    def _label_layers(self) -> tuple[Volume, list[np.ndarray]]:
        """Read all files of the label map: the first, and all volumes of all."""
        if self.label is None:
            raise DataError(f"{self.id}: has no label map. Add one or leave the case out.")
        volume, *more = [self.read_label_file(path) for path in self.label_files]
        for other, path in zip(more, self.more_labels, strict=True):
            if not other.grid.matches(volume.grid, SAME_VOXELS):
                raise DataError(
                    f"{self.id}: {path.name} and {self.label.name} do not share a grid: {other.grid.describe()} "
                    f"against {volume.grid.describe()}. Resample one onto the other or leave the case out."
                )
        return volume, [channel for part in (volume, *more) for channel in part.array]
