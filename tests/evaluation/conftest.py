"""Label maps of a row of voxels, in folders of predictions and references."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


@pytest.fixture
def line() -> Callable[..., np.ndarray]:
    """line(*numbers) -> a label map of one row of voxels."""
    return lambda *numbers: np.array(numbers, np.uint8)[:, None, None]


@pytest.fixture
def write() -> Callable[..., Path]:
    """write(path, label_map, affine) -> path."""

    def make(path: Path, label_map: np.ndarray, affine: np.ndarray | None = None) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        grid = Grid(label_map.shape, np.eye(4) if affine is None else affine)
        nifti.write(path, Volume(label_map[None], grid))
        return path

    return make


@pytest.fixture
def folders(write: Callable[..., Path]) -> Callable[..., tuple[Path, Path]]:
    """folders(root, id=(predicted, reference), ...) -> the folders of predictions and of references."""

    def make(root: Path, **cases: tuple[np.ndarray, np.ndarray]) -> tuple[Path, Path]:
        for id, (predicted, reference) in cases.items():
            write(root / "predictions" / f"{id}.nii.gz", predicted)
            write(root / "references" / f"{id}.nii.gz", reference)
        return root / "predictions", root / "references"

    return make
