"""What a file format is: how a scan of it is read, and written where it can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume


@dataclass(frozen=True)
class Segment:
    """One structure that a label map's own file describes.

    Attributes:
        name: as it was drawn.
        value: the number of its voxels.
        layer: the volume of the file in which it lies; structures that overlap lie in different ones.
        colour: "#rrggbb"; empty where none is told.
    """

    name: str
    value: int
    layer: int = 0
    colour: str = ""


def _no_remarks(volume: Volume) -> tuple[str, ...]:
    return ()


def _no_segments(path: Path) -> tuple[Segment, ...]:
    return ()


@dataclass(frozen=True)
class Format:
    """One way to keep a scan in a file, or in a folder of files.

    Attributes:
        read: reads a path as a canonical volume (C, X, Y, Z); the second argument names a series where the path holds
            several, and is empty else.
        read_grid: reads the canonical grid and the number of channels, without the voxels where the format allows it.
        write: writes a volume; the third argument says whether an existing file is replaced. None: it is only read.
        write_labels: writes a label map with what its numbers mean. None: the format has no place for that.
        remarks: says what is odd about the geometry of a volume that `read` returned.
        segments: says what the numbers of a label map mean where its file does; empty where it does not.
        is_part: whether a path is of this format though its name does not say so, such as a folder of slices.
        read_layout: reads how a scan lies, without its voxels, where its grid does not say all of it.
        read_onto: reads a label map onto the grid of its image, where a label map of this format may hold only the
            slices that are labelled; the second argument names a structure. None: it is read as any scan.
        shown: the path as messages and sidecars may say it; some formats put patients' names into paths.
    """

    read: Callable[[Path, str], Volume]
    read_grid: Callable[[Path, str], tuple[Grid, int]]
    write: Callable[[Path, Volume, bool], None] | None = None
    write_labels: Callable[[Path, Volume, Sequence[Segment], bool], None] | None = None
    remarks: Callable[[Volume], tuple[str, ...]] = _no_remarks
    segments: Callable[[Path], tuple[Segment, ...]] = _no_segments
    is_part: Callable[[Path], bool] | None = None
    read_layout: Callable[[Path, str], Stored] | None = None
    read_onto: Callable[[Path, str, Stored], Volume] | None = None
    shown: Callable[[Path], str] = str
