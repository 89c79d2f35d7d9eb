"""Brains with a tumour for the large network: the two real scans, one to learn from and one unseen, and phantoms.

A phantom's tumour has a dead core, a rim that takes up contrast agent, and an oedema around, each bent by smooth noise,
with the real scans' classes and about their contrast in FLAIR, T1, T1 with contrast agent, and T2.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from _brains import KINDS, SHAPE, real_cases

from neuraxis.dataset.phantoms.fields import Field, fraction
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, make_phantom
from neuraxis.dataset.phantoms.scanner import SITES
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume

NUMBER, NAME = 6, "Dataset006_Tumours"
CHANNELS, CLASSES = ("FLAIR", "T1", "T1Gd", "T2"), ("necrosis", "oedema", "enhancing")
TRAINING, VALIDATION, UNSEEN = range(1, 7), "phantom6", range(7, 10)
# of white matter's value: necrosis, oedema, rim in each channel
_CONTRAST = np.array([[0.7, 1.75, 1.3], [0.5, 0.75, 0.7], [0.45, 0.75, 1.6], [2.6, 2.0, 1.6]], np.float32)
_DRAWN_FROM = ("FLAIR", "T1", "T1", "T2")


def write_dataset(raw: Path, unseen: Path) -> None:
    """Write the raw dataset, and beside it the cases that no training sees: `images/`, and `labels/`."""
    learned, kept = (
        _with_classes(name, case) for name, case in zip(reversed(KINDS), reversed(real_cases()), strict=True)
    )
    for subject in TRAINING:
        _write(raw, "Tr", f"phantom{subject}", phantom_case(subject))
    _write(raw, "Tr", "real1", learned)
    _write(unseen, "", "real2", kept)
    for subject in UNSEEN:
        _write(unseen, "", f"phantom{subject}", phantom_case(subject))
    description = {
        "channel_names": {str(place): name for place, name in enumerate(CHANNELS)},
        "labels": {"background": 0, **{name: number for number, name in enumerate(CLASSES, 1)}},
        "numTraining": len(TRAINING) + 1,
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description), "utf-8")


def phantom_case(subject: int) -> list[Volume]:
    """Return a phantom's four channels and its label map."""
    phantom = make_phantom(SITES[0], 0, subject, PhantomOptions(spacing_mm=(1.0, 1.0, 1.0), shape=SHAPE))
    rng = np.random.default_rng(subject)
    scans = dict(zip(("FLAIR", "T1", "T2"), phantom.images.array.astype(np.float32), strict=True))
    inside = scans["T1"] > 0
    shares = _tumour(inside, rng)
    textures = np.float32(1) + np.float32(0.08) * Field.draw(rng, 12).on([np.arange(size) for size in SHAPE])
    volumes = []
    for source, contrast in zip(_DRAWN_FROM, _CONTRAST, strict=True):
        white = float(np.median(scans[source][inside]))
        grain = rng.standard_normal(SHAPE, np.float32) * np.float32(0.04 * white)
        tumour = np.tensordot(contrast * white, shares, 1) * textures
        scan = scans[source] * (1 - shares.sum(axis=0)) + tumour + grain
        stored = np.where(inside, np.clip(np.rint(scan), 1, 32767), 0).astype(np.int16)
        volumes.append(phantom.images.with_array(stored[None]))
    whole = np.concatenate([1 - shares.sum(axis=0, keepdims=True), shares])
    return [*volumes, phantom.label.with_array(whole.argmax(axis=0).astype(np.uint8)[None])]


def _tumour(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how much of each voxel is necrosis, oedema and rim, (3, X, Y, Z)."""
    from scipy.ndimage import distance_transform_edt

    places = np.argwhere(distance_transform_edt(inside) > 16)
    centre = places[rng.integers(len(places))]
    radius, core, reach = rng.uniform((14, 0.5, 1.4), (23, 0.75, 2.0))
    axes = [np.arange(size, dtype=np.float32) for size in inside.shape]
    squared = sum(
        (axis - at) ** 2 for axis, at in zip(np.meshgrid(*axes, indexing="ij", sparse=True), centre, strict=True)
    )
    bent = [np.sqrt(squared) * (1 + np.float32(0.16) * Field.draw(rng, length).on(axes)) for length in (40, 25, 30)]
    grown = [fraction(radius * size - away, 1.0) for size, away in zip((core, 1.0, reach), bent, strict=True)]
    dead = grown[0] * grown[1]
    rim = grown[1] - dead
    around = grown[2] * (1 - grown[1])
    return np.stack([dead, around, rim]) * inside


def _with_classes(name: str, case: list[Volume]) -> list[Volume]:
    """Return a real case with our classes; the two sources count necrosis and oedema the other way round."""
    *channels, label = case
    order = (0, 2, 1, 3) if name.startswith("MSD") else (0, 1, 2, 3)
    return [*channels, label.with_array(np.array(order, np.uint8)[label.array])]


def _write(folder: Path, part: str, id: str, case: list[Volume]) -> None:
    *channels, label = case
    for place, volume in enumerate(channels):
        nifti.write(folder / f"images{part}" / f"{id}_{place:04d}.nii.gz", volume)
    nifti.write(folder / f"labels{part}" / f"{id}.nii.gz", label)
