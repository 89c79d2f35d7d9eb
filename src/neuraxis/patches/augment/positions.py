"""Where each voxel of an augmented patch is read from: one grid of positions, which each spatial kind changes in place.

Positions are those of `torch.nn.functional.grid_sample` with `align_corners=False`: -1 to 1 from edge to edge of the
image that is read, the last axis first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

Triple = tuple[int, int, int]
Millimetres = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Elastic:
    """A smooth deformation: a cubic B-spline through control points that move (Rueckert et al. 1999).

    While no point moves further than 0.4 of their distance along an axis, nothing folds (Choi and Lee 2000).

    Attributes:
        moves_mm: how far each control point moves, (GX, GY, GZ, 3).
        spacing_mm: distance of the control points.
        axes: those along which the field varies; along any other there is one control point.
    """

    moves_mm: np.ndarray
    spacing_mm: float
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Barrel:
    """A ball that is magnified towards its middle (strength above 0: barrel) or edge (below 0: pincushion).

    What lies at r radii of the middle is read at r * sin(r * pi / 2) ** strength; from the radius on nothing moves.

    Attributes:
        strength: in (-1, 1).
        middle_mm: from the patch's middle.
        radius_mm: of the ball.
        axes: those that are distorted.
    """

    strength: float
    middle_mm: Millimetres
    radius_mm: float
    axes: tuple[int, ...]


@dataclass(frozen=True)
class Frame:
    """From which image a patch is read.

    Attributes:
        shape: of the image.
        core: shape of the patch, which lies in the image's middle.
        spacing_mm: of both.
        device: where positions are computed.
    """

    shape: Triple
    core: Triple
    spacing_mm: Millimetres
    device: torch.device

    @property
    def halves(self) -> np.ndarray:
        """Half the image's shape: voxels in a unit of position."""
        return np.array(self.shape, dtype=np.float64) / 2

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """Return values as float32 on the device."""
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def linear(self, matrix: np.ndarray) -> np.ndarray:
        """Return a matrix in mm as one that takes voxels to positions, (x, y, z) to (x, y, z)."""
        spacing = np.array(self.spacing_mm, dtype=np.float64)
        in_voxels: np.ndarray = np.diag(1 / self.halves) @ (np.diag(1 / spacing) @ matrix @ np.diag(spacing))
        return in_voxels


def rotation(angles: np.ndarray) -> np.ndarray:
    """Return the matrix of a rotation about x, y and z by the angles in radians."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = ((1, 2), (0, 2), (0, 1))[axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def affine_positions(matrix: np.ndarray, frame: Frame) -> torch.Tensor:
    """Return the positions (X, Y, Z, 3) of a patch that is turned and scaled about the image's middle.

    Each is ((x * a + y * b) + z * c) + shift with one rounding a term, as a matrix product of [x y z] gives it, but the
    terms of x and y are formed once a line.
    """
    first, second, third = frame.tensor(frame.linear(matrix)).flip(0).unbind(1)
    x, y, z = (torch.arange(size, device=frame.device, dtype=torch.float32) - (size - 1) / 2 for size in frame.core)
    off = [
        (whole - core) // 2 + (core - 1) / 2 - (whole - 1) / 2
        for whole, core in zip(frame.shape, frame.core, strict=True)
    ]
    shift = frame.tensor(np.array(off) / frame.halves).flip(0)
    size_x, size_y, size_z = frame.core
    plane = torch.addcmul((x[:, None, None] * first).expand(size_x, size_y, 3), y[None, :, None], second)
    grid = plane[:, :, None].expand(size_x, size_y, size_z, 3).reshape(size_x * size_y, size_z * 3)
    grid.addcmul_(z.repeat_interleave(3), third.repeat(size_z)).add_(shift.repeat(size_z))
    return grid.view(size_x, size_y, size_z, 3)


def deform(grid: torch.Tensor, elastic: Elastic, matrix: np.ndarray, frame: Frame) -> None:
    """Add a smooth deformation to positions, before the matrix turns them.

    The field is a product of three sums over control points; the last one is a matrix product that adds into the grid.
    """
    size_x, size_y, size_z = frame.core
    to_positions = frame.linear(matrix) @ np.diag(1 / np.array(frame.spacing_mm))
    moves = frame.tensor((elastic.moves_mm @ to_positions.T)[..., ::-1].copy())
    along_x, along_y, along_z = (
        spline_weights(size, elastic.spacing_mm / step) if axis in elastic.axes else np.ones((size, 1))
        for axis, (size, step) in enumerate(zip(frame.core, frame.spacing_mm, strict=True))
    )
    field = torch.tensordot(frame.tensor(along_x), moves, dims=1)
    field = torch.matmul(frame.tensor(along_y), field.flatten(2))
    last = frame.tensor(np.kron(along_z.T, np.eye(3)))
    grid.view(size_x * size_y, size_z * 3).addmm_(field.view(size_x * size_y, -1), last)


def bend(grid: torch.Tensor, barrel: Barrel, frame: Frame) -> None:
    """Move positions as a barrel distortion does."""
    in_mm = frame.halves * np.array(frame.spacing_mm)
    parts = [(grid[..., 2 - axis], barrel.middle_mm[axis] / in_mm[axis], in_mm[axis]) for axis in barrel.axes]
    squares = [((part - middle) * (size / barrel.radius_mm)).square_() for part, middle, size in parts]
    distance = sum(squares[1:], squares[0]).clamp_(1e-12, 1).sqrt_()
    factor = distance.mul_(math.pi / 2).sin_().pow_(barrel.strength)
    for part, middle, _ in parts:
        part.sub_(middle).mul_(factor).add_(middle)


def control_points(size: int, pitch: float) -> int:
    """Return how many control points, `pitch` voxels apart, bear on `size` voxels."""
    return int((size - 1) / pitch) + 4


def spline_weights(size: int, pitch: float) -> np.ndarray:
    """Return the weights (size, points) of cubic B-spline control points that lie `pitch` voxels apart.

    >>> spline_weights(2, 1.0).round(3).tolist()
    [[0.167, 0.667, 0.167, 0.0, 0.0], [0.0, 0.167, 0.667, 0.167, 0.0]]
    """
    whole, part = np.divmod(np.arange(size) / pitch, 1.0)
    weights = np.zeros((size, control_points(size, pitch)))
    basis = [(1 - part) ** 3, 3 * part**3 - 6 * part**2 + 4, -3 * part**3 + 3 * part**2 + 3 * part + 1, part**3]
    for place, values in enumerate(basis):
        weights[np.arange(size), whole.astype(int) + place] = values / 6
    return weights
