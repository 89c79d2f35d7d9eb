"""A closed surface in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles that enclose a structure.

    Attributes:
        vertices: float64 (N, 3), in mm, in the scanner's RAS+ world.
        faces: indices of vertices (M, 3); seen from outside they run counter-clockwise.
    """

    vertices: np.ndarray
    faces: np.ndarray

    @property
    def volume_ml(self) -> float:
        """The volume inside, in mL; positive where the faces look outward."""
        return float(self.face_volumes_mm3().sum()) / 1000

    def face_volumes_mm3(self) -> np.ndarray:
        """Return the signed volume between each face and the first vertex, in mm³ (M,); together, what lies inside."""
        if not len(self.faces):
            return np.zeros(0)
        a, b, c = (self.vertices[self.faces[:, corner]] - self.vertices[0] for corner in range(3))
        volumes: np.ndarray = (a * np.cross(b, c)).sum(axis=1) / 6
        return volumes

    def face_vectors_mm2(self) -> np.ndarray:
        """Return for each face the vector that looks outward and is as long as its area, in mm² (M, 3)."""
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        vectors: np.ndarray = np.cross(b - a, c - a) / 2
        return vectors

    def normals(self) -> np.ndarray:
        """Return for each vertex the direction outward, of length 1: the mean of its faces', by area (N, 3)."""
        across = self.face_vectors_mm2()
        corners = self.faces.ravel()
        summed = np.stack(
            [np.bincount(corners, np.repeat(across[:, axis], 3), len(self.vertices)) for axis in range(3)], axis=1
        )
        lengths = np.sqrt((summed**2).sum(axis=1, keepdims=True))
        return np.where(lengths > 0, summed / np.maximum(lengths, 1e-300), (0.0, 0.0, 1.0))
