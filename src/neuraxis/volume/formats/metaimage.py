"""MetaImage of ITK: `.mha`, and `.mhd` with its voxels beside it.

The world is ITK's, LPS. Several numbers a voxel, and a fourth axis, become channels. Voxels may be packed with zlib.
https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from neuraxis.errors import DataError, UsageError
from neuraxis.files import atomic_path
from neuraxis.volume.formats.format import Format
from neuraxis.volume.formats.payload import (
    AGAIN,
    MAX_HEADER,
    as_numbers,
    beside,
    check_shape,
    open_file,
    read_voxels,
    usable_grid,
)
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

_TYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
          "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}  # fmt: skip
_LPS = np.array([-1.0, -1.0, 1.0])
_DIRECTIONS, _ORIGINS = ("TransformMatrix", "Rotation", "Orientation"), ("Offset", "Position", "Origin")


@dataclass(frozen=True)
class MetaHeader:
    """A header as it was read.

    Attributes:
        path: of the file, for messages.
        tags: tag to its text.
    """

    path: Path
    tags: Mapping[str, str]

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis, the fastest first, without the channels of a voxel."""
        words = self.tags.get("DimSize", "").split()
        if not words or not all(re.fullmatch(r"\d{1,10}", word) for word in words):
            raise self._refusal("DimSize")
        if self.tags.get("NDims") != str(len(words)) or not 2 <= len(words) <= 4:
            raise self._refusal("NDims")
        shape = tuple(int(word) for word in words)
        check_shape(self.path, shape)
        return shape

    @property
    def channels(self) -> int:
        """Numbers a voxel."""
        told = self.tags.get("ElementNumberOfChannels", "1")
        if not re.fullmatch(r"[1-9]\d{0,3}", told):
            raise self._refusal("ElementNumberOfChannels")
        return int(told)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a number, with its byte order."""
        code = _TYPES.get(self.tags.get("ElementType", "").removesuffix("_ARRAY"))
        if code is None:
            raise self._refusal("ElementType")
        return np.dtype((">" if self._says("ElementByteOrderMSB", "BinaryDataByteOrderMSB") else "<") + code)

    @property
    def encoding(self) -> str:
        """How the voxels are packed."""
        if self.tags.get("BinaryData", "True").lower() != "true":
            raise DataError(f"{self.path}: its voxels are written as text, which is not read. Save it in binary form.")
        return "zlib" if self._says("CompressedData") else "raw"

    def grid(self) -> Grid:
        """Return the stored grid in RAS+, mm; a scan of two axes gets a third of 1 mm."""
        shape, count = self.shape, len(self.shape)
        spacing = self._reals(count, "ElementSpacing", "ElementSize") or [1.0] * count
        turned = self._reals(count * count, *_DIRECTIONS) or np.eye(count).ravel().tolist()
        directions = np.array(turned).reshape(count, count)
        origin = self._reals(count, *_ORIGINS) or [0.0] * count
        affine, inner = np.eye(4), min(count, 3)
        affine[:inner, :inner] = directions[:inner, :inner].T * np.array(spacing[:inner])
        affine[:inner, 3] = origin[:inner]
        affine[:3] *= _LPS[:, None]
        x, y, z = (*shape, 1)[:3]
        return usable_grid(self.path, (x, y, z), affine)

    def data_file(self) -> str:
        """Return the name of the file with the voxels; "LOCAL" where they follow the header."""
        name = self.tags.get("ElementDataFile", "")
        if name.split()[:1] == ["LIST"] or "%" in name:
            raise DataError(f"{self.path}: its voxels are spread over several files. Save it again as one .mha file.")
        return name

    def skip(self) -> int:
        """Return the bytes before the voxels in their file; -1: the voxels are its end."""
        told = self.tags.get("HeaderSize", "0")
        if not re.fullmatch(r"-1|\d{1,9}", told):
            raise self._refusal("HeaderSize")
        return int(told)

    def _says(self, *tags: str) -> bool:
        return any(self.tags.get(tag, "").lower() in ("true", "1") for tag in tags)

    def _reals(self, count: int, *tags: str) -> list[float]:
        for tag in tags:
            if tag in self.tags:
                try:
                    numbers = [float(word) for word in self.tags[tag].split()]
                except ValueError as error:
                    raise self._refusal(tag) from error
                if len(numbers) != count:
                    raise self._refusal(tag)
                return numbers
        return []

    def _refusal(self, tag: str) -> DataError:
        told = self.tags.get(tag)
        found = "is missing" if told is None else f"is {told[:40]!a}"
        return DataError(f"{self.path}: '{tag}' in the MetaImage header {found}, which cannot be used. {AGAIN}")


def read(path: Path) -> Volume:
    """Read a scan as a canonical `Volume`; a fourth axis and several numbers a voxel become channels.

    Raises:
        DataError: the file is missing, truncated, corrupt, or its header cannot be used.
    """
    path = Path(path)
    with open_file(path) as stream:
        header = _read_header(path, stream)
        shape, grid = (header.channels, *header.shape), header.grid()
        body = _body(header, stream, math.prod(shape) * header.dtype.itemsize)
    array = as_numbers(body, header.dtype, (*shape, 1, 1)[: max(4, len(shape))])
    if array.ndim == 5:
        array = np.moveaxis(array, 4, 0).reshape(-1, *grid.shape)
    stored = Stored.of(grid)
    return Volume(stored.to_canonical(array), stored.canonical_grid, stored, str(path))


def read_grid(path: Path) -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels, without the voxels."""
    with open_file(Path(path)) as stream:
        header = _read_header(Path(path), stream)
    grid = header.grid()
    return Stored.of(grid).canonical_grid, header.channels * math.prod(header.shape) // math.prod(grid.shape)


def remarks(volume: Volume) -> tuple[str, ...]:
    """Say what is odd about the space that a file tells."""
    with open_file(Path(volume.name)) as stream:
        tags = _read_header(Path(volume.name), stream).tags
    if not any(tag in tags for tag in _DIRECTIONS):
        return ("the MetaImage header tells no directions, so left and right are a guess (LPS is taken)",)
    return ()


def write(path: Path, volume: Volume, overwrite: bool = True) -> None:
    """Write a volume as one packed `.mha` file.

    Raises:
        UsageError: the name does not end in .mha, or the file exists and `overwrite` is false.
        ResourceError: it cannot be written.
    """
    path = Path(path)
    if not path.name.lower().endswith(".mha"):
        raise UsageError(f"{path}: this format is written as .mha. Choose a name that ends so.")
    stored, array = volume.as_stored()
    kind = next((name for name, code in _TYPES.items() if code == array.dtype.str[1:]), "")
    if not kind:
        raise ValueError(f"MetaImage knows no {array.dtype}.")
    spacing = np.array(stored.grid.exact_spacing_mm)
    affine = stored.grid.affine[:3] * _LPS[:, None]
    packer = zlib.compressobj(1)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    packed = [packer.compress(plane.tobytes(order="F")) for plane in np.moveaxis(little, -1, 0)] + [packer.flush()]
    tags: dict[str, object] = {"ObjectType": "Image", "NDims": 3, "BinaryData": True, "BinaryDataByteOrderMSB": False}
    tags |= {"CompressedData": True, "CompressedDataSize": sum(map(len, packed))}
    tags |= {"TransformMatrix": _listed((affine[:, :3] / spacing).T.ravel()), "Offset": _listed(affine[:, 3])}
    tags |= {"CenterOfRotation": "0 0 0", "ElementSpacing": _listed(spacing)}
    tags |= {"DimSize": " ".join(map(str, array.shape[1:]))}
    tags |= {"ElementNumberOfChannels": array.shape[0]} if array.shape[0] > 1 else {}
    tags |= {"ElementType": kind, "ElementDataFile": "LOCAL"}
    with atomic_path(path, overwrite) as part, part.open("wb") as stream:
        stream.write("".join(f"{tag} = {value}\n" for tag, value in tags.items()).encode())
        for piece in packed:
            stream.write(piece)


def _listed(numbers: np.ndarray) -> str:
    return " ".join(repr(float(number)) for number in numbers)


def _read_header(path: Path, stream: IO[bytes]) -> MetaHeader:
    tags: dict[str, str] = {}
    while stream.tell() < MAX_HEADER:
        line = stream.readline(4096)
        tag, found, value = line.decode("ascii", errors="replace").partition("=")
        if not found or not re.fullmatch(r"\s*[A-Za-z]\w*\s*", tag):
            break
        tags[tag.strip()] = value.strip()
        if tag.strip() == "ElementDataFile":
            return MetaHeader(path, tags)
    raise DataError(f"{path}: does not begin with a MetaImage header that ends in ElementDataFile. {AGAIN}")


def _body(header: MetaHeader, stream: IO[bytes], wanted: int) -> bytearray:
    name = header.data_file()
    held = stream if name == "LOCAL" else open_file(beside(header.path, name))
    try:
        skip = header.skip()
        if held is not stream and skip == -1:
            held.seek(max(0, held.seek(0, 2) - wanted))
        elif held is not stream:
            held.seek(skip)
        return read_voxels(header.path, held, header.encoding, wanted)
    finally:
        if held is not stream:
            held.close()


FORMAT = Format(
    read=lambda path, series: read(path),
    read_grid=lambda path, series: read_grid(path),
    write=write,
    remarks=remarks,
)
