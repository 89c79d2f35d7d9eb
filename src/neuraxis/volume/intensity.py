"""The histogram of an image, as the standard scale of Nyúl and Udupa describes and matches it.

L. G. Nyúl and J. K. Udupa, "On standardizing the MR image intensity scale", Magn Reson Med 42:1072-1081 (1999);
L. G. Nyúl, J. K. Udupa and X. Zhang, "New variants of a method of MRI scale standardization", IEEE Trans Med Imaging
19:143-150 (2000); M. Shah et al., "Evaluating intensity normalization on MRIs of human brain with multiple sclerosis",
Med Image Anal 15:267-282 (2011), whose eleven landmarks are used here.

Each image is described by percentiles of its foreground. The standard scale is the mean of these vectors over the
training images, after each was stretched to common ends. An image is then mapped piece by piece, linear between its
own landmarks and the standard ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neuraxis.volume.box import nonzero_box

_BLOCK = 2**18
NYUL_PERCENTILES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)


def nyul_landmarks(image: np.ndarray) -> tuple[float, ...]:
    """Return the values at `NYUL_PERCENTILES` of an image's foreground, in ascending order.

    The foreground is what is brighter than the mean (Nyúl and Udupa). The mean is that of the box of non-zero voxels,
    so that it does not matter how much empty space surrounds the head, or whether that was cut away.

    Args:
        image: (X, Y, Z), any real dtype, finite.

    Returns:
        Eleven numbers; all the same for a constant image.
    """
    (x, y, z), (width, height, depth) = nonzero_box([image])
    box = image[x : x + width, y : y + height, z : z + depth]
    foreground = box[box > box.mean(dtype=np.float64)]
    values = foreground if foreground.size else box
    return tuple(float(value) for value in np.percentile(values, NYUL_PERCENTILES))


def standard_scale(landmarks: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the standard scale of several images, given the landmarks of each.

    Every image is first stretched so that its outer landmarks fall on common ends; then the mean is taken landmark by
    landmark. The ends are free (Nyúl and Udupa); here they are such that a foreground with these percentiles has mean
    0 and SD 1, as the other rules of normalisation give it.

    Args:
        landmarks: what `nyul_landmarks` returned for each image; constant images are passed over.

    Returns:
        Eleven ascending numbers. Where every image is constant, or there is none: all 0.
    """
    each = np.array([one for one in landmarks if one[-1] > one[0]], dtype=np.float64)
    if not len(each):
        return (0.0,) * len(NYUL_PERCENTILES)
    stretched = (each - each[:, :1]) / (each[:, -1:] - each[:, :1])
    scale = stretched.mean(axis=0)
    mean, deviation = _moments(scale)
    return tuple(float(value) for value in (scale - mean) / deviation)


def match_landmarks(image: np.ndarray, own: Sequence[float], standard: Sequence[float]) -> np.ndarray:
    """Map an image so that its landmarks fall on the standard ones; linear between them.

    Beyond the outer landmarks it goes on with the slope of the whole scale. (Nyúl, Udupa and Zhang 2000 go on with that
    of the outer piece, which between close landmarks can be steeper without limit and throws the background far out.)
    Landmarks of one value are joined to one piece's end, on the mean of their standard values.

    Args:
        image: (X, Y, Z), any real dtype.
        own: what `nyul_landmarks` returned for it.
        standard: what `standard_scale` returned.

    Returns:
        float32. A constant image becomes 0.
    """
    if len(own) != len(standard):
        raise ValueError(f"{len(own)} landmarks cannot be matched with {len(standard)}.")
    knots, which = np.unique(np.asarray(own, dtype=np.float64), return_inverse=True)
    mapped = np.zeros(image.shape, np.float32)
    if len(knots) < 2:
        return mapped
    values = np.bincount(which, weights=standard) / np.bincount(which)
    slope = (values[-1] - values[0]) / (knots[-1] - knots[0])
    for rows in blocks_of_rows(image):
        block = image[rows]
        mapped[rows] = np.interp(block, knots, values) + slope * (block - np.clip(block, knots[0], knots[-1]))
    return mapped


def blocks_of_rows(image: np.ndarray) -> Iterator[slice]:
    """Yield slices of an image's first axis, each of about a quarter of a million voxels.

    So a step may compute in double precision without an array of that size.
    """
    step = max(1, _BLOCK * len(image) // max(1, image.size))
    for start in range(0, len(image), step):
        yield slice(start, start + step)


def _moments(scale: np.ndarray) -> tuple[float, float]:
    """Return mean and SD of values spread evenly between landmarks, from the first to the last."""
    shares = np.diff(NYUL_PERCENTILES) / (NYUL_PERCENTILES[-1] - NYUL_PERCENTILES[0])
    low, high = scale[:-1], scale[1:]
    mean = float((shares * (low + high) / 2).sum())
    square = float((shares * (low**2 + low * high + high**2) / 3).sum())
    return mean, (square - mean**2) ** 0.5
