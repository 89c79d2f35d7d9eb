"""Single FLAIR slices of heads, as pictures in the folders train, valid and test.

`train/images/sub-001_slice-1.png` and `train/masks/sub-001_slice-1.png`, 0 and 255. Three slices of a subject lie in
one of the folders together. Every other site exports its pictures as JPEG (`.jpg`); the masks stay PNG.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.dataset.phantoms.brain import grow_brain
from neuraxis.dataset.phantoms.fields import generator
from neuraxis.dataset.phantoms.kind import MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.dataset.phantoms.lesions import LesionOptions, plant_lesions
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, head_axes
from neuraxis.dataset.phantoms.scanner import SITES, acquire
from neuraxis.files import atomic_path
from neuraxis.registry import import_extra

_SPACING_MM = {"small": 2.0, "medium": 1.0, "large": 0.5}
_BETWEEN_MM = 4.0
_PLANES, _SHOWN = 9, (2, 4, 6)
_LEVELS_MM = (-4.0, 30.0)
_ANATOMY, _LESIONS, _SCAN, _LEVEL = range(4)
_PARTS = ("train", "train", "train", "valid", "test")
_BRIGHTEST_PERCENTILE = 99.6


def _begin(folder: Path, options: MakeOptions) -> None:
    import_extra("PIL.Image", "report")
    for part in dict.fromkeys(_part(subject) for subject in range(1, options.cases + 1)):
        (folder / part / "images").mkdir(parents=True)
        (folder / part / "masks").mkdir()


def _part(subject: int) -> str:
    """Return the folder of a subject: of five, three are for training."""
    return _PARTS[(subject - 1) % len(_PARTS)]


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    pictures, masks = _make(options, subject)
    ending = ".jpg" if site_number(options, subject) % 2 else ".png"
    for number, (picture, mask) in enumerate(zip(pictures, masks, strict=True), 1):
        name, place = f"sub-{subject:03d}_slice-{number}", folder / _part(subject)
        _save(place / "images" / f"{name}{ending}", picture)
        _save(place / "masks" / f"{name}.png", mask * np.uint8(255))


def _save(path: Path, picture: np.ndarray) -> None:
    """Write a picture (X, Y) as it hangs on a light box: the front above, the patient's right at the left."""
    image: Any = import_extra("PIL.Image", "report")
    with atomic_path(path) as part:
        image.fromarray(np.ascontiguousarray(picture.T[::-1])).save(part, **_saving(path))


def _saving(path: Path) -> dict[str, object]:
    return {"format": "JPEG", "quality": 90} if path.suffix == ".jpg" else {"format": "PNG"}


def _make(options: MakeOptions, subject: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a subject's slices (3, X, Y) as grey values of 8 bit, and their masks, 0 or 1."""
    site, step = SITES[site_number(options, subject)], _SPACING_MM[options.size]
    seeds = [generator(options.seed, subject, stream) for stream in range(4)]
    level = float(seeds[_LEVEL].uniform(*_LEVELS_MM))
    x, y, _ = head_axes((step, step, step), PhantomOptions(skull=True))
    z = level + (np.arange(_PLANES) - (_PLANES - 1) / 2) * _BETWEEN_MM
    brain = grow_brain([x, y, z], seeds[_ANATOMY])
    lesions = plant_lesions(brain, [x, y, z], seeds[_LESIONS], LesionOptions(24, 44, size=2.2))
    images = acquire(brain, lesions, [x, y, z], site, seeds[_SCAN], skull=True)
    shown = np.stack([_grey(images[0][:, :, plane]) for plane in _SHOWN])
    return shown, np.stack([lesions.mask[:, :, plane] for plane in _SHOWN]).astype(np.uint8)


def _grey(slice_: np.ndarray) -> np.ndarray:
    """Return a slice as the viewer exported it: its brightest value is white."""
    top = max(float(np.percentile(slice_, _BRIGHTEST_PERCENTILE)), 1.0)
    return np.asarray(np.clip(slice_.astype(np.float32) * np.float32(255 / top), 0, 255), np.uint8)


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    pictures, masks = _make(options, subject)
    return Specimen(_stacked(pictures)[None], _stacked(masks), ("FLAIR",), {"lesion": (1,)})


def _stacked(slices: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    return np.stack(list(slices), axis=-1)


KIND = PhantomKind("pictures", len(SITES), _begin, _write, _specimen)
