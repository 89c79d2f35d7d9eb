"""What moves a sample: all of it is drawn first and happens in one resampling of the samples that need it.

A position of the patch is bent by the elastic deformation, then turned, sheared and scaled in mm, then distorted like
by a lens, and read there: the image and soft labels linearly, labels from the nearest voxel. Mirroring reverses axes
and reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from neuraxis.patches.augment.patch import Patch, Streams
from neuraxis.patches.augment.positions import (
    Barrel,
    Elastic,
    Frame,
    affine_positions,
    bend,
    control_points,
    deform,
    rotation,
)
from neuraxis.patches.draws import Purpose
from neuraxis.recipe.augmentation import AugmentationRecipe

Triple = tuple[int, int, int]
MARGIN, LARGEST_MARGIN = 1.2, 1.5


@dataclass(frozen=True, eq=False)
class SpatialDraw:
    """What happens to one sample.

    Attributes:
        affine: rotation and scaling, from a position of the patch to the position that is read, in mm; None: the same.
        mirrored: the axes to mirror, after everything else.
        shear: a matrix like `affine`, if any.
        zoom: another, if any.
        elastic: a smooth deformation, if any.
        barrel: a barrel distortion, if any.
    """

    affine: np.ndarray | None
    mirrored: tuple[int, ...]
    shear: np.ndarray | None = None
    zoom: np.ndarray | None = None
    elastic: Elastic | None = None
    barrel: Barrel | None = None

    @property
    def matrix(self) -> np.ndarray | None:
        """The product of the matrices, if there is any."""
        found = [matrix for matrix in (self.affine, self.shear, self.zoom) if matrix is not None]
        return reduce(np.matmul, found) if found else None

    @property
    def resamples(self) -> bool:
        """Whether positions move other than by mirroring."""
        return any(part is not None for part in (self.affine, self.shear, self.zoom, self.elastic, self.barrel))

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds that happen."""
        read = [name for name in ("affine", "shear", "zoom", "elastic", "barrel") if getattr(self, name) is not None]
        return (*read, "mirror") if self.mirrored else tuple(read)


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
    return SpatialDraw(rotation(np.radians(degrees)) @ np.diag(1 / factors) if active else None, mirrored)


def draw_deformation(draw: SpatialDraw, streams: Streams, recipe: AugmentationRecipe, patch: Patch) -> SpatialDraw:
    """Return `draw` with what the sample's other streams add: shear, zoom, elastic deformation, barrel distortion."""
    makers = {"shear": _shear, "zoom": _zoom, "elastic": _elastic, "barrel": _barrel}
    added: dict[str, Any] = {}
    for name, make in makers.items():
        probability = getattr(recipe, f"{name}_probability")
        added[name] = streams.drawn_if(Purpose[name.upper()], probability, partial(make, recipe=recipe, patch=patch))
    return replace(draw, **added)


def apply_spatial(
    images: torch.Tensor, targets: torch.Tensor, drawn: Sequence[SpatialDraw], core: Triple, spacing_mm: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Transform each sample about its middle and keep the core.

    Args:
        images: (B, C, X, Y, Z), interpolated linearly.
        targets: (B, T, X, Y, Z) uint8, nearest voxel: no new number can appear; or soft labels, floats, linearly, but
            what does not count (-1) stays so.
        drawn: one for each sample.
        core: shape that is kept.
        spacing_mm: of the patches, so that a rotation is one in space.
    """
    start = [(size - inner) // 2 for size, inner in zip(images.shape[2:], core, strict=True)]
    box = tuple(slice(first, first + inner) for first, inner in zip(start, core, strict=True))
    new_images = images[(slice(None), slice(None), *box)].clone()
    new_targets = targets[(slice(None), slice(None), *box)].clone()
    size_x, size_y, size_z = images.shape[2:]
    x_mm, y_mm, z_mm = spacing_mm
    frame = Frame((size_x, size_y, size_z), core, (x_mm, y_mm, z_mm), images.device)
    for sample, draw in enumerate(drawn):
        if draw.resamples:
            grid, one = _positions(draw, frame)[None], slice(sample, sample + 1)
            new_images[one] = F.grid_sample(images[one], grid, mode="bilinear", align_corners=False)
            new_targets[one] = _moved(targets[one], grid)
        if draw.mirrored:
            axes = [1 + axis for axis in draw.mirrored]
            new_images[sample], new_targets[sample] = new_images[sample].flip(axes), new_targets[sample].flip(axes)
    return new_images, new_targets


def _moved(targets: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Read targets at other places."""
    numbers = F.grid_sample(targets.float(), grid, mode="nearest", align_corners=False)
    if targets.is_floating_point():
        shares = F.grid_sample(targets.float().clamp_min(0), grid, mode="bilinear", align_corners=False)
        numbers = torch.where(numbers < 0, numbers, shares)
    return numbers.to(targets.dtype)


def margin(core: Triple, recipe: AugmentationRecipe) -> Triple:
    """Return the shape to cut so that moving seldom looks beyond it: the core and a fifth more.

    Where a zoom shrinks further than that, it is what the zoom needs, up to half more than the core.
    """
    kinds = ("affine", "shear", "zoom", "elastic", "barrel")
    if all(getattr(recipe, f"{kind}_probability") == 0 for kind in kinds):
        return core
    shrinks = 1 / recipe.zoom[0] if recipe.zoom_probability > 0 else 1.0
    factor = max(MARGIN, min(shrinks, LARGEST_MARGIN))
    x, y, z = (size if size == 1 else int(np.ceil(size * factor / 2)) * 2 + size % 2 for size in core)
    return x, y, z


def _positions(draw: SpatialDraw, frame: Frame) -> torch.Tensor:
    matrix = draw.matrix if draw.matrix is not None else np.eye(3)
    grid = affine_positions(matrix, frame)
    if draw.elastic is not None:
        deform(grid, draw.elastic, matrix, frame)
    if draw.barrel is not None:
        bend(grid, draw.barrel, frame)
    return grid


def _shear(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> np.ndarray:
    matrix, tangents = np.eye(3), draws.uniform(-recipe.shear, recipe.shear, (3, 3))
    pairs = [(one, other) for one in patch.axes for other in patch.axes if one < other]
    for one, other in pairs:
        place = (one, other) if draws.random() < 0.5 else (other, one)
        matrix[place] = tangents[place]
    return matrix


def _zoom(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> np.ndarray:
    factor = np.exp(draws.uniform(np.log(recipe.zoom[0]), np.log(recipe.zoom[1])))
    return np.diag([1 / factor if axis in patch.axes else 1.0 for axis in range(3)])


def _elastic(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Elastic:
    counts = [
        control_points(size, recipe.elastic_spacing_mm / step) if axis in patch.axes else 1
        for axis, (size, step) in enumerate(zip(patch.shape, patch.spacing_mm, strict=True))
    ]
    moves = draws.uniform(-recipe.elastic_mm, recipe.elastic_mm, (*counts, 3))
    moves[..., [axis for axis in range(3) if axis not in patch.axes]] = 0
    return Elastic(moves, recipe.elastic_spacing_mm, patch.axes)


def _barrel(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Barrel:
    strength, places = draws.uniform(*recipe.barrel), draws.uniform(-0.2, 0.2, 3)
    sides = [size * step for size, step in zip(patch.shape, patch.spacing_mm, strict=True)]
    x, y, z = (places[axis] * sides[axis] if axis in patch.axes else 0.0 for axis in range(3))
    longest = max((sides[axis] for axis in patch.axes), default=1.0)
    return Barrel(strength, (x, y, z), recipe.barrel_radius * longest, patch.axes)
