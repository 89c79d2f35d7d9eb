"""The header of a NIfTI file: its fields by name, and what they say of the voxels' type and place.

Fields bear the standard's names and keep the byte order of their file. Read here rather than by nibabel, whose import
takes longer than everything else that is done to a small scan besides the network.

https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h and nifti2.h
"""

from __future__ import annotations

from typing import Any

import numpy as np

_INTENT = ["intent_p1", "intent_p2", "intent_p3"]
_CODES = ["qform_code", "sform_code"]
_TURN = ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
_ROWS = ["srow_x", "srow_y", "srow_z"]


def _of(kind: str, *names: str) -> list[tuple[str, str]]:
    return [(name, kind) for name in names]


_NIFTI1 = [
    *[("sizeof_hdr", "i4"), ("data_type", "S10"), ("db_name", "S18"), ("extents", "i4"), ("session_error", "i2")],
    *[("regular", "S1"), ("dim_info", "u1"), ("dim", "8i2"), *_of("f4", *_INTENT)],
    *_of("i2", "intent_code", "datatype", "bitpix", "slice_start"),
    *[("pixdim", "8f4"), *_of("f4", "vox_offset", "scl_slope", "scl_inter")],
    *[("slice_end", "i2"), ("slice_code", "u1"), ("xyzt_units", "u1")],
    *_of("f4", "cal_max", "cal_min", "slice_duration", "toffset"),
    *[*_of("i4", "glmax", "glmin"), ("descrip", "S80"), ("aux_file", "S24")],
    *[*_of("i2", *_CODES), *_of("f4", *_TURN), *_of("4f4", *_ROWS), ("intent_name", "S16"), ("magic", "S4")],
]
_NIFTI2 = [
    *[("sizeof_hdr", "i4"), ("magic", "S8"), *_of("i2", "datatype", "bitpix"), ("dim", "8i8")],
    *[*_of("f8", *_INTENT), ("pixdim", "8f8"), ("vox_offset", "i8")],
    *_of("f8", "scl_slope", "scl_inter", "cal_max", "cal_min", "slice_duration", "toffset"),
    *[*_of("i8", "slice_start", "slice_end"), ("descrip", "S80"), ("aux_file", "S24")],
    *[*_of("i4", *_CODES), *_of("f8", *_TURN), *_of("4f8", *_ROWS)],
    *[*_of("i4", "slice_code", "xyzt_units", "intent_code"), ("intent_name", "S16"), ("dim_info", "u1")],
    ("unused_str", "S15"),
]
LAYOUTS = {348: np.dtype(_NIFTI1), 540: np.dtype(_NIFTI2)}
_MAGIC = {348: b"n+1", 540: b"n+2\0\r\n\x1a\n"}

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 32: "c8", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
          1280: "u8", 1792: "c16"}  # fmt: skip
_NO_NUMBERS = {0, 1, 128, 1536, 2048, 2304}  # unknown, bits, colours, and floats of 128 bits
_MILLIMETRES = 2


class Header:
    """A header of version 1 or 2; `header["dim"]` reads a field, and writes it."""

    def __init__(self, fields: np.ndarray | None = None) -> None:
        """Take fields as `parse` reads them; without any, make a header of version 1 in mm that names no place."""
        self.fields = np.zeros((), LAYOUTS[348]) if fields is None else fields
        if fields is None:
            self["sizeof_hdr"], self["xyzt_units"], self["scl_slope"] = 348, _MILLIMETRES, 1
            self["dim"][1:], self["pixdim"][:] = 1, 1
            self.mark_single_file()

    @classmethod
    def parse(cls, block: bytes) -> Header:
        """Read a header from its 348 or 540 bytes; the size, its first field, tells version and byte order.

        Raises:
            ValueError: the first field is not the number of bytes.
        """
        layout = LAYOUTS.get(len(block))
        for ordered in (layout, layout.newbyteorder("S")) if layout else ():
            fields = np.frombuffer(block, ordered).reshape(())
            if int(fields["sizeof_hdr"]) == len(block):
                return cls(fields.copy())
        raise ValueError(f"{len(block)} bytes are no NIfTI header")

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.fields[name] = value

    def copy(self) -> Header:
        """Return a header that can be changed by itself."""
        return Header(self.fields.copy())

    def without_words(self) -> Header:
        """Return a header whose free texts are empty, since programs write patients' names into them."""
        plain = self.copy()
        for name in ("data_type", "db_name", "descrip", "aux_file", "intent_name"):
            if name in (plain.fields.dtype.names or ()):
                plain[name] = b""
        return plain

    def to_bytes(self) -> bytes:
        """Return the header as it stands in a file."""
        return self.fields.tobytes()

    @property
    def size(self) -> int:
        """Its number of bytes, 348 or 540."""
        return self.fields.dtype.itemsize

    def mark_single_file(self) -> None:
        """Say that the voxels follow in the same file, right behind the four bytes that announce no extension."""
        self["magic"] = _MAGIC[self.size]
        self["vox_offset"] = self.size + 4

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels, in the file's byte order; of kind "V" where they are no numbers known here.

        Raises:
            ValueError: the standard knows no type of that code.
        """
        code = int(self["datatype"])
        if code in _NO_NUMBERS:
            return np.dtype("V1")
        if code not in _TYPES:
            raise ValueError(f"data type {code} is unknown")
        return np.dtype(_TYPES[code]).newbyteorder(self["sizeof_hdr"].dtype.byteorder)

    def describe_voxels(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        """Note type and shape; spacings of axes that are not there become 1.

        Raises:
            ValueError: NIfTI does not know the type, or has no room for the shape.
        """
        code = next((code for code, name in _TYPES.items() if name == f"{dtype.kind}{dtype.itemsize}"), None)
        if code is None:
            raise ValueError(f"NIfTI cannot hold {dtype} values.")
        if len(shape) > 7 or max(shape, default=1) > np.iinfo(self["dim"].dtype).max:
            raise ValueError(f"NIfTI-{1 if self.size == 348 else 2} cannot hold the shape {shape}.")
        self["datatype"], self["bitpix"] = code, 8 * dtype.itemsize
        self["dim"] = (len(shape), *shape, *[1] * (7 - len(shape)))
        self["pixdim"][len(shape) + 1 :] = 1

    def sform(self) -> np.ndarray:
        """Return the affine (4, 4) that the sform gives, in the header's unit of length."""
        return np.array([*(self[row] for row in _ROWS), (0, 0, 0, 1)], np.float64)

    def qform(self) -> np.ndarray:
        """Return the affine (4, 4) that the qform gives; a handedness (pixdim[0]) of 0 means 1, as the standard says.

        Raises:
            ValueError: the quaternion is too long, a spacing negative, or the handedness neither 1 nor -1.
        """
        hand, *sizes = (float(size) for size in self["pixdim"][:4])
        if min(sizes) < 0 or hand not in (-1, 0, 1):
            raise ValueError(f"pixdim begins with {hand:g}, {', '.join(f'{size:g}' for size in sizes)}")
        affine = np.eye(4)
        affine[:3, :3] = self._turn() * (sizes[0], sizes[1], sizes[2] * (hand or 1))
        affine[:3, 3] = [self[name] for name in _TURN[3:]]
        return affine

    def set_affine(self, affine: np.ndarray, code: int = 1) -> None:
        """Note an affine (4, 4) as sform, and as qform as far as one can tell it: without shears."""
        self["sform_code"] = self["qform_code"] = code
        for name, row in zip(_ROWS, affine, strict=False):
            self[name] = row
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
        turn = affine[:3, :3] / sizes
        hand = -1 if np.linalg.det(turn) < 0 else 1
        left, _, right = np.linalg.svd(turn * (1, 1, hand))
        self["pixdim"][:4] = (hand, *sizes)
        for name, value in zip(_TURN, (*_quaternion(left @ right)[1:], *affine[:3, 3]), strict=True):
            self[name] = value

    def _turn(self) -> np.ndarray:
        """Return the rotation (3, 3) of the quaternion, of which the header holds the last three numbers."""
        b, c, d = (float(self[name]) for name in _TURN[:3])
        rest = 1 - (b * b + c * c + d * d)
        if rest < -3 * np.finfo(self["quatern_b"].dtype).eps:
            raise ValueError(f"the quaternion {b:g}, {c:g}, {d:g} is longer than 1")
        a = np.sqrt(rest) if not rest < 3 * np.finfo(self["quatern_b"].dtype).eps else 0.0
        a, b, c, d = np.array([a, b, c, d]) / np.sqrt(a * a + b * b + c * c + d * d)
        return np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )


def _quaternion(turn: np.ndarray) -> np.ndarray:
    """Return the unit quaternion (a, b, c, d), a >= 0, of a rotation (3, 3).

    Its products two by two are sums of the rotation's entries; the row of the largest of the four is the quaternion
    times that number, and none of its digits are lost.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turn
    products = np.array(
        [
            [1 + xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, 1 + xx - yy - zz, yx + xy, xz + zx],
            [xz - zx, yx + xy, 1 - xx + yy - zz, zy + yz],
            [yx - xy, xz + zx, zy + yz, 1 - xx - yy + zz],
        ]
    )
    row = products[products.diagonal().argmax()]
    quaternion: np.ndarray = row / np.sqrt((row**2).sum())
    return quaternion if quaternion[0] >= 0 else -quaternion
