"""What a scanner does to an image: the field of a coil, coarse voxels, noise of the magnitude.

A channel's lowest value stands for no signal, since normalised intensities have no zero of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from neuraxis.patches.augment.filters import along, averaging, interpolating, lowest, normal_like
from neuraxis.patches.augment.patch import Patch, Triple
from neuraxis.recipe.augmentation import AugmentationRecipe

BIAS_ORDER = 3


@dataclass(frozen=True, eq=False)
class Bias:
    """A smooth field that multiplies the signal, the same for every channel.

    Attributes:
        coefficients: of the products of Legendre polynomials in the field's logarithm, (4, 4, 4).
    """

    coefficients: np.ndarray


@dataclass(frozen=True)
class LowResolution:
    """Voxels averaged to fewer, longer ones, which are then interpolated back.

    Attributes:
        counts: longer voxels along each axis.
    """

    counts: Triple


@dataclass(frozen=True)
class Rician:
    """Noise of a magnitude image.

    Attributes:
        sigma: of the real and the imaginary part.
        seeds: of both.
    """

    sigma: float
    seeds: tuple[int, int]


def draw_bias(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Bias:
    """Draw a coefficient for each product of polynomials up to third order in all (Van Leemput et al. 1999)."""
    size = BIAS_ORDER + 1
    order = np.add.reduce(np.indices((size, size, size)))
    coefficients = draws.uniform(-recipe.bias, recipe.bias, order.shape)
    coefficients[(order == 0) | (order > BIAS_ORDER)] = 0
    for axis in set(range(3)) - set(patch.axes):
        np.moveaxis(coefficients, axis, 0)[1:] = 0
    return Bias(coefficients)


def apply_bias(image: torch.Tensor, bias: Bias) -> torch.Tensor:
    """Multiply what lies above each channel's lowest value by the field."""
    size_x, size_y, size_z = image.shape[1:]
    x, y, z = (
        torch.tensor(legendre(size), dtype=torch.float32, device=image.device) for size in (size_x, size_y, size_z)
    )
    coefficients = torch.tensor(bias.coefficients, dtype=torch.float32, device=image.device)
    plane = torch.einsum("xi,yj,ijk->xyk", x, y, coefficients)
    field = torch.matmul(plane.view(size_x * size_y, -1), z.T).exp_().view(size_x, size_y, size_z)
    low = lowest(image)
    return (image - low).mul_(field).add_(low)


def legendre(size: int) -> np.ndarray:
    """Return the Legendre polynomials of order 0 to 3 at the voxels of a line from -1 to 1, (size, 4)."""
    places = (2 * np.arange(size) + 1) / size - 1
    values: np.ndarray = np.polynomial.legendre.legvander(places, BIAS_ORDER)
    return values


def draw_low_resolution(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> LowResolution:
    """Draw a factor, and one axis where only one becomes coarser."""
    low, high = np.log(recipe.low_resolution)
    factor, chosen = np.exp(draws.uniform(low, high)), draws.integers(max(1, len(patch.axes)))
    axes = patch.axes if recipe.low_resolution_axes == "all" else patch.axes[chosen : chosen + 1]
    x, y, z = (max(1, round(size / factor)) if axis in axes else size for axis, size in enumerate(patch.shape))
    return LowResolution((x, y, z))


def apply_low_resolution(image: torch.Tensor, drawn: LowResolution) -> torch.Tensor:
    """Average, then interpolate linearly; the mean stays."""
    sizes = image.shape[1:]
    for make, ends in ((averaging, drawn.counts), (interpolating, sizes)):
        for axis, count in enumerate(ends):
            if drawn.counts[axis] != sizes[axis]:
                matrix = torch.tensor(make(image.shape[1 + axis], count), dtype=image.dtype, device=image.device)
                image = along(image, axis, matrix)
    return image


def draw_rician(draws: np.random.Generator, recipe: AugmentationRecipe, patch: Patch) -> Rician:
    """Draw sigma and the seeds."""
    return Rician(draws.uniform(0, recipe.rician), (int(draws.integers(2**62)), int(draws.integers(2**62))))


def apply_rician(image: torch.Tensor, drawn: Rician) -> torch.Tensor:
    """Return the magnitude of the signal with normal noise in both parts (Gudbjartsson and Patz 1995)."""
    low = lowest(image)
    real = normal_like(image, drawn.seeds[0]).mul_(drawn.sigma).add_(image).sub_(low)
    imaginary = normal_like(image, drawn.seeds[1]).mul_(drawn.sigma)
    return torch.hypot(real, imaginary).add_(low)
