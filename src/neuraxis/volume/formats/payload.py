"""The voxels behind a header: read as far as the file delivers, never as far as a header claims."""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from isal import igzip, isal_zlib

from neuraxis.errors import DataError
from neuraxis.volume.grid import Grid

MAX_BYTES = 64 * 2**30
MAX_HEADER = 2**20
AGAIN = "Fetch or export it again."
_CHUNK = 2**22
_BROKEN = (OSError, EOFError, ValueError, zlib.error, isal_zlib.error)


class _Inflated:
    """A zlib stream without a gzip header, read piece by piece."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.inflate = stream, zlib.decompressobj()

    def read(self, count: int) -> bytes:
        found = b""
        while not found and not self.inflate.eof:
            packed = self.inflate.unconsumed_tail or self.stream.read(_CHUNK)
            if not packed:
                raise EOFError("ends early")
            found = self.inflate.decompress(packed, count)
        return found


UNPACKED: Mapping[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "raw": lambda stream: stream,
    "gzip": lambda stream: cast(IO[bytes], igzip.IGzipFile(fileobj=stream, mode="rb")),
    "bzip2": lambda stream: cast(IO[bytes], bz2.BZ2File(stream)),
    "zlib": lambda stream: cast(IO[bytes], _Inflated(stream)),
}


def open_file(path: Path) -> IO[bytes]:
    """Open a file to be read.

    Raises:
        DataError: it is missing, a folder, or cannot be read.
    """
    if not path.is_file():
        what = "is a folder or a special file, not a scan" if path.exists() else "no such file"
        raise DataError(f"{path}: {what}. Name the file of a scan.")
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def beside(path: Path, name: str) -> Path:
    """Return the file with the voxels that a header names, which lies in the header's own folder.

    Raises:
        DataError: the name leads elsewhere, or the file is missing.
    """
    if not name or name in (".", "..") or any(sign in name for sign in "/\\\0"):
        raise DataError(
            f"{path}: names {name[:80]!a} for its voxels. Needed is a file in the same folder: put both side by side."
        )
    if not (path.parent / name).is_file():
        raise DataError(f"{path}: its voxels, {name}, are not in the same folder. Put both side by side.")
    return path.parent / name


def read_voxels(path: Path, stream: IO[bytes], encoding: str, wanted: int, skip: int = 0) -> bytearray:
    """Read so many bytes of voxels from where a stream stands.

    Args:
        path: of the scan, for messages.
        stream: an open file, at the first (packed) byte.
        encoding: "raw", "gzip", "bzip2" or "zlib".
        wanted: bytes that the header promises.
        skip: unpacked bytes to leave out before.

    Raises:
        DataError: there are fewer, or they cannot be unpacked.
    """
    if wanted > MAX_BYTES or (encoding == "raw" and wanted > Path(stream.name).stat().st_size):
        raise DataError(f"{path}: the header claims {wanted} bytes of voxels, more than the file can hold. {AGAIN}")
    body = bytearray()
    try:
        unpacked = UNPACKED[encoding](stream)
        left = skip
        while left and (piece := unpacked.read(min(left, _CHUNK))):
            left -= len(piece)
        while len(body) < wanted and (piece := unpacked.read(min(wanted - len(body), _CHUNK))):
            body += piece
        if len(body) == wanted and encoding != "raw":
            unpacked.read(1)  # a wrong or missing checksum is noticed at the end
    except _BROKEN as error:
        raise DataError(f"{path}: the compressed data are corrupt ({error}). {AGAIN}") from error
    if len(body) < wanted:
        raise DataError(f"{path}: ends early, {wanted - len(body)} of {wanted} bytes are missing. {AGAIN}")
    return body


def as_numbers(body: bytearray, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return bytes as an array of a shape whose first axis runs fastest, in the machine's byte order."""
    array = np.frombuffer(body, dtype).reshape(shape, order="F")
    return array.astype(dtype.newbyteorder("="), copy=False)


def check_shape(path: Path, shape: tuple[int, ...]) -> None:
    """Refuse a shape that no scan has.

    Raises:
        DataError: it has no or too many axes, or one without voxels.
    """
    if not 1 <= len(shape) <= 6 or min(shape, default=0) < 1 or max(shape) >= 2**31:
        raise DataError(f"{path}: the header claims the shape {shape}. Needed are 2 to 4 positive sizes; {AGAIN}")


def usable_grid(path: Path, shape: tuple[int, int, int], affine: np.ndarray) -> Grid:
    """Return the grid of a shape and an affine.

    Raises:
        DataError: the affine is singular or not finite.
    """
    matrix = affine[:3, :3]
    finite = bool(np.isfinite(affine).all())
    if not finite or abs(np.linalg.det(matrix)) < 1e-9 * max(1e-12, float(np.abs(matrix).max()) ** 3):
        raise DataError(f"{path}: the directions in the header are singular or not finite. Mend them or export again.")
    return Grid(shape, affine)
