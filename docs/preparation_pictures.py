"""Make the picture of docs/how-to/preparation.md from phantoms, and print the table beside it.

usage: python docs/preparation_pictures.py docs/pictures/preparation.png
"""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.preparation.space.bias import correct_bias
from neuraxis.preparation.space.brain import find_brain
from neuraxis.registration.register import register
from neuraxis.registration.resample import resample_onto
from neuraxis.registration.search import about, rotation, shifted
from neuraxis.registration.transform import Transform
from neuraxis.volume.volume import Volume

CHANNELS = ("FLAIR", "T1", "T2")
SPACING_MM = (1.5, 1.5, 2.0)
PATCH = 12


def main(path: str) -> None:
    """Print how well brains are found, and draw registration, bias correction and brain extraction."""
    print("| phantom | " + " | ".join(CHANNELS) + " |\n| --- | --- | --- | --- |")
    scores = []
    for subject, site in enumerate(SITES[:4]):
        channels, brain = _head(site, subject)
        found = [find_brain(channel.array[0], channel.grid) for channel in channels]
        scores.append([2 * (one & brain).sum() / (one.sum() + brain.sum()) for one in found])
        print(f"| {site.name} | " + " | ".join(f"{score:.2f}" for score in scores[-1]) + " |")
        if subject == 0:
            picture = _picture(channels, found[0])
    print("| mean | " + " | ".join(f"{score:.2f}" for score in np.mean(scores, axis=0)) + " |")
    Image.fromarray(picture).save(path, optimize=True)


def _head(site: object, subject: int) -> tuple[list[Volume], np.ndarray]:
    options = PhantomOptions(skull=True, spacing_mm=SPACING_MM)
    images = make_phantom(site, 5, subject, options).images
    alone = PhantomOptions(spacing_mm=SPACING_MM, shape=images.grid.shape)
    brain = (make_phantom(site, 5, subject, alone).images.array != 0).any(axis=0)
    return [images.with_array(channel[None].astype(np.float32)) for channel in images.array], brain


def _picture(channels: list[Volume], brain: np.ndarray) -> np.ndarray:
    flair, t1, _ = channels
    turn = about(np.zeros(3), rotation(np.radians([4, -3, 9])))
    moved = resample_onto(t1, t1.grid, turn.then(Transform(shifted(np.array([8.0, -6.0, 4.0])))), 1)
    found = register(moved, flair)
    print(f"\nregistered: {found.agreement}", file=sys.stderr)
    level = int(0.62 * flair.grid.shape[2])
    brought = resample_onto(moved, flair.grid, found.transform, 1)
    outline = brain ^ _eroded(brain)
    even = correct_bias(flair.array[0], flair.grid)
    tiles = [
        _checkered(_slice(flair.array[0], level), _slice(moved.array[0], level)),
        _checkered(_slice(flair.array[0], level), _slice(brought.array[0], level)),
        _slice(flair.array[0], level),
        _slice(even, level),
        np.where(_turned(outline[:, :, level]), 255, _slice(flair.array[0], level)),
    ]
    return np.concatenate([np.pad(tile.astype(np.uint8), ((0, 0), (0, 4))) for tile in tiles], axis=1)


def _eroded(mask: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    return np.asarray(ndimage.binary_erosion(mask))


def _turned(plane: np.ndarray) -> np.ndarray:
    return plane.T[::-1]


def _slice(array: np.ndarray, level: int) -> np.ndarray:
    low, high = np.percentile(array, (1, 99.7))
    return _turned(np.clip((array[:, :, level] - low) / (high - low) * 235, 0, 235))


def _checkered(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    rows, columns = np.indices(one.shape) // PATCH
    return np.where((rows + columns) % 2 == 0, one, other)


if __name__ == "__main__":
    main(sys.argv[1])
