"""Pictures: PNG, and JPG, BMP and TIFF to be read.

A picture is a volume with Z = 1: columns run to the right, rows downward. Grey ones have one channel, colour ones
three; transparency is left out. A picture does not tell how large its pixels are: 1 mm is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.errors import DataError, UsageError
from neuraxis.files import atomic_path
from neuraxis.registry import import_extra
from neuraxis.volume.formats.format import Format
from neuraxis.volume.formats.payload import AGAIN, open_file
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

KINDS = ("PNG", "JPEG", "BMP", "TIFF")
NO_SPACING = "a picture does not tell how large its pixels are: 1 mm is taken"
MAX_PIXELS = 2**28
# The most that the packing of a picture saves; one-bit pictures may save more.
_MAX_RATIO = 1100
_GREY = {"L": "L", "LA": "L", "La": "L", "1": "L", "I": "I", "F": "F"}


def read(path: Path) -> Volume:
    """Read a picture as a canonical `Volume` (1 or 3, X, Y, 1).

    Raises:
        DataError: the file is missing, truncated, corrupt, or no such picture.
        MissingExtra: pillow is not installed.
    """
    with _opened(Path(path)) as picture:
        if picture.mode == "P" and "transparency" in picture.info:
            picture = picture.convert("RGBA")
        pixels = np.asarray(picture.convert(_mode(picture)) if picture.mode != _mode(picture) else picture)
    array = pixels[..., None] if pixels.ndim == 2 else pixels  # (rows, columns, channels)
    stored = Stored.of(_grid(array.shape[1], array.shape[0]))
    channels = np.ascontiguousarray(array.transpose(2, 1, 0))[..., None]
    return Volume(stored.to_canonical(channels), stored.canonical_grid, stored, str(path))


def read_grid(path: Path) -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels, without the pixels."""
    with _opened(Path(path)) as picture:
        columns, rows = picture.size
        channels = 3 if _mode(picture) == "RGB" else 1
    return Stored.of(_grid(columns, rows)).canonical_grid, channels


def write(path: Path, volume: Volume, overwrite: bool = True) -> None:
    """Write one slice of whole numbers from 0 to 65535 as PNG: grey of 8 or 16 bits, or RGB.

    Raises:
        UsageError: the name does not end in .png, the volume is no such slice, or the file exists and `overwrite` is
            false.
        ResourceError: it cannot be written.
        MissingExtra: pillow is not installed.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path}: a picture is written as .png, which keeps every value. Choose a name that ends so.")
    array = volume.array
    high = 255 if volume.channels == 3 else 65535
    whole = array.dtype.kind in "iub" and array.size > 0 and int(array.min()) >= 0 and int(array.max()) <= high
    if volume.grid.shape[2] != 1 or volume.channels not in (1, 3) or not whole:
        raise UsageError(
            f"{path}: a PNG holds one slice of whole numbers from 0 to 65535, or of three colours; found "
            f"{volume.channels} channels of {volume.grid.describe()}, {array.dtype}. Choose .nii.gz."
        )
    library = import_extra("PIL.Image", "report")
    wide = array.dtype.itemsize > 1 and int(array.max()) > 255
    rows = array[:, :, ::-1, 0].transpose(2, 1, 0).astype(np.uint16 if wide else np.uint8)
    picture = library.fromarray(np.ascontiguousarray(rows if volume.channels == 3 else rows[..., 0]))
    with atomic_path(path, overwrite) as part:
        picture.save(part, format="PNG")


def _grid(columns: int, rows: int) -> Grid:
    return Grid((columns, rows, 1), np.diag([1.0, -1.0, 1.0, 1.0]))


def _mode(picture: Any) -> str:
    if picture.mode.startswith("I;16"):
        return str(picture.mode)
    return _GREY.get(picture.mode, "RGB")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield a picture whose size was checked; whatever pillow says of it becomes a `DataError`."""
    library = import_extra("PIL.Image", "report")
    with open_file(path) as stream:
        try:
            with library.open(stream, formats=KINDS) as picture:
                _check(path, picture)
                yield picture
        except (OSError, ValueError, SyntaxError, EOFError, TypeError, library.DecompressionBombError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(f"{path}: is no whole PNG, JPG, BMP or TIFF ({why[:100]}). {AGAIN}") from error


def _check(path: Path, picture: Any) -> None:
    columns, rows = picture.size
    count = columns * rows * len(picture.getbands())
    if columns * rows > MAX_PIXELS or (picture.mode != "1" and count > _MAX_RATIO * path.stat().st_size):
        raise DataError(f"{path}: claims {columns} x {rows} pixels, more than the file can hold. {AGAIN}")
    if getattr(picture, "n_frames", 1) > 1:
        raise DataError(
            f"{path}: holds {picture.n_frames} pictures where one is needed. Save each as a file, or all as .nii.gz."
        )


FORMAT = Format(
    read=lambda path, series: read(path),
    read_grid=lambda path, series: read_grid(path),
    write=write,
)
