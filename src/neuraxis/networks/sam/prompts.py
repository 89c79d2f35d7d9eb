"""Prompts: a box, points, or both, which say what to segment in one slice. In voxels, with numpy alone.

Along both axes of a slice, voxel i fills the range from i to i + 1: a box (0, 0, 3, 5) holds 3 x 5 voxels, and the
middle of the first one is the point (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
Point = tuple[float, float, bool]


@dataclass(frozen=True)
class Prompt:
    """What to segment in a slice (A, B).

    Attributes:
        box: first and last edges (a0, b0, a1, b1), or None.
        points: (a, b, whether the point is inside), any number.
    """

    box: Box | None = None
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.box is None and not self.points:
            raise ValueError("A prompt needs a box or a point.")


@dataclass(frozen=True)
class Jitter:
    """How prompts are drawn from a mask in training.

    Attributes:
        points: share that are a point, in [0, 1].
        share: how far edges and points are moved at most, in sides of the box.
        margin: voxels around the mask.
        most: pieces of a structure that are prompted; at random from one to so many.
    """

    points: float = 0.25
    share: float = 0.1
    margin: float = 2.0
    most: int = 4


def pieces(mask: np.ndarray) -> list[np.ndarray]:
    """Return the connected pieces of a mask (A, B), each as a mask, from large to small; corners connect."""
    from scipy import ndimage

    numbered, count = ndimage.label(mask, structure=np.ones((3, 3), bool))
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    return [numbered == 1 + number for number in np.argsort(-sizes, kind="stable")]


def box_around(mask: np.ndarray, margin: float = 0.0) -> Box:
    """Return the box around a mask (A, B) that is not empty, wider by a margin but inside of the slice."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return (
        max(0.0, float(rows[0]) - margin),
        max(0.0, float(columns[0]) - margin),
        min(float(mask.shape[0]), float(rows[-1]) + 1 + margin),
        min(float(mask.shape[1]), float(columns[-1]) + 1 + margin),
    )


def prompts_of(mask: np.ndarray, margin: float = 0.0) -> list[Prompt]:
    """Return a box for each connected piece of a mask (A, B)."""
    return [Prompt(box_around(piece, margin)) for piece in pieces(mask)]


def coarse_prompts(cells: np.ndarray, shape: tuple[int, int], margin: float) -> list[Prompt]:
    """Return a box in voxels around each piece of a coarse mask (G, G) that covers the square around a slice."""
    width = max(shape) / cells.shape[0]
    found = []
    for prompt in prompts_of(cells):
        if prompt.box is None:
            continue
        a0, b0, a1, b1 = (edge * width for edge in prompt.box)
        low, high = (
            (max(0.0, a0 - margin), max(0.0, b0 - margin)),
            (min(shape[0], a1 + margin), min(shape[1], b1 + margin)),
        )
        if low[0] < high[0] and low[1] < high[1]:
            found.append(Prompt((*low, *high)))
    return found


def drawn_prompts(mask: np.ndarray, how: Jitter, draws: np.random.Generator) -> tuple[list[Prompt], np.ndarray]:
    """Draw the prompts of a structure for training.

    Where it is not in the slice, a box or a point anywhere asks for it all the same, so that the network learns to
    answer with nothing.

    Args:
        mask: (A, B), where the structure is.
        how: they are drawn.
        draws: random numbers.

    Returns:
        The prompts, and the mask of those pieces that they ask for.
    """
    found = pieces(mask)
    if not found:
        return [_anywhere(mask.shape, how, draws)], np.zeros(mask.shape, bool)
    count = int(draws.integers(1, min(how.most, len(found)), endpoint=True))
    found = [found[number] for number in draws.permutation(len(found))[:count]]
    return [_drawn(piece, how, draws) for piece in found], np.logical_or.reduce(found)


def _drawn(piece: np.ndarray, how: Jitter, draws: np.random.Generator) -> Prompt:
    if draws.random() < how.points:
        voxels = np.argwhere(piece)
        a, b = voxels[draws.integers(len(voxels))] + draws.random(2)
        return Prompt(points=((float(a), float(b), True),))
    return Prompt(_moved(box_around(piece, how.margin), piece.shape, how.share, draws))


def _moved(box: Box, shape: Sequence[int], share: float, draws: np.random.Generator) -> Box:
    a0, b0, a1, b1 = box
    sides = np.array([a1 - a0, b1 - b0, a1 - a0, b1 - b0])
    moved = np.array(box) + draws.uniform(-share, share, 4) * sides
    limits = np.array([shape[0], shape[1]] * 2, float)
    a0, b0, a1, b1 = (float(edge) for edge in np.clip(moved, 0, limits))
    return a0, b0, max(a1, a0 + 1), max(b1, b0 + 1)


def _anywhere(shape: Sequence[int], how: Jitter, draws: np.random.Generator) -> Prompt:
    middle = draws.random(2) * np.array(shape)
    if draws.random() < how.points:
        return Prompt(points=((float(middle[0]), float(middle[1]), True),))
    half = np.maximum(1.0, draws.uniform(0.02, 0.2, 2) * np.array(shape))
    low, high = np.maximum(0, middle - half), np.minimum(np.array(shape, float), middle + half)
    return Prompt((float(low[0]), float(low[1]), float(high[0]), float(high[1])))
