"""Brains with a tumour in the four contrasts and under the names of BraTS 2020.

`BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz` (also `t1`, `t1ce`, `t2`), and `_seg` with 1 for necrotic and
non-enhancing core, 2 for oedema, 4 for enhancing tumour. The whole tumour joins all three, the core joins 1 and 4.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuraxis.dataset.phantoms.brain import TISSUES, Brain, grow_brain
from neuraxis.dataset.phantoms.fields import Field, generator
from neuraxis.dataset.phantoms.kind import MARGIN_MM, VARIETY, MakeOptions, PhantomKind, Specimen, site_number
from neuraxis.dataset.phantoms.mimics import add_mimics
from neuraxis.dataset.phantoms.ms_brain import PhantomOptions, head_axes, stored_grid
from neuraxis.dataset.phantoms.scanner import CONTRAST, SITES, Site, receive
from neuraxis.dataset.phantoms.tumour.glioma import (
    CHANNELS,
    ENHANCING,
    NECROSIS,
    OEDEMA,
    Glioma,
    grow_glioma,
    paint_glioma,
)
from neuraxis.files import write_csv
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Stored, Volume

STRUCTURES = {"whole tumour": (NECROSIS, OEDEMA, ENHANCING), "tumour core": (NECROSIS, ENHANCING),
              "enhancing tumour": (ENHANCING,)}  # fmt: skip
_SPACING_MM = {"small": 3.0, "medium": 2.0, "large": 1.0}
_ANATOMY, _TUMOUR, _SCAN = range(3)


def _begin(folder: Path, options: MakeOptions) -> None:
    numbers = range(1, options.cases + 1)
    lines = [(_id(number), SITES[site_number(options, number)].name) for number in numbers]
    write_csv(folder / "sites.csv", ("BraTS_2020_subject_ID", "site"), lines)


def _id(subject: int) -> str:
    return f"BraTS20_Training_{subject:03d}"


def _write(folder: Path, options: MakeOptions, subject: int) -> None:
    images, labels = _make(options, subject)
    id = _id(subject)
    for index, channel in enumerate(CHANNELS):
        image = images.with_array(images.array[index : index + 1])
        nifti.write(folder / id / f"{id}_{channel.lower()}.nii.gz", image)
    nifti.write(folder / id / f"{id}_seg.nii.gz", labels)


def _specimen(options: MakeOptions, subject: int) -> Specimen:
    images, labels = _make(options, subject)
    return Specimen(images.array, labels.array[0], CHANNELS, STRUCTURES)


def _make(options: MakeOptions, subject: int) -> tuple[Volume, Volume]:
    """Return FLAIR, T1, T1ce and T2 as (4, X, Y, Z) int16, 0 outside the brain, and the labels."""
    site, step = SITES[site_number(options, subject)], _SPACING_MM[options.size]
    axes = head_axes((step, step, step), PhantomOptions(), MARGIN_MM)
    brain = grow_brain(axes, generator(options.seed, subject, _ANATOMY), VARIETY)
    glioma = grow_glioma(brain, axes, generator(options.seed, subject, _TUMOUR))
    images = _scan(brain, glioma, axes, site, generator(options.seed, subject, _SCAN))
    shape, origin = brain.surface_mm.shape, np.array([axis[0] for axis in axes])
    plain = Site(site.name, (step,) * 3, "LPS", 0.0, site.gain, site.contrast, site.bias, site.noise, site.blur_mm)
    stored = Stored.of(stored_grid((shape[0], shape[1], shape[2]), (step,) * 3, origin, plain))
    name = f"phantom {options.seed}/{subject} at {site.name}"
    made = (images, glioma.labels[None])
    first, second = (Volume(part, stored.canonical_grid, stored, name) for part in made)
    return first, second


def _scan(brain: Brain, glioma: Glioma, axes: list[np.ndarray], site: Site, rng: np.random.Generator) -> np.ndarray:
    contrast = CONTRAST ** np.array(site.contrast, np.float32)[:, None]
    contrast = contrast * np.exp(rng.normal(0, 0.03, contrast.shape)).astype(np.float32)
    contrast[:, TISSUES.index("white")] = 1
    three = np.tensordot(contrast, brain.tissues, 1)
    _add_glia(three, brain, axes, rng)
    add_mimics(three, brain, axes, rng)
    enhanced = three[1] + _enhancement(brain, axes, rng)
    images = np.stack([three[0], three[1], enhanced, three[2]])
    paint_glioma(images, glioma, axes, rng)
    np.clip(images, 0, None, out=images)
    flair, t1, t2 = site.gain
    seen = receive(images, axes, (flair, t1, t1, t2), site, rng)
    seen = np.where(brain.surface_mm > 0, np.maximum(seen, 1), 0)
    return np.asarray(np.clip(np.rint(seen), 0, 32767), np.int16)


def _add_glia(images: np.ndarray, brain: Brain, axes: list[np.ndarray], rng: np.random.Generator) -> None:
    """Brighten white matter on FLAIR alone in wide patches, as in old age or where the coil is near: no tumour.

    The patches keep T1 and nearly keep T2, which tells them from oedema.
    """
    tissue = brain.tissue("white") + 0.6 * brain.tissue("grey")
    for length, strength in ((70, 0.6), (34, 0.75)):
        patches = np.clip(Field.draw(rng, length).on(axes) - 0.35, 0, 1.2)
        images[0] += np.float32(strength * rng.uniform(0.7, 1.2)) * patches * tissue
    images[2] += np.float32(0.7 * rng.uniform(0.6, 1.1)) * np.clip(Field.draw(rng, 50).on(axes) - 0.8, 0, 1) * tissue


def _enhancement(brain: Brain, axes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return what contrast agent adds where there is no tumour: dura and sinuses, plexus, vessels in the sulci."""
    x, _, z = brain.points
    skin = np.exp(-((brain.surface_mm / 2.4) ** 2)) * np.float32(0.7)
    sinus = np.exp(-(((np.abs(x)) / 3.0) ** 2) - ((brain.surface_mm - 2) / 6) ** 2) * np.clip((z - 5) / 20, 0, 1)
    vessels = np.clip(Field.draw(rng, 16).on(axes) - 1.0, 0, 1) * (brain.tissue("csf") + 0.5 * brain.tissue("grey"))
    plexus = brain.tissue("plexus") * np.float32(1.1)
    return np.asarray(skin + np.float32(0.9) * sinus + np.float32(1.35) * vessels + plexus, np.float32)


KIND = PhantomKind("brats", len(SITES), _begin, _write, _specimen)
