"""How far the simplest method gets on phantoms: one threshold for all scans.

A phantom that a threshold solves says nothing about a network (DESIGN §7), so the best threshold is looked for as
well as can be: on each channel, for bright and for dark lesions, on stored values and on z-scores of each brain.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neuraxis.dataset.phantoms.mimics import CHANNELS

LabelledImages = tuple[np.ndarray, np.ndarray]


def threshold_scores(
    training: Sequence[LabelledImages],
    unseen: Sequence[LabelledImages],
    steps: int = 400,
    channels: Sequence[str] = CHANNELS,
) -> dict[str, float]:
    """Choose the best global threshold for each way on training scans; return its mean Dice on unseen ones.

    Args:
        training: pairs of images (C, X, Y, Z), 0 outside the brain, and label (X, Y, Z), 0 or 1.
        unseen: the same, of other subjects.
        steps: number of thresholds tried for each way, evenly spread over the range of the lesions' values.
        channels: what the images are called.

    Returns:
        The way, such as "FLAIR above" or "T1 z-score below", to mean Dice in [0, 1].
    """
    found = {}
    for index, channel in enumerate(channels[: training[0][0].shape[0]]):
        for scaled in (False, True):
            learn = [_values(images[index], label, scaled) for images, label in training]
            check = [_values(images[index], label, scaled) for images, label in unseen]
            lesion = np.concatenate([values[inside] for values, inside in learn])
            low, high = np.percentile(lesion, [0.5, 99.5])
            limits = np.linspace(float(low), float(high), steps)
            for way, sign in (("above", 1), ("below", -1)):
                chosen = int(_mean_dice(learn, limits, sign).argmax())
                name = f"{channel}{' z-score' if scaled else ''} {way}"
                found[name] = float(_mean_dice(check, limits[chosen : chosen + 1], sign)[0])
    return found


def _values(image: np.ndarray, label: np.ndarray, scaled: bool) -> LabelledImages:
    brain = image > 0
    values = image[brain].astype(np.float32)
    if scaled:
        values = (values - values.mean()) / values.std()
    return values, label[brain] > 0


def _mean_dice(scans: Sequence[LabelledImages], limits: np.ndarray, sign: int) -> np.ndarray:
    """Return for each threshold the mean over scans of the Dice of `sign * values >= sign * limit`."""
    total = np.zeros(len(limits))
    for values, inside in scans:
        every, lesion = np.sort(sign * values), np.sort(sign * values[inside])
        marked = len(every) - np.searchsorted(every, sign * limits)
        hit = len(lesion) - np.searchsorted(lesion, sign * limits)
        total += 2 * hit / np.maximum(marked + len(lesion), 1)
    return np.asarray(total / len(scans))
