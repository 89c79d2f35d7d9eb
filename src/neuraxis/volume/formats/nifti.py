"""NIfTI-1 and NIfTI-2, `.nii` and `.nii.gz`.

The affine is the sform where its code is above 0, else the qform where its code is, else spacing alone (nibabel's
rule). Gzip goes through `isal`. Memory is taken only after the header's claim was compared with what the file holds.
"""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from isal import igzip, isal_zlib

from neuraxis.errors import DataError
from neuraxis.files import atomic_path
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

SUFFIXES = (".nii.gz", ".nii")
MAX_BYTES = 64 * 2**30
_CHUNK = 2**24


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


def write(path: Path, volume: Volume, overwrite: bool = True) -> None:
    """Write a volume; where it came from a NIfTI file, on exactly that file's shape, affine and header codes.

    The array's dtype is stored as it is (bool as uint8), unscaled.
    """
    import nibabel as nib

    stored = volume.stored or Stored.of(volume.grid)
    array = stored.from_canonical(volume.array)
    array = np.moveaxis(array, 0, -1) if volume.channels > 1 else array[0]
    if array.dtype == bool:
        array = array.astype(np.uint8)
    header = cast(Any, stored.header.copy() if stored.header is not None else nib.Nifti1Header())
    source_ndim = int(header["dim"][0]) if stored.header is not None else 3
    if volume.channels == 1 and stored.header is not None and source_ndim == 2:
        array = array[..., 0]
    spacing = list(stored.grid.spacing_mm[: min(array.ndim, 3)]) + [1.0] * (array.ndim - 3)
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    if stored.header is None:
        header.set_sform(stored.grid.affine, 1)
        header.set_qform(stored.grid.affine, 1)
        header.set_xyzt_units("mm")
    else:
        header["pixdim"][1 : 1 + array.ndim] = (list(stored.header["pixdim"][1:4]) + spacing[3:])[: array.ndim]
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 0
    image = nib.Nifti2Image if isinstance(header, nib.Nifti2Header) else nib.Nifti1Image
    with atomic_path(Path(path), overwrite) as part:
        _write_stored(part, image, header, array, compressed=str(path).endswith(".gz"))


def _write_stored(part: Path, image: Any, header: Any, array: np.ndarray, compressed: bool) -> None:
    offset = 544 if header["sizeof_hdr"] == 540 else 352
    header.extensions.clear() if hasattr(header, "extensions") else None
    header["magic"] = image.header_class().default_structarr()["magic"]
    header["vox_offset"] = offset
    body = np.asfortranarray(array.astype(header.get_data_dtype(), copy=False)).tobytes(order="F")
    content = header.structarr.tobytes().ljust(offset, b"\0")
    if not compressed:
        part.write_bytes(content + body)
        return
    with part.open("wb") as stream, igzip.IGzipFile(fileobj=stream, mode="wb", compresslevel=2, mtime=0, filename="") as gz:
        gz.write(content)
        gz.write(body)


def _read_stored(path: Path) -> tuple[Any, np.ndarray]:
    with _open(path) as stream:
        header = _read_header(path, stream)
        shape = _shape(path, header)
        dtype = header.get_data_dtype()
        if dtype.kind not in "iuf":
            raise DataError(f"{path}: holds {dtype} values. Needed are real numbers; convert it to integers or floats.")
        wanted = math.prod(shape) * dtype.itemsize
        if wanted > MAX_BYTES:
            raise DataError(f"{path}: the header claims {shape} voxels, {wanted >> 30} GiB. Crop it or mend the header.")
        _skip(path, stream, int(header["vox_offset"]) - header["sizeof_hdr"])
        body = _read_exactly(path, stream, wanted)
        _check_trailer(path, stream)
    array = np.frombuffer(body, dtype=dtype).reshape(shape, order="F")
    slope, inter = _scaling(path, header)
    if (slope, inter) != (1.0, 0.0):
        array = array.astype(np.float64 if dtype.itemsize > 4 else np.float32) * slope + inter
        array = array.astype(np.float32)
    return header, array.astype(array.dtype.newbyteorder("="), copy=False)


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


def _read_header(path: Path, stream: IO[bytes]) -> Any:
    import nibabel as nib

    block = _read_exactly(path, stream, 348)
    sizes = {int.from_bytes(block[:4], order) for order in ("little", "big")}
    kind: Any = nib.Nifti1Header
    if 540 in sizes:
        kind, block = nib.Nifti2Header, block + _read_exactly(path, stream, 192)
    elif 348 not in sizes:
        raise DataError(f"{path}: does not begin with a NIfTI header. Name a .nii or .nii.gz file.")
    try:
        header = kind(block, check=False)
        header.get_data_dtype()
        return header
    except Exception as error:
        raise DataError(f"{path}: the NIfTI header cannot be read ({error}). Export the scan again.") from error


def _shape(path: Path, header: Any) -> tuple[int, ...]:
    count = int(header["dim"][0])
    shape = tuple(int(size) for size in header["dim"][1 : 1 + max(0, count)])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if not 2 <= len(shape) <= 4:
        raise DataError(f"{path}: has {len(shape)} dimensions {shape}. Needed is a scan of 2, 3 or 4 dimensions.")
    if min(shape) < 1:
        raise DataError(f"{path}: the header claims the shape {shape}. Needed are positive sizes; export it again.")
    return shape


def _grid(path: Path, header: Any, shape: tuple[int, ...]) -> Grid:
    shape = (*shape, 1)[:3] if len(shape) == 2 else shape[:3]
    try:
        affine = np.asarray(header.get_best_affine(), dtype=np.float64)
        if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
            sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
            sizes[len(shape) :] = 1
            affine = np.diag([*sizes, 1.0])
    except Exception as error:
        raise DataError(f"{path}: the geometry cannot be read ({error}). Export the scan again.") from error
    matrix = affine[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(matrix)) < 1e-9 * max(1e-12, np.abs(matrix).max() ** 3):
        raise DataError(f"{path}: the affine is singular or not finite. Mend the sform or qform of the header.")
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    affine[:3] *= unit
    x, y, z = (*shape, 1)[:3]
    return Grid((x, y, z), affine)


def _scaling(path: Path, header: Any) -> tuple[float, float]:
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if not math.isfinite(slope) or slope == 0:
        return 1.0, 0.0
    if not math.isfinite(inter):
        raise DataError(f"{path}: scl_inter is not finite in the header. Mend it or export the scan again.")
    return slope, inter


def _skip(path: Path, stream: IO[bytes], count: int) -> None:
    if not 0 <= count <= 2**28:
        raise DataError(f"{path}: vox_offset in the header is impossible. Export the scan again.")
    _read_exactly(path, stream, count)


def _read_exactly(path: Path, stream: IO[bytes], count: int) -> bytes:
    """Read `count` bytes piece by piece, so that a lying header cannot take memory the file does not fill."""
    buffer = io.BytesIO()
    left = count
    try:
        while left and (piece := stream.read(min(left, _CHUNK))):
            buffer.write(piece)
            left -= len(piece)
    except (OSError, EOFError, zlib.error, isal_zlib.error) as error:
        raise DataError(f"{path}: the compressed data are corrupt ({error}). Fetch or export the file again.") from error
    if left:
        raise DataError(f"{path}: ends early, {left} of {count} bytes are missing. Fetch or export the file again.")
    return buffer.getvalue()


def _check_trailer(path: Path, stream: IO[bytes]) -> None:
    """Read on once, so that a compressed file whose checksum is wrong is noticed."""
    try:
        stream.read(1)
    except (OSError, EOFError, zlib.error, isal_zlib.error) as error:
        raise DataError(f"{path}: the compressed data are corrupt ({error}). Fetch or export the file again.") from error
