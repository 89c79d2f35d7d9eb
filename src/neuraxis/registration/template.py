"""Templates: a head that all scans are laid onto, by name or from a file, and a small copy that a model can carry."""

from __future__ import annotations

import base64
import binascii
import importlib.util
import json
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError, ResourceError
from neuraxis.registration.level import coarser
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

MNI152 = "mni152"
_PACKAGED = ("data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz")
_COPY_MM, _STEP_MM, _LEVELS = 4.0, 1.0, 63
_LONGEST_TEXT, _MOST_VOXELS, _LONGEST_SIDE = 90_000, 2**21, 4096


@dataclass(frozen=True, eq=False)
class Template:
    """A template: the grid that scans are worked on, and what they are registered to.

    Attributes:
        grid: of the template at its full resolution.
        image: (1, X, Y, Z) uint8, a copy with voxels of about 4 mm: finer ones would move a scan by some tenths of a
            mm, less than heads differ.
    """

    grid: Grid
    image: Volume

    def to_text(self) -> str:
        """Return all of it as letters, for a recipe; `from_text` reads them again."""
        about = {
            "shape": self.grid.shape,
            "affine": self.grid.affine.tolist(),
            "copy_shape": self.image.grid.shape,
            "copy_affine": self.image.grid.affine.tolist(),
        }
        content = json.dumps(about).encode() + b"\n" + np.ascontiguousarray(self.image.array, np.uint8).tobytes()
        return base64.b64encode(zlib.compress(content, 9)).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> Template:
        """Build it from what `to_text` returned.

        Raises:
            ValueError: it is something else, or damaged.
        """
        try:
            reader = zlib.decompressobj()
            content = reader.decompress(base64.b64decode(text, validate=True), 2 * _MOST_VOXELS)
            head, _, voxels = content.partition(b"\n")
            about = json.loads(head)
            grid, small = (_grid(about[f"{which}shape"], about[f"{which}affine"]) for which in ("", "copy_"))
        except (binascii.Error, zlib.error, ValueError, KeyError, TypeError) as error:
            raise ValueError("is no copy of a template, or damaged") from error
        if len(voxels) != prod(small.shape):
            raise ValueError("is no copy of a template, or damaged")
        array = np.frombuffer(voxels, np.uint8).reshape(1, *small.shape)
        return cls(grid, Volume(array, small, None, "the template"))


def read_template(name: str | Path) -> Template:
    """Read a template.

    Args:
        name: a scan's file, or "mni152" for the copy of the ICBM 2009a brain that nilearn brings along.

    Raises:
        DataError: the file is refused, or holds no 3D head.
        ResourceError: nilearn is not installed; the message has the line to type.
    """
    path = _packaged() if str(name).lower() == MNI152 else Path(name)
    if not path.exists():
        raise DataError(f"{path}: there is no such template. Name a scan's file, or 'mni152'.")
    volume = any_format.read(path)
    array = volume.array[0].astype(np.float32)
    high = float(np.percentile(array, 99.9)) if np.isfinite(array).all() else 0.0
    if volume.channels != 1 or min(volume.grid.shape) < 8 or high <= 0:
        raise DataError(f"{path}: has {volume.grid.describe()}. A template is one 3D image of a head.")
    size = _COPY_MM
    while True:
        small, there = coarser(array, volume.grid, size)
        levels = np.round(np.clip(small / high, 0, 1) * _LEVELS).astype(np.uint8)
        template = Template(volume.grid, Volume(levels[None], there, None, "the template"))
        if len(template.to_text()) <= _LONGEST_TEXT or size > 4 * _COPY_MM:
            return template
        size += _STEP_MM


def _packaged() -> Path:
    """Return where nilearn keeps its template, without importing nilearn."""
    found = importlib.util.find_spec("nilearn")
    if found is None or not found.submodule_search_locations:
        raise ResourceError(
            "The template 'mni152' comes with nilearn, which is not installed. Type: pip install nilearn. Or name the "
            "file of a template instead."
        )
    return Path(next(iter(found.submodule_search_locations))).joinpath("datasets", *_PACKAGED)


def _grid(shape: list[int], affine: list[list[float]]) -> Grid:
    x, y, z = (int(size) for size in shape)
    matrix = np.array(affine, dtype=np.float64)
    if not all(0 < size <= _LONGEST_SIDE for size in (x, y, z)) or x * y * z > 2**31:
        raise ValueError("no size of a template")
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise ValueError("no affine of a template")
    return Grid((x, y, z), matrix)
