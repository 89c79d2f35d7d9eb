"""Between arrays in RAS+ and the images and transforms of ITK, whose world is LPS+."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from neuraxis.registration.transform import Transform
from neuraxis.registry import import_extra
from neuraxis.volume.grid import Grid

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


def library() -> Any:
    """Return SimpleITK.

    Raises:
        MissingExtra: it is not installed; the message is the line to type.
    """
    return import_extra("SimpleITK", "registration")


@contextmanager
def one_thread() -> Iterator[None]:
    """Let ITK work in the calling thread alone: its sums do not depend on the machine, and copies of a process work."""
    process = library().ProcessObject
    usual = process.GetGlobalDefaultNumberOfThreads()
    process.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        process.SetGlobalDefaultNumberOfThreads(usual)


def to_image(array: np.ndarray, grid: Grid) -> Any:
    """Return an image of ITK with the values of (X, Y, Z), float32 or uint8."""
    image = library().GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
    affine = _FLIP @ grid.affine
    spacing = np.array(grid.exact_spacing_mm)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def to_array(image: Any) -> np.ndarray:
    """Return the values (X, Y, Z) of an image of ITK."""
    return np.asarray(library().GetArrayFromImage(image).transpose(2, 1, 0))


def to_itk(transform: Transform) -> Any:
    """Return a transform as ITK has it: from the fixed scan to the moving one, in LPS+."""
    matrix = _FLIP @ transform.inverse.matrix @ _FLIP
    affine = library().AffineTransform(3)
    affine.SetMatrix(matrix[:3, :3].ravel().tolist())
    affine.SetTranslation(matrix[:3, 3].tolist())
    return affine


def from_itk(transform: Any) -> Transform:
    """Return a linear transform of ITK as ours."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(tuple(axis))) - origin for axis in np.eye(3).tolist()]
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = np.stack(axes, axis=1), origin
    return Transform(_FLIP @ matrix @ _FLIP).inverse
