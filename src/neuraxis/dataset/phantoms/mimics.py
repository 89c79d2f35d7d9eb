"""What is bright on FLAIR, or like a lesion in one contrast, and is none: it makes a threshold fail, as in patients.

Every mimic differs from a lesion in at least one contrast. Fluid flow is far darker on T1 and brighter on T2;
ependymal rims and caps, hyperintense limbic cortex and FLAIR ghosts keep their T1; widened perivascular spaces are
dark on FLAIR.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuraxis.dataset.phantoms.brain import Brain
from neuraxis.dataset.phantoms.fields import Field

CHANNELS = ("FLAIR", "T1", "T2")


def add_mimics(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Add all mimics to images (3, X, Y, Z) in the order of `CHANNELS`, in units of white matter, in place."""
    _brighten_cortex(images, brain, axes, rng)
    _rim_ventricles(images, brain, axes, rng)
    _let_fluid_flow(images, brain, axes, rng)
    _haunt(images, brain, axes, rng)
    _widen_vessel_spaces(images, brain, axes, rng)


def _brighten_cortex(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Vary cortex and white matter slowly, and brighten limbic and insular cortex on FLAIR."""
    x, y, z = brain.points
    limbic = np.exp(-(((np.hypot(x, z * 0.8 - 6) - 36) / 9) ** 2) - ((y - 2) / 26) ** 2)
    patches = np.clip(Field.draw(rng, 38).on(axes) - 0.6, 0, 1.6)
    grey = brain.tissue("grey")
    images[0] += grey * (np.float32(0.22) * limbic + np.float32(0.35) * patches + 0.05 * Field.draw(rng, 70).on(axes))
    images[2] += grey * (np.float32(0.10) * limbic + np.float32(0.06) * patches)
    posterior = np.clip((-y - 20) / 50, 0, 1) * np.clip(1 - brain.ventricle_mm / 25, 0, 1)
    images[0] += brain.tissue("white") * (np.float32(rng.uniform(0.05, 0.16)) * posterior)


def _rim_ventricles(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Draw the bright ependymal rim, thicker as caps at the horns' ends, and a bright septum."""
    x, y, _ = brain.points
    rim = np.clip(1.4 - np.abs(brain.ventricle_mm - 0.6), 0, 1) * (1 - brain.tissue("csf"))
    uneven = np.clip(0.6 + 0.5 * Field.draw(rng, 25).on(axes), 0, 1.4)
    ends = np.clip((y - 24) / 10, 0, 1) + np.clip((-46 - y) / 12, 0, 1)
    caps = ends * np.exp(-(np.clip(brain.ventricle_mm, 0, None) ** 2) / 18) * brain.tissue("white")
    septum = np.exp(-((x / 2.5) ** 2)) * (brain.ventricle_mm < 4) * brain.tissue("white")
    bright = rim * uneven * np.float32(0.45) + caps * np.float32(rng.uniform(0.25, 0.5)) + septum * np.float32(0.25)
    images[0] += bright
    images[2] += np.float32(0.15) * bright


def _let_fluid_flow(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Let CSF that moves escape FLAIR's nulling: third and fourth ventricle, cisterns, some sulci."""
    x, _, z = brain.points
    middle = np.exp(-((x / 12) ** 2)) * np.clip((4 - z) / 14, 0, 1)
    pulsing = np.clip(Field.draw(rng, 30).on(axes) * 0.9 + middle * 1.2 - 0.7, 0, 1.2)
    images[0] += brain.tissue("csf") * pulsing * np.float32(rng.uniform(0.9, 1.5))


def _haunt(images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Place ghosts of the size of lesions into the tissue: bright on FLAIR alone, or dark on T1 alone."""
    spacing = [float(axis[1] - axis[0]) for axis in axes]
    inside = np.flatnonzero(brain.surface_mm > 6)
    for channel, strength in ((0, 0.7), (1, -0.3), (2, 0.6)):
        for _ in range(int(rng.integers(22, 46)) if channel == 0 else int(rng.integers(3, 8))):
            voxel = np.unravel_index(int(rng.choice(inside)), brain.surface_mm.shape)
            width = np.exp(rng.uniform(np.log(1.4), np.log(5.5), 3))
            _add_blob(images[channel], voxel, spacing, width, strength * float(rng.uniform(0.7, 1.3)), brain)


def _widen_vessel_spaces(
    images: np.ndarray, brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator
) -> None:
    """Place fluid-filled spaces along vessels: dark on T1 and FLAIR, bright on T2."""
    spacing = [float(axis[1] - axis[0]) for axis in axes]
    inside = np.flatnonzero(
        ((brain.tissue("white") > 0.9) | (brain.tissue("deep_grey") > 0.9)) & (brain.surface_mm > 8)
    )
    for _ in range(int(rng.integers(8, 25))):
        voxel = np.unravel_index(int(rng.choice(inside)), brain.surface_mm.shape)
        width, strength = rng.uniform(0.8, 1.8, 3), float(rng.uniform(0.5, 1))
        for image, change in zip(images, (-0.45, -0.4, 1.2), strict=True):
            _add_blob(image, voxel, spacing, width, change * strength, brain)


def _add_blob(
    image: np.ndarray,
    voxel: Sequence[np.integer],
    spacing: Sequence[float],
    width_mm: np.ndarray,
    strength: float,
    brain: Brain,
) -> None:
    """Add a Gaussian blob with a flat top to one image where there is tissue."""
    box, parts = [], []
    for index, size, step, width in zip(voxel, image.shape, spacing, width_mm, strict=True):
        reach = int(np.ceil(2.6 * width / step))
        low, high = max(int(index) - reach, 0), min(int(index) + reach + 1, size)
        box.append(slice(low, high))
        parts.append(((np.arange(low, high) - int(index)) * step / width) ** 2)
    squared = parts[0][:, None, None] + parts[1][None, :, None] + parts[2]
    blob = np.exp(-((squared / 2) ** 1.5)).astype(np.float32)
    where = (box[0], box[1], box[2])
    image[where] += np.float32(strength) * blob * (1 - brain.tissue("csf")[where]) * (brain.surface_mm[where] > 0)
