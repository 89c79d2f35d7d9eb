"""Filters along one axis after the other, and the moments of a channel, without temporary copies of the whole."""

from __future__ import annotations

import math

import numpy as np
import torch

CACHED = 2**17  # voxels that a filter holds at a time, so that they stay in the processor's cache


def smooth(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur (C, X, Y, Z) with a Gaussian of `sigma` voxels, cut off at three sigma; edges are continued.

    Axes of one voxel stay as they are.
    """
    radius = max(1, math.ceil(3 * sigma))
    offsets = torch.arange(-radius, radius + 1)
    taps = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (taps / taps.sum()).tolist()
    for axis in range(1, 4):
        if image.shape[axis] > 1:
            image = _convolve(image, axis, weights)
    return image


def _convolve(image: torch.Tensor, axis: int, weights: list[float]) -> torch.Tensor:
    """Return the sum of shifted copies; it is formed for some lines at a time."""
    size, radius = image.shape[axis], len(weights) // 2
    inside = torch.arange(-radius, size + radius, device=image.device).clamp_(0, size - 1)
    result = torch.empty_like(image)
    across = 2 if axis == 1 else 1
    step = max(1, CACHED * image.shape[across] // max(1, image[0].numel())) if image.device.type == "cpu" else 2**30
    for part, out in zip(image.split(step, across), result.split(step, across), strict=True):
        for channel, target in zip(part.split(1), out.split(1), strict=True):
            wide = channel.index_select(axis, inside)
            torch.mul(wide.narrow(axis, 0, size), weights[0], out=target)
            for place, weight in enumerate(weights[1:], start=1):
                target.add_(wide.narrow(axis, place, size), alpha=weight)
    return result


def along(image: torch.Tensor, axis: int, matrix: torch.Tensor) -> torch.Tensor:
    """Replace every line of (C, X, Y, Z) along a spatial axis by its product with a matrix (new, old)."""
    channels, x, y, z = image.shape
    if axis == 0:
        return torch.matmul(matrix, image.reshape(channels, x, y * z)).view(channels, -1, y, z)
    if axis == 1:
        return torch.matmul(matrix, image.reshape(channels * x, y, z)).view(channels, x, -1, z)
    return torch.matmul(image.reshape(-1, z), matrix.T).view(channels, x, y, -1)


def averaging(size: int, count: int) -> np.ndarray:
    """Return the matrix (count, size) that averages `size` voxels to `count` longer ones, shares of voxels counted.

    >>> averaging(3, 2).round(3).tolist()
    [[0.667, 0.333, 0.0], [0.0, 0.333, 0.667]]
    """
    edges = np.linspace(0, size, count + 1)
    voxels = np.arange(size)
    shared = np.minimum(edges[1:, None], voxels + 1) - np.maximum(edges[:-1, None], voxels)
    weights: np.ndarray = np.clip(shared, 0, None) * count / size
    return weights


def interpolating(count: int, size: int) -> np.ndarray:
    """Return the matrix (size, count) that interpolates `count` voxels linearly to `size` shorter ones, edge continued.

    >>> interpolating(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    places = np.clip((np.arange(size) + 0.5) * count / size - 0.5, 0, count - 1)
    return np.clip(1 - np.abs(places[:, None] - np.arange(count)), 0, None)


def mean(image: torch.Tensor) -> torch.Tensor:
    """Return the mean of each channel, (C, 1, 1, 1)."""
    return image.mean(dim=(1, 2, 3), keepdim=True)


def lowest(image: torch.Tensor) -> torch.Tensor:
    """Return the lowest value of each channel, (C, 1, 1, 1)."""
    return image.amin(dim=(1, 2, 3), keepdim=True)


def highest(image: torch.Tensor) -> torch.Tensor:
    """Return the highest value of each channel, (C, 1, 1, 1)."""
    return image.amax(dim=(1, 2, 3), keepdim=True)


def deviation(image: torch.Tensor) -> torch.Tensor:
    """Return the SD (n - 1) of each channel, (C, 1, 1, 1), computed in double precision where the device has it.

    Sums are taken of distances from the first voxel, so that a constant channel has exactly 0.
    """
    precision = torch.float32 if image.device.type == "mps" else torch.float64
    variances = []
    for channel in image.flatten(1):
        sums, squares = [], []
        for part in channel.split(CACHED // 4 if channel.is_cpu else 2**30):
            away = part.to(precision).sub_(channel[0])
            sums.append(away.sum())
            squares.append(torch.dot(away, away))
        count = len(channel)
        variances.append((torch.stack(squares).sum() - torch.stack(sums).sum() ** 2 / count) / (count - 1))
    return torch.stack(variances).clamp_(min=0).sqrt().to(image.dtype).view(-1, 1, 1, 1)


def normal_like(image: torch.Tensor, seed: int) -> torch.Tensor:
    """Return standard normal noise of the image's shape; it is drawn on the CPU, so that devices agree."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(image.shape, generator=source, dtype=torch.float32).to(image.device)
