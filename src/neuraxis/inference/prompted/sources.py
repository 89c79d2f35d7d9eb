"""Where the prompts of each slice come from, unless from the slice before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from neuraxis.inference.prompted.hints import Laid
from neuraxis.inference.prompted.line import centre_line
from neuraxis.inference.prompted.slices import Slices
from neuraxis.networks.sam.prompts import Box, Prompt, box_around, coarse_prompts, pieces, prompts_of

Source = Callable[[int, int], Sequence[Prompt]]


def source_of(laid: Laid, slices: Slices, axis: int, margin: float) -> Source:
    """Return what gives the prompts of (slice, structure); what was drawn there goes before.

    Args:
        laid: the hints, on the grid of the slices.
        slices: of the scan.
        axis: across which they are cut.
        margin: voxels between a structure and the box around it.
    """
    kind = laid.hints.kind
    if kind == "coarse":
        other: Source = lambda number, structure: coarse_prompts(  # noqa: E731  one of five that are alike
            slices.coarse(number)[structure] > 0, slices.shape, margin
        )
    elif kind == "centre-line":
        other = _along_line(slices, margin)
    elif kind in ("map", "line") and laid.label_map is not None:
        other = _of_map(laid.label_map, axis, margin, kind == "line")
    else:
        other = _nothing
    return lambda number, structure: laid.drawn.get((number, structure)) or other(number, structure)


def surest_slice(slices: Slices, structure: int, margin: float) -> tuple[int, list[Prompt]]:
    """Return the slice in which the coarse map shows most of a structure, and its prompts; none where it is nowhere."""
    weights = [_weight(slices.coarse(number)[structure]) for number in range(slices.count)]
    best = int(np.argmax(weights))
    return best, coarse_prompts(slices.coarse(best)[structure] > 0, slices.shape, margin) if weights[best] else []


def _weight(logits: np.ndarray) -> float:
    return float((1 / (1 + np.exp(-logits[logits > 0]))).sum())


def _nothing(number: int, structure: int) -> Sequence[Prompt]:
    return ()


def _of_map(label_map: np.ndarray, axis: int, margin: float, is_line: bool) -> Source:
    def prompts(number: int, structure: int) -> Sequence[Prompt]:
        mask = label_map.take(number, axis=axis) >> structure & 1 > 0
        if not is_line or not mask.any():
            return prompts_of(mask, margin)
        a, b = np.argwhere(mask).mean(axis=0) + 0.5
        return [Prompt(points=((float(a), float(b), True),))]

    return prompts


def _along_line(slices: Slices, margin: float) -> Source:
    @cache
    def boxes(structure: int) -> list[Box]:
        """Return a box in each slice: that of the coarse map's piece on the line, or one of the usual size about it."""
        maps = np.stack([slices.coarse(number)[structure] for number in range(slices.count)])
        width = max(slices.shape) / maps.shape[1]
        rows, columns = (int(np.ceil(size / width)) for size in slices.shape)
        line = centre_line(maps[:, :rows, :columns])
        found = [_piece_at(logits > 0, cell) for logits, cell in zip(maps, line, strict=True)]
        sides = [(box[2] - box[0], box[3] - box[1]) for box in found if box is not None]
        usual = np.median(sides, axis=0) if sides else np.array([2.0, 2.0])
        whole = []
        for box, (row, column) in zip(found, line, strict=True):
            middle = np.array([row + 0.5, column + 0.5])
            a0, b0, a1, b1 = box or (*(middle - usual / 2), *(middle + usual / 2))
            whole.append(
                (
                    max(0.0, float(a0) * width - margin),
                    max(0.0, float(b0) * width - margin),
                    min(float(slices.shape[0]), float(a1) * width + margin),
                    min(float(slices.shape[1]), float(b1) * width + margin),
                )
            )
        return whole

    return lambda number, structure: [Prompt(boxes(structure)[number])]


def _piece_at(cells: np.ndarray, cell: tuple[int, int]) -> Box | None:
    for piece in pieces(cells):
        if piece[cell]:
            return box_around(piece)
    return None
