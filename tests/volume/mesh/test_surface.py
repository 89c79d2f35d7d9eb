from __future__ import annotations

import numpy as np
import pytest
import trimesh

from neuraxis.volume.grid import Grid
from neuraxis.volume.mesh.mesh import Mesh
from neuraxis.volume.mesh.surface import label_surface

OBLIQUE = np.array([[0.9, 0.1, 0.0, 10], [-0.1, 0.8, 0.9, -20], [0.0, -0.3, 2.6, 5], [0, 0, 0, 1]])


def ball(radius: float, shape: tuple[int, int, int] = (30, 30, 30), number: int = 1) -> np.ndarray:
    places = np.indices(shape) - (np.array(shape)[:, None, None, None] - 1) / 2
    return np.where((places**2).sum(axis=0) < radius**2, number, 0).astype(np.uint8)


def as_trimesh(mesh: Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(mesh.vertices, mesh.faces, process=False)


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-1.0, 1, 1, 1]), np.diag([0.7, 0.7, 4.0, 1]), OBLIQUE])
@pytest.mark.parametrize("radius", [0.6, 3.0, 12.0])
def test_a_ball_is_closed_faces_outward_and_keeps_its_volume(affine: np.ndarray, radius: float) -> None:
    label_map, grid = ball(radius, (29, 29, 29)), Grid((29, 29, 29), affine)
    mesh = label_surface(label_map, 1, grid)
    found = as_trimesh(mesh)
    assert found.is_watertight
    assert found.is_winding_consistent
    volume = (label_map == 1).sum() * grid.voxel_ml
    assert mesh.volume_ml == pytest.approx(volume, rel=0.005)
    assert found.volume / 1000 == pytest.approx(mesh.volume_ml)
    center_mm = grid.affine @ [14, 14, 14, 1]
    np.testing.assert_allclose(mesh.vertices.mean(axis=0), center_mm[:3], atol=0.05)


def test_smoothing_takes_the_stairs_off_and_leaves_the_radius() -> None:
    grid = Grid((30, 30, 30), np.eye(4))
    smooth, stairs = (label_surface(ball(12), 1, grid, steps) for steps in (15, 0))
    radii, rough = (np.linalg.norm(mesh.vertices - 14.5, axis=1) for mesh in (smooth, stairs))
    assert radii.std() < 0.6 * rough.std()
    assert radii.mean() == pytest.approx(12, abs=0.1)
    across = (smooth.vertices - 14.5) / radii[:, None]
    assert (smooth.normals() * across).sum(axis=1).min() > 0.95
    assert (stairs.normals() * (stairs.vertices - 14.5) / rough[:, None]).sum(axis=1).min() < 0.95


def test_any_mask_has_a_closed_surface_even_pieces_that_touch_at_an_edge_or_a_corner() -> None:
    for seed in range(5):
        mask = (np.random.default_rng(seed).random((9, 10, 11)) < 0.5).astype(np.uint8)
        for steps in (0, 15):
            found = as_trimesh(label_surface(mask, 1, Grid(mask.shape, np.eye(4)), steps))
            assert found.is_watertight
            assert found.is_winding_consistent
            assert found.volume > 0


def test_each_piece_keeps_its_own_volume_and_a_cavity_stays_one() -> None:
    label_map = ball(12)
    label_map[ball(6) == 1] = 0
    label_map[0, 0, 0] = 1
    mesh = label_surface(label_map, 1, Grid((30, 30, 30), np.eye(4)))
    volumes = sorted(piece.volume for piece in as_trimesh(mesh).split(only_watertight=False))
    expected = [-float((ball(6) == 1).sum()), 1.0, float((ball(12) == 1).sum())]
    np.testing.assert_allclose(volumes, expected, rtol=0.005)


def test_a_label_is_found_among_others_and_at_the_border_and_one_that_is_not_there_is_empty() -> None:
    label_map = np.zeros((4, 5, 6), np.int16)
    label_map[:2], label_map[2:] = 3, 7
    grid = Grid((4, 5, 6), np.diag([2.0, 1, 1, 1]))
    mesh = label_surface(label_map, 7, grid, smoothing=0)
    np.testing.assert_allclose([mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)], [(3, -0.5, -0.5), (7, 4.5, 5.5)])
    assert not len(label_surface(label_map, 4, grid).faces)
    assert label_surface(label_map, 4, grid).volume_ml == 0


def test_memory_goes_with_the_label_and_not_with_the_scan() -> None:
    import tracemalloc

    label_map = np.zeros((300, 300, 300), np.uint8)
    label_map[100:110, 100:110, 100:110] = 1
    grid = Grid(label_map.shape, np.eye(4))
    label_surface(label_map[:120, :120, :120], 1, Grid((120, 120, 120), np.eye(4)))
    tracemalloc.start()
    label_surface(label_map, 1, grid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
