"""From what fills the voxels to what a scanner stores: contrast, bias field, blur, Rician noise, by site.

Rician noise: Gudbjartsson and Patz, "The Rician distribution of noisy MRI data", Magn Reson Med 34, 1995.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.brain import TISSUES, Brain
from neuraxis.dataset.phantoms.fields import Field, fraction
from neuraxis.dataset.phantoms.lesions import Lesions
from neuraxis.dataset.phantoms.mimics import add_mimics

# What each tissue gives; rows FLAIR, T1, T2; columns as TISSUES: csf, grey, white, deep grey, pallidum, plexus.
CONTRAST = np.array(
    [[0.22, 1.22, 1.0, 1.12, 0.92, 1.75], [0.28, 0.72, 1.0, 0.84, 0.95, 0.70], [3.1, 1.40, 1.0, 1.22, 0.85, 2.2]],
    np.float32,
)
_LESION = np.array([0.65, -0.42, 0.95], np.float32)
_SKULL = np.array([[0.15, 1.1, 0.7], [0.15, 1.6, 0.5], [0.2, 1.3, 0.8]], np.float32)


@dataclass(frozen=True)
class Site:
    """A scanner and its protocol.

    Attributes:
        name: the dataset's name.
        spacing_mm: size of the voxels along left-right, back-front, foot-head.
        axis_codes: how the file stores them, such as "RAS" or "LAS".
        tilt_deg: rotation of the slices about the left-right axis (an oblique affine).
        gain: stored value of white matter in (FLAIR, T1, T2).
        contrast: exponent on the tissues' contrast in each; below 1 is flatter.
        bias: SD of the logarithm of the coils' sensitivity.
        noise: SD of the noise in each channel of the receiver, as a share of white matter.
        blur_mm: SD of the point spread.
    """

    name: str
    spacing_mm: tuple[float, float, float]
    axis_codes: str
    tilt_deg: float
    gain: tuple[float, float, float]
    contrast: tuple[float, float, float]
    bias: float
    noise: float
    blur_mm: float


SITES = (
    Site("Alder", (1.5, 1.5, 1.5), "RAS", 0.0, (310.0, 620.0, 240.0), (1.0, 1.0, 1.0), 0.17, 0.035, 0.45),
    Site("Birch", (1.25, 1.25, 2.0), "LAS", 0.0, (88.0, 300.0, 290.0), (0.9, 1.1, 0.92), 0.2, 0.045, 0.55),
    Site("Cedar", (1.6, 1.6, 1.6), "RAS", 9.0, (1150.0, 900.0, 1400.0), (1.06, 0.95, 1.05), 0.2, 0.03, 0.6),
)


def acquire(
    brain: Brain,
    lesions: Lesions,
    axes: Sequence[np.ndarray],
    site: Site,
    rng: np.random.Generator,
    skull: bool = False,
) -> np.ndarray:
    """Scan a brain: return FLAIR, T1 and T2 as (3, X, Y, Z) int16; without a skull the background is 0."""
    contrast = CONTRAST ** np.array(site.contrast, np.float32)[:, None]
    contrast = contrast * np.exp(rng.normal(0, 0.03, contrast.shape)).astype(np.float32)
    contrast[:, TISSUES.index("white")] = 1
    images = np.tensordot(contrast, brain.tissues, 1)
    add_mimics(images, brain, axes, rng)
    strengths = (lesions.brightness, lesions.darkness, lesions.brightness)
    power = np.array(site.contrast, np.float32)
    for channel, strength in enumerate(strengths):
        images[channel] *= 1 - lesions.fraction
        images[channel] += lesions.fraction + _LESION[channel] * power[channel] * strength
    if skull:
        _wrap(images, brain, axes)
    np.clip(images, 0, None, out=images)
    seen = receive(images, axes, site.gain, site, rng)
    if not skull:
        seen = np.where(brain.surface_mm > 0, np.maximum(seen, 1), 0)
    return np.asarray(np.clip(np.rint(seen), 0, 32767), np.int16)


def _wrap(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray]) -> None:
    """Put fluid, skull and scalp around the brain, in place."""
    voxel_mm = float(np.prod([axis[1] - axis[0] for axis in axes]) ** (1 / 3))
    outside = 1 - fraction(brain.surface_mm, voxel_mm)
    away = -brain.surface_mm
    fluid = fraction(2.5 - away, voxel_mm)
    bone = fraction(8.5 - away, voxel_mm) - fluid
    scalp = fraction(14 - away, voxel_mm) - fluid - bone
    for image, row, csf in zip(images, _SKULL, CONTRAST[:, 0], strict=True):
        image += outside * (csf * fluid + row[0] * bone + row[1] * scalp)


def receive(
    images: np.ndarray, axes: Sequence[np.ndarray], gains: Sequence[float], site: Site, rng: np.random.Generator
) -> np.ndarray:
    """Blur, weigh with the coils' sensitivity, add Rician noise and scale to stored values.

    Args:
        images: (C, X, Y, Z), in units of white matter.
        axes: mm, where the voxels lie.
        gains: stored value of white matter in each channel, C of them.
        site: whose bias, noise and blur.
        rng: draws sensitivity, noise and a change of each gain.
    """
    from scipy.ndimage import gaussian_filter

    sigma = [site.blur_mm / float(axis[1] - axis[0]) for axis in axes]
    seen = np.empty_like(images)
    for channel, gain in enumerate(gains):
        sensitivity = np.exp(np.float32(site.bias) * Field.draw(rng, 170).on(axes))
        signal = gaussian_filter(images[channel], sigma, truncate=3) * sensitivity
        noise = rng.standard_normal((2, *signal.shape), np.float32) * np.float32(site.noise)
        drawn = gain * float(np.exp(rng.normal(0, 0.12)))
        seen[channel] = np.hypot(signal + noise[0], noise[1]) * np.float32(drawn)
    return seen
