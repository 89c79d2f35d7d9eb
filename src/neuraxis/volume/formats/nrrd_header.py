"""The text header of an NRRD file: fields, keys of its own, and what they say of voxels, space and segments.

https://teem.sourceforge.net/nrrd/format.html; of segmentations by 3D Slicer:
https://slicer.readthedocs.io/en/latest/developer_guide/modules/segmentations.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.formats.format import Segment
from neuraxis.volume.formats.payload import AGAIN, MAX_HEADER, check_shape

TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
ENCODINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}
TO_RAS = {
    "ras": (1, 1, 1),
    "right-anterior-superior": (1, 1, 1),
    "las": (-1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "lps": (-1, -1, 1),
    "left-posterior-superior": (-1, -1, 1),
}
_IN_SPACE = {"domain", "space"}
_VECTOR = re.compile(r"\(([^()]*)\)|none")


@dataclass(frozen=True)
class NrrdHeader:
    """A header as it was read.

    Attributes:
        path: of the file, for messages.
        fields: field in lower case, without blanks, to its text.
        keys: the file's own keys (`key:=value`).
    """

    path: Path
    fields: Mapping[str, str]
    keys: Mapping[str, str]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Voxels along each axis, the fastest first."""
        words = self.fields.get("sizes", "").split()
        if not all(re.fullmatch(r"\d{1,10}", word) for word in words):
            raise self.refusal("sizes")
        sizes = tuple(int(word) for word in words)
        if self.fields.get("dimension", "").strip() != str(len(sizes)):
            raise self.refusal("dimension")
        check_shape(self.path, sizes)
        return sizes

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a voxel, with its byte order."""
        told = " ".join(self.fields.get("type", "").lower().split())
        code = next((code for code, names in TYPES.items() if told in names), "")
        if not code:
            raise self.refusal("type")
        order = self.fields.get("endian", "").strip().lower()
        if code[1] != "1" and order not in ("little", "big"):
            raise self.refusal("endian")
        return np.dtype(code if code[1] == "1" else ("<" if order == "little" else ">") + code)

    @property
    def encoding(self) -> str:
        """How the voxels are packed."""
        told = self.fields.get("encoding", "").strip().lower()
        if told not in ENCODINGS:
            raise DataError(
                f"{self.path}: its encoding is {told[:20]!a}; raw, gzip and bzip2 are read. Save it again with one."
            )
        return ENCODINGS[told]

    def number(self, field: str) -> int:
        """Return a field that holds a whole number, 0 where it is not there."""
        text = self.fields.get(field, "0").strip()
        if not re.fullmatch(r"-?\d{1,9}", text):
            raise self.refusal(field)
        return int(text)

    def spatial_axes(self) -> tuple[int, ...]:
        """Return which axes lie in space: two or three, the others are channels."""
        count = len(self.sizes)
        kinds = self.fields.get("kinds", "").lower().split()
        if "spacedirections" in self.fields:
            axes = [axis for axis, vector in enumerate(self._directions()) if vector is not None]
        elif len(kinds) == count and any(kind in _IN_SPACE for kind in kinds):
            axes = [axis for axis, kind in enumerate(kinds) if kind in _IN_SPACE]
        else:
            axes = list(range(min(count, 3)))
        if not 2 <= len(axes) <= 3:
            raise DataError(f"{self.path}: has {len(axes)} axes in space. Needed are 2 or 3; {AGAIN}")
        return tuple(axes)

    def affine(self) -> np.ndarray:
        """Return the affine (4, 4) of the axes in space to RAS+, mm; a second axis in space gets a third of 1 mm."""
        axes = self.spatial_axes()
        matrix, origin = self._matrix(axes)
        if len(axes) == 2:
            normal = np.cross(matrix[:, 0], matrix[:, 1])
            matrix[:, 2] = normal / max(float(np.linalg.norm(normal)), 1e-12)
        affine = np.eye(4)
        affine[:3, :3], affine[:3, 3] = matrix, origin
        flips = TO_RAS.get(self.space.removesuffix("-time"), (-1, -1, 1) if not self.space else (1, 1, 1))
        affine[:3] *= np.array(flips, np.float64)[:, None]
        return affine

    @property
    def space(self) -> str:
        """The name of the space, in lower case; empty where there is none."""
        return self.fields.get("space", "").strip().lower()

    def _matrix(self, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        matrix, origin = np.eye(3), np.zeros(3)
        if "spacedirections" in self.fields:
            vectors = self._directions()
            for place, axis in enumerate(axes):
                vector = np.array(vectors[axis] or ())
                if not 2 <= len(vector) <= 3:
                    raise self.refusal("spacedirections")
                matrix[:, place] = 0
                matrix[: len(vector), place] = vector
            told = self._vectors("spaceorigin")
            if told and told[0] is not None:
                origin[: min(3, len(told[0]))] = told[0][:3]
            return matrix, origin
        for field in ("spacings", "axismins"):
            words = self.fields.get(field, "").split()
            for place, axis in enumerate(axes):
                value = self._real(words[axis], field) if axis < len(words) else float("nan")
                if np.isfinite(value) and field == "spacings" and value != 0:
                    matrix[place, place] = abs(value)
                elif np.isfinite(value) and field == "axismins":
                    is_node = self.fields.get("centers", self.fields.get("centerings", "")).split()[axis : axis + 1]
                    origin[place] = value + (0 if is_node == ["node"] else matrix[place, place] / 2)
        return matrix, origin

    def _directions(self) -> list[list[float] | None]:
        vectors = self._vectors("spacedirections")
        if len(vectors) != len(self.sizes):
            raise self.refusal("spacedirections")
        return vectors

    def _vectors(self, field: str) -> list[list[float] | None]:
        found: list[list[float] | None] = []
        for match in _VECTOR.finditer(self.fields.get(field, "")):
            found.append(None if match[1] is None else [self._real(word, field) for word in match[1].split(",")])
        return found

    def _real(self, word: str, field: str) -> float:
        try:
            return float(word)
        except ValueError as error:
            raise self.refusal(field) from error

    def refusal(self, field: str) -> DataError:
        """Return the error for a field that cannot be used."""
        told = self.fields.get(field)
        found = "is missing" if told is None else f"is {told[:40]!a}"
        return DataError(f"{self.path}: '{field}' in the NRRD header {found}, which cannot be used. {AGAIN}")

    def segments(self) -> tuple[Segment, ...]:
        """Return the segments that 3D Slicer described, in their order; empty where there are none."""
        about: dict[int, dict[str, str]] = {}
        for key, text in self.keys.items():
            match = re.fullmatch(r"Segment(\d{1,5})_(\w+)", key)
            if match:
                about.setdefault(int(match[1]), {})[match[2]] = text
        layered = any("Layer" in told for told in about.values())
        found = []
        for place, told in sorted(about.items()):
            layer = told.get("Layer", "0") if layered else str(place if len(self.sizes) == 4 else 0)
            value = told.get("LabelValue", str(place + 1) if layered else "1")
            if not (re.fullmatch(r"\d{1,3}", layer) and re.fullmatch(r"\d{1,5}", value)):
                raise DataError(f"{self.path}: segment {place} has layer {layer[:9]!a}, value {value[:9]!a}. {AGAIN}")
            name = told.get("Name", "").strip() or f"segment {place + 1}"
            found.append(Segment(name, int(value), int(layer), _colour(told.get("Color", ""))))
        return tuple(found)


def read_header(path: Path, stream: IO[bytes]) -> NrrdHeader:
    """Read a header and leave the stream behind its blank line.

    Raises:
        DataError: it is no NRRD header, or too long.
    """
    if not re.match(rb"NRRD000\d\s", stream.read(9)):
        raise DataError(f"{path}: does not begin with an NRRD header. Name an .nrrd or .nhdr file.")
    stream.seek(8)
    stream.readline(MAX_HEADER)
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    while stream.tell() < MAX_HEADER:
        line = stream.readline(MAX_HEADER).decode("utf-8", errors="replace").rstrip("\r\n")
        if not line:
            return NrrdHeader(path, fields, keys)
        key, separator, value = line.partition(":")
        if line.startswith("#") or not separator:
            continue
        if value.startswith("="):
            keys[key.strip()] = value[1:].replace("\\n", " ").strip()
        else:
            fields[key.lower().replace(" ", "")] = value.strip()
    raise DataError(f"{path}: its NRRD header is longer than {MAX_HEADER >> 10} KiB. {AGAIN}")


def _colour(text: str) -> str:
    try:
        red, green, blue = (round(255 * min(1.0, max(0.0, float(word)))) for word in text.split())
    except ValueError:
        return ""
    return f"#{red:02x}{green:02x}{blue:02x}"
