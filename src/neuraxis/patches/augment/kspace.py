"""What goes wrong while k-space is read: movements, pulses and sparks.

Each acts on the spectrum of the patch, as if it were all that the scanner saw; the result is real.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F

from neuraxis.patches.augment.filters import deviation
from neuraxis.patches.augment.patch import Patch
from neuraxis.recipe.augmentation import AugmentationRecipe


@dataclass(frozen=True)
class Pose:
    """How the patient lies while some lines of k-space are read, against the pose at its middle.

    Attributes:
        angle: of the rotation in the plane of motion, in radians.
        shift_mm: along the two axes of that plane.
        begin: when the pose is taken, 0 to 1 being the whole scan.
        end: when it is left.
    """

    angle: float
    shift_mm: tuple[float, float]
    begin: float
    end: float


@dataclass(frozen=True)
class Motion:
    """Movements in one plane during a scan whose lines are read one after the other along an axis.

    Attributes:
        axis: of phase encoding.
        plane: the two axes of the movements.
        poses: those that differ from the pose at the middle of k-space, so that labels keep their place.
        spacing_mm: of the voxels.
    """

    axis: int
    plane: tuple[int, int]
    poses: tuple[Pose, ...]
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Ghosting:
    """A periodic change of the lines of k-space.

    Attributes:
        axis: along which ghosts appear.
        period: lines from one change to the next; ghosts lie the axis' length over the period away, on both sides.
        strength: of the ghosts, the image being 1.
    """

    axis: int
    period: int
    strength: float


@dataclass(frozen=True)
class Spike:
    """Single wrong points of k-space.

    Attributes:
        frequencies: of each point, in periods along each axis.
        phases: of each.
        amplitude: of the stripes, as a share of the channel's SD.
    """

    frequencies: tuple[tuple[int, int, int], ...]
    phases: tuple[float, ...]
    amplitude: float


def draw_motion(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Motion:
    """Draw the axis, a plane, when the patient moves, and a pose for each time but that at the middle of k-space."""
    axes = patch.axes if len(patch.axes) > 1 else (0, 1, 2)
    first, second = sorted(draws.choice(axes, 2, replace=False).tolist())
    moves = draws.integers(1, recipe.motion_moves, endpoint=True)
    times = [0.0, *np.sort(draws.uniform(0, 1, moves)).tolist(), 1.0]
    poses = []
    for begin, end in pairwise(times):
        angle = np.radians(draws.uniform(-recipe.motion_deg, recipe.motion_deg))
        along, across = draws.uniform(-recipe.motion_mm, recipe.motion_mm, 2).tolist()
        if not begin <= 0.5 < end:
            poses.append(Pose(float(angle), (along, across), begin, end))
    return Motion(int(draws.choice(axes)), (first, second), tuple(poses), patch.spacing_mm)


def apply_motion(image: torch.Tensor, motion: Motion) -> torch.Tensor:
    """Put the lines that were read in each pose in place of the image's own (Shaw et al. 2019).

    The real part is kept: a line and its mirror image count half each.
    """
    if not motion.poses:
        return image
    order = [0, 1 + (3 - sum(motion.plane)), 1 + motion.plane[0], 1 + motion.plane[1]]
    slices = image.permute(order).contiguous()
    dim, size = order.index(1 + motion.axis), image.shape[1 + motion.axis]
    lines = torch.arange(size // 2 + 1, device=image.device) / size
    changes = []
    for pose in motion.poses:
        read = [(time >= pose.begin) & (time < pose.end) for time in (0.5 - lines, 0.5 + lines)]
        weights = (read[0].float() + read[1].float()) / 2
        change = _moved(slices, pose, motion).sub_(slices)
        changes.append(torch.fft.rfft(change, dim=dim).mul_(_along(dim, weights)))
    moved = torch.fft.irfft(sum(changes[1:], changes[0]), n=size, dim=dim).add_(slices)
    return moved.permute(np.argsort(order).tolist()).contiguous()


def draw_ghosting(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Ghosting:
    """Draw axis, period and strength."""
    period = int(draws.integers(*recipe.ghosting_period, endpoint=True))
    return Ghosting(int(draws.choice(patch.axes or (0,))), period, draws.uniform(*recipe.ghosting))


def apply_ghosting(image: torch.Tensor, ghosting: Ghosting) -> torch.Tensor:
    """Let the amplitude of lines rise and fall as a cosine, which adds the image shifted both ways; the mean stays."""
    size = image.shape[1 + ghosting.axis]
    lines = torch.arange(size // 2 + 1, device=image.device)
    rhythm = torch.cos(2 * torch.pi * (lines % ghosting.period) / ghosting.period)
    weights = (1 + ghosting.strength * rhythm) / (1 + ghosting.strength)
    spectrum = torch.fft.rfft(image, dim=1 + ghosting.axis).mul_(_along(1 + ghosting.axis, weights))
    return torch.fft.irfft(spectrum, n=size, dim=1 + ghosting.axis)


def draw_spike(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Spike:
    """Draw points between a tenth and four tenths of the sampling frequency, their phases and an amplitude."""
    frequencies, phases = [], []
    for _ in range(draws.integers(1, recipe.spikes, endpoint=True)):
        direction = draws.normal(size=3)
        direction[[axis for axis in range(3) if axis not in patch.axes]] = 0
        direction *= draws.uniform(0.1, 0.4) / max(float(np.linalg.norm(direction)), 1e-9)
        x, y, z = (round(part * size) for part, size in zip(direction.tolist(), patch.shape, strict=True))
        frequencies.append((x, y, z))
        phases.append(draws.uniform(0, 2 * np.pi))
    return Spike(tuple(frequencies), tuple(phases), draws.uniform(*recipe.spike))


def apply_spike(image: torch.Tensor, spike: Spike) -> torch.Tensor:
    """Add the wave that each wrong point, with its mirror image, is in the image."""
    size_x, size_y, size_z = image.shape[1:]
    planes, lines = [], []
    for frequency, phase in zip(spike.frequencies, spike.phases, strict=True):
        x, y, z = (
            2 * np.pi * periods * np.arange(size) / size
            for periods, size in zip(frequency, (size_x, size_y, size_z), strict=True)
        )
        plane = (x[:, None] + y + phase).ravel()
        planes += [np.cos(plane), -np.sin(plane)]
        lines += [np.cos(z), np.sin(z)]
    left, right = (torch.tensor(np.stack(parts), dtype=image.dtype, device=image.device) for parts in (planes, lines))
    stripes = torch.matmul(left.T, right).view(size_x, size_y, size_z)
    return image + deviation(image) * spike.amplitude * stripes


def _along(dim: int, weights: torch.Tensor) -> torch.Tensor:
    """Return weights of lines so that they multiply four dimensions along one."""
    shape = [1, 1, 1, 1]
    shape[dim] = len(weights)
    return weights.view(shape)


def _moved(slices: torch.Tensor, pose: Pose, motion: Motion) -> torch.Tensor:
    """Return slices (C, N, X, Y) in another pose; what comes in from outside continues the edge."""
    sizes = slices.shape[2:]
    half = np.array([size * motion.spacing_mm[axis] / 2 for size, axis in zip(sizes, motion.plane, strict=True)])
    cosine, sine = np.cos(pose.angle), np.sin(pose.angle)
    turn = np.diag(1 / half) @ np.array([[cosine, -sine], [sine, cosine]]) @ np.diag(half)
    theta = np.column_stack([turn, np.array(pose.shift_mm) / half])[::-1, [1, 0, 2]]
    matrix = torch.tensor(theta.copy(), dtype=slices.dtype, device=slices.device)[None]
    grid = F.affine_grid(matrix, [1, 1, *sizes], align_corners=False)
    stack = slices.view(1, -1, *sizes)
    return F.grid_sample(stack, grid, mode="bilinear", padding_mode="border", align_corners=False).view(slices.shape)
