"""What stands in place of channels that are missing: the same in training and when a scan is segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neuraxis.recipe.branches.missing import Fill


def fill_missing(image: Any, present: Sequence[bool], fill: Fill) -> None:
    """Fill the channels that are missing, in place.

    Args:
        image: (C, X, Y, Z), normalised; an array of numpy or of torch.
        present: for each channel whether it is there; one at least.
        fill: "zeros", or in each voxel the "mean" of the channels that are there.
    """
    there = [place for place, is_there in enumerate(present) if is_there]
    for place, is_there in enumerate(present):
        if not is_there:
            image[place] = 0 if fill == "zeros" else image[there].mean(0)


def with_missing(image: np.ndarray, here: Sequence[str], channels: Sequence[str], fill: Fill) -> np.ndarray:
    """Return a prepared image with all channels, those that are missing filled in.

    Args:
        image: (C, X, Y, Z), normalised, of the channels that are there.
        here: their names.
        channels: of the model, in order.
        fill: what stands in place of the others.
    """
    whole = np.empty((len(channels), *image.shape[1:]), image.dtype)
    for name, values in zip(here, image, strict=True):
        whole[list(channels).index(name)] = values
    fill_missing(whole, [name in here for name in channels], fill)
    return whole
