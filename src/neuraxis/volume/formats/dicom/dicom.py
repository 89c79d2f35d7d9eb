"""DICOM: a series in a folder of slices or in one multi-frame file, and segmentations (DICOM SEG).

What reads it is the extra `dicom`; this file tells only what is DICOM, and needs nothing.
"""

from __future__ import annotations

from pathlib import Path

from neuraxis.registry import need
from neuraxis.volume.formats.format import Format, Segment
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

_PREAMBLE = 132
_LOOKED_AT, _DEPTH = 8, 3


def read(path: Path, series: str = "") -> Volume:
    """Read a series as a canonical volume (see `reading.read`).

    Raises:
        DataError: nothing, or several series, could be meant; or the series is refused.
        MissingExtra: pydicom, or what decodes its pixels, is not installed.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import reading

    return reading.read(path, series)


def read_grid(path: Path, series: str = "") -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels.

    Raises:
        DataError: as `read`.
        MissingExtra: as `read`.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import reading

    return reading.read_grid(path, series)


def read_layout(path: Path, series: str = "") -> Stored:
    """Read how a series lies on its grid, tilted and uneven slices included, from the headers.

    Raises:
        DataError: as `read`.
        MissingExtra: as `read`.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import reading

    return reading.read_layout(path, series)


def read_onto(path: Path, segment: str, image: Stored) -> Volume:
    """Read a DICOM SEG onto the grid of its image (see `segmentation.reading.read_onto`).

    Raises:
        DataError: as `read`, or it was drawn on another image.
        MissingExtra: as `read`.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom.segmentation import reading

    return reading.read_onto(path, segment, image)


def segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments that a DICOM SEG describes; nothing of other DICOM.

    Raises:
        DataError: it cannot be read.
        MissingExtra: as `read`.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom.segmentation import reading

    return tuple(Segment(name, number) for name, number in reading.segments_of(path).items())


def remarks(volume: Volume) -> tuple[str, ...]:
    """Say what is odd about the series that a volume came from."""
    told: tuple[str, ...] = getattr(volume.stored.header if volume.stored else None, "remarks", ())
    return told


def shown(path: Path) -> str:
    """Return a path as messages and sidecars may say it: without what names the patient."""
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import series

    return series.find(path).identity.shown(path)


def is_file(path: Path) -> bool:
    """Tell whether a file begins as DICOM does, with its preamble or, as old ones, without."""
    try:
        if not path.is_file() or path.stat().st_size < _PREAMBLE:
            return False
        with path.open("rb") as stream:
            start = stream.read(_PREAMBLE)
    except OSError:
        return False
    return start[128:] == b"DICM" or (start[:2] == b"\x08\x00" and start[3] == 0 and start[2] in (0, 5, 8, 0x16))


def is_part(path: Path, depth: int = _DEPTH) -> bool:
    """Tell, after a look at a few files, whether a path is a DICOM file or a folder that holds some."""
    if path.is_file():
        return is_file(path)
    try:
        entries = sorted(entry for entry in path.iterdir() if not entry.name.startswith(".")) if path.is_dir() else []
    except OSError:
        return False
    files = [entry for entry in entries if entry.is_file()]
    if any(is_file(file) for file in (*files[:_LOOKED_AT], *files[-_LOOKED_AT:])):
        return True
    folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    return depth > 0 and any(is_part(folder, depth - 1) for folder in folders[:64])


FORMAT = Format(
    read=read,
    read_grid=read_grid,
    remarks=remarks,
    segments=segments,
    is_part=is_part,
    read_layout=read_layout,
    read_onto=read_onto,
    shown=shown,
)
