"""A glioma in a grown brain: necrosis within an enhancing rim within oedema, each inside the next.

The nesting and the four contrasts follow the description of the BraTS labels (Menze et al., "The multimodal brain
tumor image segmentation benchmark", IEEE Trans Med Imaging 34, 2015). Oedema spreads along white matter and stops at
fluid and cortex.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neuraxis.dataset.phantoms.brain import Brain
from neuraxis.dataset.phantoms.fields import Field

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4
CHANNELS = ("FLAIR", "T1", "T1ce", "T2")


@dataclass(frozen=True, eq=False)
class Glioma:
    """What a tumour fills.

    Attributes:
        necrosis: share of each voxel, (X, Y, Z).
        enhancing: the same for the rim that takes up contrast agent.
        oedema: the same for the oedema around both.
    """

    necrosis: np.ndarray
    enhancing: np.ndarray
    oedema: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """(X, Y, Z) uint8, the largest share of each voxel that is tumour by half or more; 0 elsewhere."""
        shares = np.stack([self.necrosis, self.oedema, self.enhancing])
        numbers = np.array([NECROSIS, OEDEMA, ENHANCING], np.uint8)[shares.argmax(axis=0)]
        return np.where(shares.sum(axis=0) >= 0.5, numbers, 0).astype(np.uint8)


def grow_glioma(brain: Brain, axes: Sequence[np.ndarray], rng: np.random.Generator) -> Glioma:
    """Grow one tumour in the cerebrum's white matter."""
    voxel_mm = float(np.prod([axis[1] - axis[0] for axis in axes]) ** (1 / 3))
    x, y, z = (axis.astype(np.float32) for axis in np.meshgrid(*axes, indexing="ij", sparse=True))
    depth = (brain.tissue("white") > 0.9) & (brain.surface_mm > 14) & (brain.points[2] > -12)
    voxel = np.unravel_index(int(rng.choice(np.flatnonzero(depth))), depth.shape)
    centre = [float(axis[index]) for axis, index in zip(axes, voxel, strict=True)]
    lengths = np.exp(rng.uniform(-0.2, 0.2, 3))
    away = np.sqrt(sum(((axis - c) / length) ** 2 for axis, c, length in zip((x, y, z), centre, lengths, strict=True)))
    bumps = Field.draw(rng, 22).on(axes)
    radius = float(rng.uniform(11, 22))
    core = np.float32(radius) - away + np.float32(0.16 * radius) * bumps
    rim = float(rng.uniform(2.5, 5.5)) * (1 + np.float32(0.6) * Field.draw(rng, 26).on(axes))
    tissue = np.clip(brain.tissues.sum(axis=0), 0, 1) - 0.8 * brain.tissue("csf")
    filled = _share(core, voxel_mm) * np.clip(tissue, 0, 1)
    dead = np.minimum(_share(core - np.clip(rim, 0.4, None), voxel_mm), filled)
    fingers = Field.draw(rng, 30).on(axes) * np.float32(5)
    spread = np.float32(radius + rng.uniform(6, 15)) - away + fingers
    path = np.clip(brain.tissue("white") + 0.25 * brain.tissue("grey") + brain.tissue("deep_grey"), 0, 1)
    oedema = _share(spread, voxel_mm) * np.clip(1.3 * path, 0, 1) * (1 - filled)
    return Glioma(dead, filled - dead, oedema * np.clip(tissue, 0, 1))


def paint_glioma(images: np.ndarray, glioma: Glioma, axes: Sequence[np.ndarray], rng: np.random.Generator) -> None:
    """Let a tumour show in images (4, X, Y, Z) in the order of `CHANNELS`, in units of white matter, in place.

    How bright its parts are differs between subjects, so no value holds for all.
    """
    uneven = [Field.draw(rng, length).on(axes) for length in (16, 28)]
    u = rng.uniform
    # rows: necrosis, enhancing, oedema; columns as CHANNELS
    looks = np.array(
        [
            [u(0.7, 1.35), u(0.45, 0.62), u(0.42, 0.6), u(1.7, 2.6)],
            [u(1.0, 1.5), u(0.66, 0.85), u(1.2, 1.7), u(1.2, 1.7)],
            [u(1.35, 1.75), u(0.72, 0.84), u(0.74, 0.86), u(1.6, 2.2)],
        ],
        np.float32,
    )
    changes = np.array([[0.10, 0.04, 0.04, 0.2], [0.1, 0.05, 0.16, 0.1], [0.1, 0.03, 0.03, 0.15]], np.float32)
    shares = (glioma.necrosis, glioma.enhancing, glioma.oedema)
    covered = np.sum(shares, axis=0)
    for channel, image in enumerate(images):
        image *= 1 - covered
        for share, look, change in zip(shares, looks[:, channel], changes[:, channel], strict=True):
            image += share * (look + change * uneven[channel % 2])


def _share(inside_mm: np.ndarray, voxel_mm: float) -> np.ndarray:
    return np.clip(inside_mm / np.float32(voxel_mm) + np.float32(0.5), 0, 1).astype(np.float32)
