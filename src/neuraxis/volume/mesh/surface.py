"""From a label to a smooth surface that encloses as much as the label's voxels do.

The stairs between the voxels are smoothed by Taubin's filter ("A signal processing approach to fair surface design",
SIGGRAPH 1995), whose second, negative step undoes most of the shrinking of the first. What is left is undone at the
end: every piece of the surface is moved outward or inward until it holds as much as its voxels do (to a thousandth, as
long as no corner has to leave its voxel's neighbours for that), so that a lesion of
few voxels keeps its size as well.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from neuraxis.volume.grid import Grid
from neuraxis.volume.mesh.cells import EDGES, STEPS, triangle_table
from neuraxis.volume.mesh.mesh import Mesh

SMOOTHING_STEPS = 15
_SHRINK, _GROW = 0.5, -0.526  # lets through what is coarser than a tenth of the finest wave
_FITTING_STEPS = 20
_EXACT_ENOUGH = 1e-3
_EDGE_AXES = np.array([axis for axis, _ in EDGES])
_EDGE_STARTS = np.array([[bool(corner & step) for step in STEPS] for _, corner in EDGES], np.int64)


def label_surface(label_map: np.ndarray, number: int, grid: Grid, smoothing: int = SMOOTHING_STEPS) -> Mesh:
    """Return the surface of one label: closed, faces outward, smooth, with the volume of its voxels.

    Memory grows with the label's bounding box, not with the scan.

    Args:
        label_map: numbers, (X, Y, Z).
        number: whose surface.
        grid: where the voxels lie.
        smoothing: how often it is smoothed; 0 leaves the stairs.

    Returns:
        Vertices in mm, RAS+; without faces where no voxel has the number.
    """
    box = _box(label_map, number)
    if box is None:
        return Mesh(np.zeros((0, 3)), np.zeros((0, 3), np.int64))
    spacing = np.array(grid.exact_spacing_mm)
    corners, faces, counts = _marching_cubes(np.pad(label_map[box] == number, 1))
    mesh = Mesh(corners * spacing, faces)
    if smoothing:
        pieces = connected_components(_neighbours(mesh), directed=False)[1]
        wanted = np.bincount(pieces, counts) * spacing.prod()
        mesh = _fitted(_smoothed(mesh, smoothing), mesh.vertices, pieces, wanted, spacing)
    matrix = grid.affine[:3, :3]
    voxels = mesh.vertices / spacing + [part.start - 1 for part in box]
    outward = faces if np.linalg.det(matrix) > 0 else faces[:, ::-1]
    return Mesh(voxels @ matrix.T + grid.affine[:3, 3], outward)


def _box(label_map: np.ndarray, number: int) -> tuple[slice, slice, slice] | None:
    spans = []
    part = label_map
    for axis in range(3):
        hit = np.array([bool((plane == number).any()) for plane in np.moveaxis(part, axis, 0)])
        if not hit.any():
            return None
        low, high = np.nonzero(hit)[0][[0, -1]]
        spans.append(slice(int(low), int(high) + 1))
        part = np.moveaxis(np.moveaxis(part, axis, 0)[spans[-1]], 0, axis)
    return spans[0], spans[1], spans[2]


def _marching_cubes(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the surface of a mask that touches no border of its array.

    Returns:
        Vertices (N, 3) in voxels, faces (M, 3), and for each vertex the signed volume of the column of voxels below it
        (N,), in voxels: summed over a closed piece of the surface, the number of voxels that it encloses.
    """
    cells, codes = _crossed_cells(mask)
    counts, table = triangle_table()
    owners = np.repeat(np.arange(len(codes)), counts[codes])
    places = np.arange(len(owners)) - np.repeat(np.cumsum(counts[codes]) - counts[codes], counts[codes])
    edges = table[codes[owners], places]  # (M, 3)
    begins = np.ravel_multi_index(tuple(np.moveaxis(cells[owners, None] + _EDGE_STARTS[edges], -1, 0)), mask.shape)
    keys, corners = np.unique(begins * 3 + _EDGE_AXES[edges], return_inverse=True)
    axes = keys % 3
    begin = np.stack(np.unravel_index(keys // 3, mask.shape), axis=1)
    vertices = begin + 0.5 * np.eye(3)[axes]
    enters = np.where(mask[tuple(begin.T)], 1.0, -1.0)
    volumes = np.where(axes == 0, enters * vertices[:, 0], 0.0)
    return vertices, corners.reshape(-1, 3), volumes


def _crossed_cells(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first corner (n, 3) and the code (n,) of the cells that the surface runs through, slab by slab."""
    found, bits = [], mask.view(np.uint8)
    for x in range(mask.shape[0] - 1):
        codes = np.zeros((mask.shape[1] - 1, mask.shape[2] - 1), np.uint8)
        for corner in range(8):
            dx, dy, dz = (corner >> 2) & 1, (corner >> 1) & 1, corner & 1
            rows, columns = slice(dy, dy + codes.shape[0]), slice(dz, dz + codes.shape[1])
            codes |= bits[x + dx, rows, columns] << np.uint8(corner)
        y, z = np.nonzero((codes != 0) & (codes != 255))
        found.append((np.stack([np.full_like(y, x), y, z], axis=1), codes[y, z]))
    return np.concatenate([cells for cells, _ in found]), np.concatenate([codes for _, codes in found])


def _neighbours(mesh: Mesh) -> csr_array:
    """Return which vertices share an edge, as ones in a sparse matrix (N, N)."""
    size = len(mesh.vertices)
    begins, ends = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()  # each edge once in each direction
    return coo_array((np.ones(len(begins)), (begins, ends)), shape=(size, size)).tocsr()


def _smoothed(mesh: Mesh, steps: int) -> Mesh:
    joined = _neighbours(mesh)
    share = 1 / joined.sum(axis=1)[:, None]
    vertices = mesh.vertices
    for _ in range(steps):
        for weight in (_SHRINK, _GROW):
            vertices = vertices + weight * (joined @ vertices * share - vertices)
    return Mesh(vertices, mesh.faces)


def _fitted(mesh: Mesh, corners: np.ndarray, pieces: np.ndarray, wanted_mm3: np.ndarray, reach: np.ndarray) -> Mesh:
    """Move each piece of a surface along its normals until it holds its volume, no vertex farther than `reach`."""
    first = np.unique(pieces, return_index=True)[1]
    vertices, faces = mesh.vertices, mesh.faces
    for _ in range(_FITTING_STEPS):
        of_faces = pieces[faces[:, 0]]
        areas = np.bincount(of_faces, np.sqrt((Mesh(vertices, faces).face_vectors_mm2() ** 2).sum(axis=1)), len(first))
        around = Mesh(vertices - vertices[first][pieces], faces)  # each piece by its own first vertex
        missing = wanted_mm3 - np.bincount(of_faces, around.face_volumes_mm3(), len(first))
        open_ones = (np.abs(missing) > _EXACT_ENOUGH * np.abs(wanted_mm3)) & (areas > 0)
        if not open_ones.any():
            break
        faces = faces[open_ones[of_faces]]
        step = np.divide(missing, areas, out=np.zeros_like(missing), where=open_ones)[pieces]
        moved = vertices + step[:, None] * Mesh(vertices, faces).normals()
        vertices = np.clip(moved, corners - reach, corners + reach)
    return Mesh(vertices, mesh.faces)
