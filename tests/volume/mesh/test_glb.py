from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from neuraxis.errors import UsageError
from neuraxis.volume.grid import Grid
from neuraxis.volume.mesh.glb import Part, write_glb
from neuraxis.volume.mesh.surface import label_surface


@pytest.fixture
def parts() -> tuple[Part, Part]:
    label_map = np.zeros((12, 12, 12), np.uint8)
    label_map[2:6, 2:9, 2:10], label_map[7:10, 3:6, 3:5] = 1, 2
    grid = Grid((12, 12, 12), np.array([[1.0, 0, 0, -30], [0, 1, 0, 10], [0, 0, 2, 50], [0, 0, 0, 1]]))
    return (
        Part("body", (255, 0, 0), label_surface(label_map, 1, grid), {"label": 1}),
        Part("lésion", (0, 128, 255), label_surface(label_map, 2, grid), {"label": 2}),
    )


def read(path: Path) -> tuple[dict, bytes]:
    content = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    assert size % 4 == 0
    binary_size, kind = struct.unpack_from("<I4s", content, 20 + size)
    assert kind == b"BIN\0"
    assert binary_size == len(content) - 28 - size
    return json.loads(content[20 : 20 + size]), content[28 + size :]


def test_each_structure_is_a_node_with_its_name_colour_and_surface(tmp_path: Path, parts: tuple[Part, Part]) -> None:
    write_glb(tmp_path / "model.glb", parts, {"notice": "research"})
    content, binary = read(tmp_path / "model.glb")
    assert content["asset"]["extras"] == {"notice": "research"}
    assert [node["name"] for node in content["nodes"][1:]] == ["body", "lésion"]
    assert content["nodes"][2]["extras"] == {"label": 2}
    assert content["buffers"][0]["byteLength"] == len(binary)
    assert content["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [1, 0, 0, 1]
    assert content["materials"][1]["pbrMetallicRoughness"]["baseColorFactor"][1] == pytest.approx(0.2159, abs=1e-4)
    for mesh, part in zip(content["meshes"], parts, strict=True):
        place = content["accessors"][mesh["primitives"][0]["attributes"]["POSITION"]]
        view = content["bufferViews"][place["bufferView"]]
        vertices = np.frombuffer(binary, "<f4", 3 * place["count"], view["byteOffset"]).reshape(-1, 3)
        np.testing.assert_allclose(vertices, part.mesh.vertices, atol=1e-4)  # mm, RAS
        np.testing.assert_allclose([place["min"], place["max"]], [vertices.min(axis=0), vertices.max(axis=0)])


def test_another_program_reads_the_same_surfaces_upright_and_in_metres(tmp_path: Path, parts: tuple[Part, ...]) -> None:
    write_glb(tmp_path / "model.glb", parts, {})
    scene = trimesh.load(tmp_path / "model.glb")
    for part in parts:
        found = scene.geometry[part.name]
        assert found.is_watertight
        assert found.volume / 1000 == pytest.approx(part.mesh.volume_ml, rel=1e-4)
        np.testing.assert_allclose(np.linalg.norm(found.vertex_normals, axis=1), 1, atol=1e-5)
    low, high = scene.bounds
    ras = np.concatenate([part.mesh.vertices for part in parts])
    right, front, head = (ras[:, axis] / 1000 for axis in range(3))
    np.testing.assert_allclose(low, [-right.max(), head.min(), front.min()], atol=1e-6)
    np.testing.assert_allclose(high, [-right.min(), head.max(), front.max()], atol=1e-6)


def test_a_model_without_structures_is_a_file_as_well_and_none_is_replaced(tmp_path: Path) -> None:
    write_glb(tmp_path / "empty.glb", (), {})
    content = (tmp_path / "empty.glb").read_bytes()
    assert json.loads(content[20:])["nodes"][0].keys() == {"name", "matrix"}
    with pytest.raises(UsageError, match="exists already"):
        write_glb(tmp_path / "empty.glb", (), {}, overwrite=False)
