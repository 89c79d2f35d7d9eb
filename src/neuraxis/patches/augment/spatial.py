"""Rotation, scaling and mirroring of a batch, in one resampling of the samples that need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from neuraxis.recipe.augmentation import AugmentationRecipe

Triple = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class SpatialDraw:
    """What happens to one sample: a matrix in mm (None: nothing), and the axes to mirror."""

    matrix: np.ndarray | None
    mirrored: tuple[int, ...]


def draw_spatial(draws: np.random.Generator, recipe: AugmentationRecipe, flat_axis: int | None = None) -> SpatialDraw:
    """Draw rotation, scale and mirror axes for one sample.

    With a flat axis only the rotation about it and scaling across it are drawn.
    """
    active = draws.random() < recipe.affine_probability
    degrees = np.array(recipe.rotation_deg) * draws.uniform(-1, 1, 3)
    low, high = np.log(recipe.scale[0]), np.log(recipe.scale[1])
    factors = np.exp(draws.uniform(low, high) * np.ones(3))
    mirrored = tuple(axis for axis in recipe.mirror_axes if draws.random() < 0.5)
    if flat_axis is not None:
        degrees[[axis for axis in range(3) if axis != flat_axis]] = 0
        factors[flat_axis] = 1
    return SpatialDraw(_rotation(np.radians(degrees)) @ np.diag(1 / factors) if active else None, mirrored)


def apply_spatial(
    images: torch.Tensor, targets: torch.Tensor, drawn: Sequence[SpatialDraw], core: Triple, spacing_mm: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Transform each sample about its middle and keep the core.

    Args:
        images: (B, C, X, Y, Z), interpolated linearly.
        targets: (B, T, X, Y, Z) uint8, nearest voxel: no new number can appear.
        drawn: one for each sample.
        core: shape that is kept.
        spacing_mm: of the patches, so that a rotation is one in space.
    """
    start = [(size - inner) // 2 for size, inner in zip(images.shape[2:], core, strict=True)]
    box = tuple(slice(first, first + inner) for first, inner in zip(start, core, strict=True))
    new_images = images[(slice(None), slice(None), *box)].clone()
    new_targets = targets[(slice(None), slice(None), *box)].clone()
    for sample, draw in enumerate(drawn):
        if draw.matrix is not None:
            grid = _sampling_grid(draw.matrix, tuple(images.shape[2:]), core, spacing_mm, images.device)
            one = slice(sample, sample + 1)
            new_images[one] = F.grid_sample(images[one], grid, mode="bilinear", align_corners=False)
            numbers = F.grid_sample(targets[one].float(), grid, mode="nearest", align_corners=False)
            new_targets[one] = numbers.to(targets.dtype)
        if draw.mirrored:
            axes = [1 + axis for axis in draw.mirrored]
            new_images[sample], new_targets[sample] = new_images[sample].flip(axes), new_targets[sample].flip(axes)
    return new_images, new_targets


def margin(core: Triple, recipe: AugmentationRecipe) -> Triple:
    """Return the shape to cut so that rotating and shrinking seldom looks beyond it: the core and a fifth more."""
    if recipe.affine_probability == 0:
        return core
    x, y, z = (size if size == 1 else int(np.ceil(size * 1.2 / 2)) * 2 + size % 2 for size in core)
    return x, y, z


def _rotation(angles: np.ndarray) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = ((1, 2), (0, 2), (0, 1))[axis]
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = np.cos(angle)
        turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    return matrix


def _sampling_grid(
    matrix: np.ndarray, shape: tuple[int, ...], core: Triple, spacing_mm: Sequence[float], device: torch.device
) -> torch.Tensor:
    """Return normalised positions (1, *core, 3), last axis in the reversed order that `grid_sample` wants."""
    spacing = np.array(spacing_mm, dtype=np.float64)
    in_voxels = np.diag(1 / spacing) @ matrix @ np.diag(spacing)
    halves = np.array(shape, dtype=np.float64) / 2
    scaled = torch.tensor(np.diag(1 / halves) @ in_voxels, dtype=torch.float32, device=device)
    lines = [torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2 for size in core]
    shift = [
        ((whole - inner) // 2 + (inner - 1) / 2 - (whole - 1) / 2) for whole, inner in zip(shape, core, strict=True)
    ]
    x, y, z = torch.meshgrid(*lines, indexing="ij")
    positions = torch.stack([x, y, z], dim=-1) @ scaled.T
    positions += torch.tensor(np.array(shift) / halves, dtype=torch.float32, device=device)
    return positions.flip(-1)[None]
