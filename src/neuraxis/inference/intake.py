"""A scan at the door: refused where no result could be right, warned about where one may be wrong."""

from __future__ import annotations

import math

import numpy as np

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.errors import DataError
from neuraxis.preparation.space.gather import reference_of
from neuraxis.preparation.turn import turn_of
from neuraxis.recipe.preparation import IntensityStatistics
from neuraxis.volume.formats import any_format
from neuraxis.volume.volume import Volume

FAR_SPACING = 2.0
FEW_VALUES = 8
_SAMPLE = 100_000


def examine_scan(volume: Volume, bundle: ModelBundle, channels: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Check a scan against what a model needs.

    Args:
        volume: (C, X, Y, Z), its channels in the model's order.
        bundle: the model.
        channels: those that the scan has; left out, the model's.

    Returns:
        Warnings, in words: values or a spacing far from what the model was trained on, and channels that are missing,
        and what is odd about its geometry.

    Raises:
        DataError: another number of channels, one missing that the model needs, values that are not finite, or a
            channel of one value only.
    """
    name = volume.name or "the scan"
    here = channels or bundle.channels
    if volume.channels != len(here):
        raise DataError(
            f"{name}: has {volume.channels} channel(s). The model '{bundle.name}' needs {len(bundle.channels)}: "
            f"{', '.join(bundle.channels)}."
        )
    warnings = _missing(name, bundle, here)
    for channel, single in zip(here, volume.each, strict=True):
        values = single.array[0]
        _refuse_unusable(values, f"{name}: channel '{channel}'", single)
        sample = _sample(values)
        if np.count_nonzero(np.diff(np.sort(sample))) < FEW_VALUES:
            warnings.append(f"Channel '{channel}' holds hardly any different values: is it a label map?")
        rule = bundle.recipe.preparation.normalisation.get(channel)
        statistics = bundle.recipe.preparation.intensity.get(channel)
        if rule == "ct" and statistics is not None:
            warnings += _unlike(sample, statistics, channel)
    remarks = (f"{remark[:1].upper()}{remark[1:]}." for remark in any_format.geometry_remarks(volume))
    native = reference_of(volume, here, bundle.recipe.preparation)
    return (*warnings, *_far_spacing(native, bundle), *remarks)


def _missing(name: str, bundle: ModelBundle, here: tuple[str, ...]) -> list[str]:
    """Warn of channels that are missing, where the model learned to do without them."""
    lacking = [channel for channel in bundle.channels if channel not in here]
    needed = [channel for channel in lacking if channel not in bundle.recipe.missing.by_channel]
    if needed or len(lacking) == len(bundle.channels):
        raise DataError(
            f"{name}: channel '{(needed or lacking)[0]}' is missing, and the model '{bundle.name}' did not learn to do "
            "without it. Add it, or train one with missing.probability."
        )
    filled = {"zeros": "zeros", "mean": "the mean of the others"}[bundle.recipe.missing.fill]
    return [f"Channel '{channel}' is missing: the model sees {filled} in its place." for channel in lacking]


def _sample(values: np.ndarray) -> np.ndarray:
    """Return some ten thousands of values of (X, Y, Z), spread evenly over all of it."""
    step = math.ceil((values.size / _SAMPLE) ** (1 / 3))
    return values[tuple(slice(None, None, step if size > step else 1) for size in values.shape)].ravel()


def _refuse_unusable(values: np.ndarray, name: str, volume: Volume) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values.sum(dtype=np.float64)):
        wrong = ~np.isfinite(values)
        if wrong.any():
            first = np.unravel_index(int(wrong.argmax()), wrong.shape)
            place = ", ".join(str(index) for index in _stored_index(first, volume))
            raise DataError(
                f"{name}: {int(wrong.sum())} of {wrong.size} voxels are NaN or infinite, the first at voxel ({place}) "
                "of the file. Needed are finite numbers. Export the scan again, or replace them."
            )
    if values.min() == values.max():
        raise DataError(
            f"{name}: every voxel is {values.flat[0]:g}, so nothing can be seen in it. Was the right file chosen?"
        )


def _stored_index(index: tuple[np.intp, ...], volume: Volume) -> list[int]:
    """Return where a voxel of the canonical array lies in the file."""
    if volume.stored is None:
        return [int(place) for place in index]
    found = [0, 0, 0]
    for place, size, axis, flip in zip(index, volume.grid.shape, volume.stored.axes, volume.stored.flips, strict=True):
        found[axis] = int(size - 1 - place if flip else place)
    return found


def _unlike(sample: np.ndarray, trained: IntensityStatistics, channel: str) -> list[str]:
    """Warn where no voxel lies in the range that the model tells structures apart by."""
    if bool(((sample >= trained.low) & (sample <= trained.high)).any()):
        return []
    return [
        f"Channel '{channel}' has values from {sample.min():g} to {sample.max():g}, none in the {trained.low:g} to "
        f"{trained.high:g} of the training scans: is it in the same units (CT: Hounsfield)?"
    ]


def _far_spacing(volume: Volume, bundle: ModelBundle) -> list[str]:
    recipe = bundle.recipe.preparation
    if recipe.space == "template":
        return []
    found = turn_of(volume.stored, recipe).grid(volume.grid).spacing_mm
    trained = [there or here for here, there in zip(found, recipe.spacing_mm, strict=True)]
    by_size = [bool(size) for size in recipe.size]
    ratios = [
        0.0 if resized else abs(math.log2(here / there))
        for here, there, resized in zip(found, trained, by_size, strict=True)
    ]
    if max(ratios) <= math.log2(FAR_SPACING) + 1e-6:
        return []
    here, there = (", ".join(f"{size:g}" for size in sizes) for sizes in (found, trained))
    return [f"The spacing of {here} mm is far from the {there} mm that the model works at: look at the result closely."]
