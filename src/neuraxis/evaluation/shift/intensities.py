"""What a channel's intensities are like, in a few numbers."""

from __future__ import annotations

import numpy as np

from neuraxis.errors import DataError
from neuraxis.volume.box import nonzero_box
from neuraxis.volume.volume import Volume

PERCENTILES = (1, 10, 50, 90, 99)
STATISTICS = ("mean", "sd", "skewness", "kurtosis", *(f"p{percent:02d}" for percent in PERCENTILES), "foreground")


def intensity_statistics(image: np.ndarray) -> dict[str, float]:
    """Describe an image by its foreground: what is brighter than the mean of the box of non-zero voxels.

    That is the foreground of Nyúl and Udupa: it needs no mask and does not depend on empty space around the head.

    Args:
        image: (X, Y, Z), any real dtype; voxels that are not finite are passed over.

    Returns:
        mean, SD, skewness, excess kurtosis and percentiles of the foreground, and its share of the box in [0, 1]. Of a
        constant image the spread is 0.

    Raises:
        ValueError: no voxel is finite.
    """
    (x, y, z), (width, height, depth) = nonzero_box([image])
    box = image[x : x + width, y : y + height, z : z + depth]
    values = box[np.isfinite(box)].astype(np.float64)
    if not values.size:
        raise ValueError("No voxel is finite.")
    bright = values[values > values.mean()]
    share = bright.size / values.size
    chosen = bright if bright.size else values
    mean, sd = float(chosen.mean()), float(chosen.std())
    # rounding leaves a constant image a spread of its own size times the machine's precision
    scaled = (chosen - mean) / sd if sd > 1e-9 * abs(mean) else np.zeros(chosen.size)
    found = (mean, sd if scaled.any() else 0.0, float((scaled**3).mean()), float((scaled**4).mean()) - 3)
    percentiles = np.percentile(chosen, PERCENTILES).tolist()
    kurtosis = found[3] if scaled.any() else 0.0
    return dict(zip(STATISTICS, (*found[:3], kurtosis, *percentiles, share), strict=True))


def describe_case(id: str, volume: Volume, channels: tuple[str, ...]) -> dict[str, float]:
    """Return the statistics of every channel of a scan, as "CHANNEL STATISTIC".

    Raises:
        DataError: a channel has no finite voxel.
    """
    found: dict[str, float] = {}
    for name, image in zip(channels, volume.array, strict=True):
        try:
            described = intensity_statistics(image)
        except ValueError as error:
            raise DataError(f"{id}: channel '{name}' has no finite voxel. Mend it or leave the case out.") from error
        found |= {f"{name} {statistic}": value for statistic, value in described.items()}
    return found
