"""Writing surfaces as glTF 2.0 in one binary file, `.glb`: what viewers, browsers and headsets open.

The vertices are kept in mm in the scanner's RAS+ world, as every other result is. glTF's own world is in metres with
+Y up and an object's front towards +Z, so one node above all structures turns and scales them: the patient stands
upright, looks at the viewer and has the right size. Colours are written as linear light, as glTF wants them.
The standard: https://registry.khronos.org/glTF/specs/2.0/glTF-2.0.html.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis._version import __version__
from neuraxis.files import atomic_path
from neuraxis.volume.mesh.mesh import Mesh

_FLOAT, _UNSIGNED = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
# Columns: right goes to -X, front to +Z, head to +Y; mm to metres.
_TO_GLTF = [-0.001, 0, 0, 0, 0, 0, 0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]


@dataclass(frozen=True, eq=False)
class Part:
    """One structure of a model.

    Attributes:
        name: of the structure.
        colour: red, green and blue, 0 to 255.
        mesh: its surface, with at least one face.
        about: what else a program may want to know, such as the label's number.
    """

    name: str
    colour: tuple[int, int, int]
    mesh: Mesh
    about: Mapping[str, Any] = field(default_factory=dict)


def write_glb(path: Path, parts: Sequence[Part], about: Mapping[str, Any], overwrite: bool = True) -> None:
    """Write structures as one model: a node, a mesh and a material each, named after the structure.

    Args:
        path: of the file.
        parts: the structures; none makes a model without content.
        about: what is said about the whole, in the file's `asset.extras`.
        overwrite: whether an existing file is replaced.

    Raises:
        UsageError: the file exists and is not to be replaced.
        ResourceError: it cannot be written.
    """
    binary = _Binary()
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"neuraxis {__version__}", "extras": dict(about)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "patient, RAS in mm", "matrix": _TO_GLTF}],
    }
    if parts:
        content["nodes"][0]["children"] = list(range(1, 1 + len(parts)))
        content["nodes"] += [
            {"name": part.name, "mesh": place, "extras": dict(part.about)} for place, part in enumerate(parts)
        ]
        content["meshes"] = [binary.mesh(place, part) for place, part in enumerate(parts)]
        content["materials"] = [_material(part) for part in parts]
        content |= binary.tables()
    with atomic_path(path, overwrite) as place:
        place.write_bytes(_packed(content, binary.content()))


def _packed(content: Mapping[str, Any], binary: bytes) -> bytes:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    chunks = struct.pack("<I4s", _whole(len(text)), b"JSON") + text.ljust(_whole(len(text)), b" ")
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def _whole(size: int) -> int:
    """Round a size up to whole words of 4 bytes."""
    return size + -size % 4


def _material(part: Part) -> dict[str, Any]:
    light = [_linear(value / 255) for value in part.colour]
    shine = {"baseColorFactor": [*light, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.7}
    return {"name": part.name, "pbrMetallicRoughness": shine}


def _linear(value: float) -> float:
    """Return the light of an sRGB value in [0, 1]."""
    return round(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4, 6)


class _Binary:
    """The arrays of a model, one behind another, and the tables that say where each lies."""

    def __init__(self) -> None:
        self._arrays: list[bytes] = []
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def mesh(self, place: int, part: Part) -> dict[str, Any]:
        """Keep a structure's arrays, and return its entry under `meshes`."""
        vertices = part.mesh.vertices.astype("<f4")
        bounds = {"min": vertices.min(axis=0).tolist(), "max": vertices.max(axis=0).tolist()}
        primitive = {
            "attributes": {
                "POSITION": self._add(vertices, "VEC3", _FLOAT, _VERTICES, bounds),
                "NORMAL": self._add(part.mesh.normals().astype("<f4"), "VEC3", _FLOAT, _VERTICES),
            },
            "indices": self._add(part.mesh.faces.astype("<u4").reshape(-1), "SCALAR", _UNSIGNED, _INDICES),
            "material": place,
        }
        return {"name": part.name, "primitives": [primitive]}

    def tables(self) -> dict[str, Any]:
        """Return the entries that describe the arrays."""
        size = sum(map(len, self._arrays))
        return {"accessors": self._accessors, "bufferViews": self._views, "buffers": [{"byteLength": size}]}

    def content(self) -> bytes:
        """Return all arrays as they lie in the file."""
        return b"".join(self._arrays)

    def _add(
        self, array: np.ndarray, kind: str, component: int, target: int, bounds: Mapping[str, Any] | None = None
    ) -> int:
        offset, size = sum(map(len, self._arrays)), array.nbytes
        self._arrays.append(array.tobytes())  # every array is of words of 4 bytes, so nothing has to be padded
        self._views.append({"buffer": 0, "byteOffset": offset, "byteLength": size, "target": target})
        self._accessors.append(
            {
                "bufferView": len(self._views) - 1,
                "componentType": component,
                "count": len(array),
                "type": kind,
                **(bounds or {}),
            }
        )
        return len(self._accessors) - 1
