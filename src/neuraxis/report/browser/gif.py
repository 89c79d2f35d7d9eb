"""Moving pictures of a case: through its slices, or through time. Needs the extra `report`."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from neuraxis.registry import import_extra
from neuraxis.report.browser.slices import agreement_picture
from neuraxis.report.overlays import PLANES, Overlay, as_grey, hung

WIDTH, MOST_FRAMES, COLOURS = 300, 40, 64
FRAME_MS = 120
_SHARE = 0.55


def slices_gif(overlay: Overlay) -> bytes:
    """Return a GIF that goes through the axial slices with label and some around them.

    The scan stands on the left; on the right what is found, missed and false is painted over it.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    across, column, row, _ = PLANES["axial"]
    predicted = overlay.scored(overlay.predicted)
    reference = np.zeros_like(predicted) if overlay.reference is None else overlay.scored(overlay.reference)
    grey = as_grey(overlay.image)
    held = np.flatnonzero(((reference > 0) | (predicted > 0)).any(axis=(0, 1)))
    size = grey.shape[across]
    low, high = (max(0, held[0] - 2), min(size - 1, held[-1] + 2)) if held.size else (0, size - 1)
    step = max(1, -(-(high - low + 1) // MOST_FRAMES))
    frames = []
    for index in range(low, high + 1, step):
        parts = [hung(array, across, index) for array in (grey, reference, predicted)]
        frames.append(_beside(*parts))
    return _encoded(frames, (overlay.spacing_mm[column], overlay.spacing_mm[row]))


def time_gif(series: np.ndarray, overlay: Overlay) -> bytes:
    """Return a GIF that goes through the volumes of a series, at the axial slice with most label.

    Args:
        series: (T, X, Y, Z) on the grid of the overlay.
        overlay: the case.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    across, column, row, _ = PLANES["axial"]
    predicted = overlay.scored(overlay.predicted)
    reference = np.zeros_like(predicted) if overlay.reference is None else overlay.scored(overlay.reference)
    counts = ((reference > 0).astype(int) + (predicted > 0)).sum(axis=(0, 1))
    index = int(counts.argmax()) if counts.any() else series.shape[3] // 2
    grey = as_grey(series[..., index : index + 1])  # one window for all times, so that what flickers did so
    step = max(1, -(-len(grey) // MOST_FRAMES))
    masks = [hung(array, across, index) for array in (reference, predicted)]
    frames = [_beside(hung(volume, across, 0), *masks) for volume in grey[::step]]
    return _encoded(frames, (overlay.spacing_mm[column], overlay.spacing_mm[row]))


def _beside(grey: np.ndarray, reference: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    painted = agreement_picture(grey, reference, predicted, _SHARE)
    return np.concatenate([np.repeat(grey[..., None], 3, axis=2), painted], axis=1)


def _encoded(frames: Sequence[np.ndarray], size_mm: tuple[float, float]) -> bytes:
    module = import_extra("PIL.Image", "report")
    rows, columns = frames[0].shape[:2]
    width = WIDTH * 2
    size = width, max(1, round(width * rows * size_mm[1] / (columns * size_mm[0])))
    pictures = [module.fromarray(frame).resize(size, module.Resampling.BILINEAR) for frame in frames]
    shared = module.fromarray(np.concatenate(frames)).quantize(COLOURS)
    indexed = [picture.quantize(palette=shared, dither=module.Dither.NONE) for picture in pictures]
    stream = io.BytesIO()
    indexed[0].save(stream, "GIF", save_all=True, append_images=indexed[1:], duration=FRAME_MS, loop=0)
    return stream.getvalue()
