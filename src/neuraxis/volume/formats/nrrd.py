"""NRRD: `.nrrd`, `.nhdr` with its voxels beside it, and `.seg.nrrd`, the segmentations of 3D Slicer.

Voxels may be raw, gzip or bzip2; the space may be LPS, RAS or LAS. Axes that do not lie in space become channels, so
that segments which overlap, and therefore lie in layers, are one channel a layer. A file without a space is taken as
ITK takes it: LPS, with its spacings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import IO, cast

import numpy as np
from isal import igzip

from neuraxis.errors import DataError, UsageError
from neuraxis.files import atomic_path
from neuraxis.volume.formats.format import Format, Segment
from neuraxis.volume.formats.nrrd_header import TO_RAS, NrrdHeader, read_header
from neuraxis.volume.formats.payload import as_numbers, beside, open_file, read_voxels, usable_grid
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

SEGMENTATION = ".seg.nrrd"
_NAMES = {"i1": "int8", "u1": "uint8", "i2": "int16", "u2": "uint16", "i4": "int32", "u4": "uint32", "i8": "int64",
          "u8": "uint64", "f4": "float", "f8": "double"}  # fmt: skip
_LPS = np.array([-1.0, -1.0, 1.0])
_SHADES = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#46f0f0", "#f032e6", "#bcf60c", "#008080", "#9a6324")


def read(path: Path) -> Volume:
    """Read a scan as a canonical `Volume`; axes outside space become channels.

    Raises:
        DataError: the file is missing, truncated, corrupt, or its header cannot be used.
    """
    path = Path(path)
    with open_file(path) as stream:
        header = read_header(path, stream)
        grid, order, count = _layout(header)
        body = _body(header, stream, math.prod(header.sizes) * header.dtype.itemsize)
    array = as_numbers(body, header.dtype, header.sizes).transpose(order).reshape(count, *grid.shape)
    stored = Stored.of(grid)
    return Volume(stored.to_canonical(array), stored.canonical_grid, stored, str(path))


def read_grid(path: Path) -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels, without the voxels."""
    with open_file(Path(path)) as stream:
        grid, _, count = _layout(read_header(Path(path), stream))
    return Stored.of(grid).canonical_grid, count


def segments(path: Path) -> tuple[Segment, ...]:
    """Return the segments that a file describes; empty where it describes none."""
    with open_file(Path(path)) as stream:
        return read_header(Path(path), stream).segments()


def remarks(volume: Volume) -> tuple[str, ...]:
    """Say what is odd about the space that a file tells."""
    with open_file(Path(volume.name)) as stream:
        header = read_header(Path(volume.name), stream)
    if not header.space:
        return ("the NRRD header names no space, so left and right are a guess (LPS is taken)",)
    if header.space.removesuffix("-time") not in TO_RAS:
        return (f"the NRRD header names the space {header.space[:40]!a}, taken as RAS",)
    return ()


def write(path: Path, volume: Volume, overwrite: bool = True) -> None:
    """Write a volume, gzipped, in LPS; `.seg.nrrd` describes each number that occurs as a segment.

    Raises:
        UsageError: the name does not end in .nrrd, or the file exists and `overwrite` is false.
        ResourceError: it cannot be written.
    """
    path = Path(path)
    if path.name.lower().endswith(SEGMENTATION):
        numbers = sorted({int(number) for number in np.unique(volume.array)} - {0})
        write_segments(path, volume, [Segment(f"label {number}", number) for number in numbers], overwrite)
        return
    _write(path, volume, (), overwrite)


def write_segments(path: Path, volume: Volume, segments: Sequence[Segment], overwrite: bool = True) -> None:
    """Write a label map, one channel a layer, with names and colours as 3D Slicer reads them.

    Args:
        path: ends in .seg.nrrd.
        volume: whole numbers, (layers, X, Y, Z).
        segments: what the numbers mean; those without a colour get one.
        overwrite: whether an existing file is replaced.

    Raises:
        UsageError: the file exists and `overwrite` is false.
        ResourceError: it cannot be written.
        ValueError: the volume holds fractions.
    """
    if volume.array.dtype.kind not in "iub":
        raise ValueError(f"Segments are whole numbers, not {volume.array.dtype}.")
    kind = np.uint8 if int(volume.array.max(initial=0)) < 256 else np.int16
    extent = " ".join(f"0 {size - 1}" for size in (volume.stored.grid if volume.stored else volume.grid).shape)
    lines = ["Segmentation_ContainedRepresentationNames:=Binary labelmap|"]
    lines += ["Segmentation_MasterRepresentation:=Binary labelmap", "Segmentation_ReferenceImageExtentOffset:=0 0 0"]
    for place, segment in enumerate(segments):
        colour = segment.colour or _SHADES[place % len(_SHADES)]
        shades = " ".join(f"{part / 255:.6g}" for part in bytes.fromhex(colour[1:]))
        name = "".join(sign if sign.isprintable() else " " for sign in segment.name).strip()
        about = {"ID": f"Segment_{place + 1}", "Name": name, "NameAutoGenerated": 0, "Color": shades}
        about |= {"ColorAutoGenerated": 0, "Extent": extent, "LabelValue": segment.value, "Layer": segment.layer}
        lines += [f"Segment{place}_{key}:={value}" for key, value in {**about, "Tags": "|"}.items()]
    _write(path, volume.with_array(volume.array.astype(kind)), lines, overwrite)


def write_labels(path: Path, volume: Volume, segments: Sequence[Segment], overwrite: bool = True) -> None:
    """Write a label map; the numbers are described where the name ends in .seg.nrrd.

    Raises:
        UsageError: as `write`.
        ResourceError: as `write`.
    """
    if path.name.lower().endswith(SEGMENTATION):
        write_segments(path, volume, segments, overwrite)
    else:
        write(path, volume, overwrite)


def _layout(header: NrrdHeader) -> tuple[Grid, tuple[int, ...], int]:
    """Return the stored grid, the order of axes with channels first, and the number of channels."""
    axes, sizes = header.spatial_axes(), header.sizes
    others = tuple(axis for axis in range(len(sizes)) if axis not in axes)
    x, y, z = (*(sizes[axis] for axis in axes), 1)[:3]
    return usable_grid(header.path, (x, y, z), header.affine()), (*others, *axes), math.prod(sizes[a] for a in others)


def _body(header: NrrdHeader, stream: IO[bytes], wanted: int) -> bytearray:
    lines, skip = header.number("lineskip"), header.number("byteskip")
    name = header.fields.get("datafile")
    if name is not None and (name.split()[:1] == ["LIST"] or "%" in name):
        raise DataError(f"{header.path}: its voxels are spread over several files. Save it again as one .nrrd file.")
    if lines < 0 or skip < -1 or (skip == -1 and header.encoding != "raw"):
        raise header.refusal("byteskip")
    held = stream if name is None else open_file(beside(header.path, name))
    try:
        for _ in range(min(lines, 10_000)):
            held.readline(2**20)
        if skip == -1:
            held.seek(max(held.tell(), held.seek(0, 2) - wanted))
        return read_voxels(header.path, held, header.encoding, wanted, max(skip, 0))
    finally:
        if held is not stream:
            held.close()


def _write(path: Path, volume: Volume, lines: Sequence[str], overwrite: bool) -> None:
    if not path.name.lower().endswith(".nrrd"):
        raise UsageError(f"{path}: this format is written as .nrrd. Choose a name that ends so.")
    stored, array = volume.as_stored()
    code = array.dtype.str[1:]
    if code not in _NAMES:
        raise ValueError(f"NRRD knows no {array.dtype}.")
    layered = array.shape[0] > 1
    body = array if layered else array[0]
    affine = stored.grid.affine[:3] * _LPS[:, None]
    vectors = [_vector(affine[:, axis]) for axis in range(3)]
    head = ["NRRD0005", "# research use only, not a medical device", f"type: {_NAMES[code]}", f"dimension: {body.ndim}"]
    head += ["space: left-posterior-superior", f"sizes: {' '.join(map(str, body.shape))}"]
    head += [f"space directions: {' '.join(['none'] * layered + vectors)}"]
    head += [f"kinds: {' '.join(['list'] * layered + ['domain'] * 3)}", "endian: little", "encoding: gzip"]
    head += [f"space origin: {_vector(affine[:, 3])}", *lines]
    with atomic_path(path, overwrite) as part, part.open("wb") as stream:
        stream.write(("\n".join(head) + "\n\n").encode())
        with igzip.IGzipFile(fileobj=stream, mode="wb", compresslevel=2, mtime=0, filename="") as packed:
            little = body.astype(body.dtype.newbyteorder("<"), copy=False)
            for plane in np.moveaxis(little, -1, 0):
                cast(IO[bytes], packed).write(plane.tobytes(order="F"))


def _vector(numbers: np.ndarray) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"


FORMAT = Format(
    read=lambda path, series: read(path),
    read_grid=lambda path, series: read_grid(path),
    write=write,
    write_labels=write_labels,
    remarks=remarks,
    segments=segments,
)
