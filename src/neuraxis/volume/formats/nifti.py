"""NIfTI-1 and NIfTI-2, `.nii` and `.nii.gz`.

The affine is the sform where its code is above 0, else the qform where its code is, else spacing alone (method 1 of
the standard). Gzip goes through `isal`. A header that claims more than its file can hold is refused before memory is
taken; below that, memory is only touched as far as the file delivers.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from isal import igzip, isal_zlib

from neuraxis.errors import DataError, ResourceError, UsageError
from neuraxis.files import atomic_path
from neuraxis.volume.formats.format import Format
from neuraxis.volume.formats.nifti_header import Header
from neuraxis.volume.grid import Grid
from neuraxis.volume.memory import copy_reordered
from neuraxis.volume.volume import Stored, Volume

SUFFIXES = (".nii.gz", ".nii")
MAX_BYTES = 64 * 2**30
_CHUNK = 2**24
_MAX_DEFLATION = 1032  # no deflate stream unpacks to more than this many times its size


def read(path: Path) -> Volume:
    """Read a scan as a canonical `Volume`; 4D files become channels, 2D files get Z = 1.

    Values keep their stored dtype where the header scales nothing, else they are float32.

    Raises:
        DataError: the file is missing, truncated, corrupt, of complex or colour values, or has no usable geometry.
    """
    header, raw = _read_stored(Path(path))
    grid = _grid(path, header, raw.shape)
    array = raw.reshape(*grid.shape, -1)
    stored = Stored.of(grid, header)
    return Volume(stored.to_canonical(np.moveaxis(array, -1, 0)), stored.canonical_grid, stored, str(path))


def read_grid(path: Path) -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels, without the voxels."""
    path = Path(path)
    with _open(path) as stream:
        header = _read_header(path, stream)
    shape = _shape(path, header)
    grid = _grid(path, header, shape)
    return Stored.of(grid).canonical_grid, math.prod(shape) // math.prod(grid.shape)


def geometry_remarks(volume: Volume) -> tuple[str, ...]:
    """Say what is odd about the geometry in a scan's header, where other programs may read it otherwise."""
    header = volume.stored.header if volume.stored is not None else None
    if not isinstance(header, Header):
        return ()
    codes = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if codes == (False, False):
        return ("the header has neither sform nor qform, so left and right are a guess",)
    if codes == (True, True) and volume.stored is not None:
        try:
            qform = Grid(volume.stored.grid.shape, header.qform() * _unit_rows(header))
        except ValueError:
            return ("the header's qform cannot be read; the sform is used",)
        apart = qform.corner_distance_mm(volume.stored.grid)
        if apart > 0.1 * min(volume.grid.spacing_mm):
            return (f"sform and qform of the header lie up to {apart:.3g} mm apart; the sform is used",)
    return ()


def write(path: Path, volume: Volume, overwrite: bool = True) -> None:
    """Write a volume; where it came from a NIfTI file, on exactly that file's shape, affine and header codes.

    The array's dtype is stored as it is (bool as uint8), unscaled.

    Raises:
        UsageError: the name does not end in .nii or .nii.gz, or the file exists and `overwrite` is false.
        ResourceError: it cannot be written.
        ValueError: the array is of another shape than the scan that the volume came from, or of a type that NIfTI
            does not know.
    """
    path = Path(path)
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"{path}: a scan is written as .nii.gz or .nii. Choose a name that ends so.")
    stored, array = volume.as_stored()
    if not isinstance(stored.header, Header):  # it came from a file of another format
        stored = replace(stored, header=None)
    array = np.moveaxis(array, 0, -1) if volume.channels > 1 else array[0]
    if stored.header is not None and int(stored.header["dim"][0]) == 2 and array.ndim == 3:
        array = array[..., 0]
    header = _header_for(array, stored)
    with atomic_path(path, overwrite) as part:
        _write_stored(part, header, array, compressed=path.name.endswith(".gz"))


def _header_for(array: np.ndarray, stored: Stored) -> Header:
    header: Header = stored.header.copy() if stored.header is not None else Header()
    trailing = stored.header["dim"][4 : 1 + int(stored.header["dim"][0])] if stored.header is not None else ()
    ones = (1,) * len(trailing) if array.ndim == 3 and all(size == 1 for size in trailing) else ()
    header.describe_voxels(array.dtype, (*array.shape, *ones))
    if stored.header is None:
        header.set_affine(stored.grid.affine)
    else:
        header["pixdim"][1:] = stored.header["pixdim"][1:]
        if array.ndim == 4 and int(stored.header["dim"][0]) < 4:
            header["pixdim"][4] = 1
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"], header["cal_max"] = 0, 0
    header.mark_single_file()
    return header


def _write_stored(part: Path, header: Header, array: np.ndarray, compressed: bool) -> None:
    with part.open("wb") as stream:
        if not compressed:
            _write_voxels(stream, header, array)
            return
        with igzip.IGzipFile(fileobj=stream, mode="wb", compresslevel=2, mtime=0, filename="") as packed:
            _write_voxels(cast(IO[bytes], packed), header, array)


def _write_voxels(stream: IO[bytes], header: Header, array: np.ndarray) -> None:
    stream.write(header.to_bytes() + bytes(4))
    volumes = np.moveaxis(array, 3, 0) if array.ndim == 4 else array.reshape(1, *(*array.shape, 1)[:3])
    body = np.empty(volumes.shape[1:], header.dtype, order="F")
    for volume in volumes:
        copy_reordered(body, volume)
        stream.write(body.T.reshape(-1).view(np.uint8).data)


def _read_stored(path: Path) -> tuple[Header, np.ndarray]:
    with _open(path) as stream:
        header = _read_header(path, stream)
        shape = _shape(path, header)
        dtype = _dtype(path, header)
        _skip(path, stream, header)
        body = _read_body(path, stream, math.prod(shape) * dtype.itemsize)
    array = _scaled(body.view(dtype), *_scaling(path, header))
    return header, array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape, order="F")


def _scaled(stored: np.ndarray, slope: float, inter: float) -> np.ndarray:
    """Return the real values of stored ones (N,) as float32; short integers are looked up in a table."""
    if (slope, inter) == (1.0, 0.0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is for the check to find
        if stored.dtype.kind == "f" or stored.dtype.itemsize > 2:
            return (stored * np.float64(slope) + inter).astype(np.float32)
        bits = np.dtype(f"u{stored.dtype.itemsize}")
        every = np.arange(2 ** (8 * bits.itemsize)).astype(bits).view(stored.dtype)
        table = (every * np.float64(slope) + inter).astype(np.float32)
    return table.take(stored.view(bits))


def _open(path: Path) -> IO[bytes]:
    try:
        if not path.is_file():
            what = "is a folder or a special file, not a scan" if path.exists() else "no such file"
            raise DataError(f"{path}: {what}. Name a .nii or .nii.gz file.")
        with path.open("rb") as stream:
            start = stream.read(2)
        if start == b"\x1f\x8b":
            return cast(IO[bytes], igzip.open(path, "rb"))
        return path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _read_header(path: Path, stream: IO[bytes]) -> Header:
    block = _read_exactly(path, stream, 348)
    sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")}
    if 540 in sizes:
        block += _read_exactly(path, stream, 192)
    elif 348 not in sizes:
        raise DataError(f"{path}: does not begin with a NIfTI header. Name a .nii or .nii.gz file.")
    return Header.parse(block)


def _shape(path: Path, header: Header) -> tuple[int, ...]:
    count = int(header["dim"][0])
    shape = tuple(int(size) for size in header["dim"][1 : 1 + max(0, count)])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if not 2 <= len(shape) <= 4:
        raise DataError(f"{path}: has {len(shape)} dimensions {shape}. Needed is a scan of 2, 3 or 4 dimensions.")
    if min(shape) < 1:
        raise DataError(f"{path}: the header claims the shape {shape}. Needed are positive sizes; export it again.")
    return shape


def _dtype(path: Path, header: Header) -> np.dtype[Any]:
    try:
        dtype = header.dtype
    except ValueError as error:
        raise DataError(f"{path}: the NIfTI header cannot be read ({error}). Export the scan again.") from error
    if dtype.kind not in "iuf":
        what = {"c": "complex", "V": "colour or unknown"}.get(dtype.kind, str(dtype))
        raise DataError(f"{path}: holds {what} values. Needed are real numbers; convert it to integers or floats.")
    return dtype


def _grid(path: Path, header: Header, shape: tuple[int, ...]) -> Grid:
    x, y, z = (*shape, 1)[:3]
    try:
        if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
            sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
            sizes[len(shape) :] = 1
            affine = np.diag([*sizes, 1.0])
        else:
            affine = header.sform() if int(header["sform_code"]) > 0 else header.qform()
    except ValueError as error:
        raise DataError(f"{path}: the geometry cannot be read ({error}). Export the scan again.") from error
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(matrix)) < 1e-9 * max(1e-12, np.abs(matrix).max() ** 3):
        raise DataError(f"{path}: the affine is singular or not finite. Mend the sform or qform of the header.")
    return Grid((x, y, z), affine * _unit_rows(header))


def _unit_rows(header: Header) -> np.ndarray:
    """Return what turns the rows of the header's affine into mm."""
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    return np.array([[unit], [unit], [unit], [1.0]])


def _scaling(path: Path, header: Header) -> tuple[float, float]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise DataError(f"{path}: scl_inter is not finite in the header. Mend it or export the scan again.")
    return slope, inter


def _skip(path: Path, stream: IO[bytes], header: Header) -> None:
    offset = float(header["vox_offset"])
    count = offset - header.size
    if not 0 <= count <= 2**28:
        raise DataError(f"{path}: vox_offset in the header is {offset:g}, which cannot be. Export the scan again.")
    _read_exactly(path, stream, int(count))


def _read_exactly(path: Path, stream: IO[bytes], count: int) -> bytes:
    return _read_body(path, stream, count, ends_here=False).tobytes()


def _read_body(path: Path, stream: IO[bytes], wanted: int, ends_here: bool = True) -> np.ndarray:
    """Read `wanted` bytes; `ends_here` reads on once, so that a compressed file's wrong checksum is noticed."""
    held = path.stat().st_size * (_MAX_DEFLATION if isinstance(stream, igzip.IGzipFile) else 1)
    if ends_here and wanted > min(held, MAX_BYTES):
        raise DataError(
            f"{path}: the header claims {wanted} bytes of voxels, more than the file can hold, or more than "
            f"{MAX_BYTES >> 30} GiB. Fetch or export it again."
        )
    try:
        body = np.empty(wanted, np.uint8)
    except MemoryError as error:
        raise ResourceError(f"{path}: needs {wanted / 2**30:.1f} GiB. Crop it or use a larger machine.") from error
    view, done = body.data, 0
    try:
        while done < wanted and (count := stream.readinto(view[done : done + _CHUNK])):  # type: ignore[attr-defined]
            done += count
        if done == wanted and ends_here:
            stream.read(1)
    except (OSError, EOFError, zlib.error, isal_zlib.error) as error:
        raise DataError(f"{path}: the compressed data are corrupt ({error}). Fetch or export it again.") from error
    if done < wanted:
        raise DataError(f"{path}: ends early, {wanted - done} of {wanted} bytes are missing. Fetch or export it again.")
    return body


FORMAT = Format(
    read=lambda path, series: read(path),
    read_grid=lambda path, series: read_grid(path),
    write=write,
    remarks=geometry_remarks,
)
