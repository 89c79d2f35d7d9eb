"""The probabilities that were kept beside a segmentation, `CASE_prob.nii.gz`, and those of one structure in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.evaluation.boxes import joint_box
from neuraxis.evaluation.calibration import MARGIN_MM, Reliability, reliability_of
from neuraxis.evaluation.distances import Spacing
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS, Grid

_SLACK = 1e-3


def probability_file(prediction: Path) -> Path | None:
    """Return the file of a segmentation's probabilities; None where none was kept."""
    name = any_format.stem(prediction)
    places = (prediction.with_name(f"{name}_prob{ending}") for ending in (".nii.gz", ".nii"))
    return next((place for place in places if place.is_file()), None)


def read_probabilities(case: str, path: Path, grid: Grid) -> np.ndarray:
    """Read the probabilities of a case.

    Args:
        case: whose they are, for messages.
        path: a volume for each output of the model: one for each label, the background first, or one for each region.
        grid: that of the reference.

    Returns:
        (K, X, Y, Z), 0 to 1.

    Raises:
        DataError: another grid, NaN, or values that are no probabilities.
    """
    volume = any_format.read(path)
    if not volume.grid.matches(grid, SAME_VOXELS):
        raise DataError(
            f"{case}: the probabilities {path.name} and the reference do not share a grid: {volume.grid.describe()} "
            f"against {grid.describe()}. Predict again on the reference's scan, or take the file out."
        )
    array = volume.array
    finite = np.isfinite(array)
    if not finite.all():
        raise DataError(
            f"{case}: {path.name} holds NaN or infinity in {int(finite.size - finite.sum())} of {finite.size} values. "
            "Needed are probabilities from 0 to 1: predict the case again, or take the file out."
        )
    low, high = float(array.min()), float(array.max())
    if low < -_SLACK or high > 1 + _SLACK:
        raise DataError(
            f"{case}: {path.name} holds values from {low:.3g} to {high:.3g}. Needed are probabilities from 0 to 1; "
            "are these logits?"
        )
    kept: np.ndarray = np.clip(array, 0, 1)
    return kept


def structure_reliability(
    probability: np.ndarray, masks: tuple[np.ndarray, np.ndarray], spacing_mm: Spacing, scored: np.ndarray | None
) -> Reliability | None:
    """Bin one structure's probabilities in the box of prediction and reference and its margin; None without a box.

    Args:
        probability: (X, Y, Z).
        masks: prediction and reference, bool (X, Y, Z).
        spacing_mm: size of a voxel along each axis.
        scored: voxels that count, bool (X, Y, Z); None: all.
    """
    box = joint_box(*masks)
    if box is None:
        return None
    grown = tuple(
        slice(max(0, one.start - round(MARGIN_MM / size)), one.stop + round(MARGIN_MM / size))
        for one, size in zip(box, spacing_mm, strict=True)
    )
    said, truth = probability[grown], masks[1][grown]
    return reliability_of(said, truth) if scored is None else reliability_of(said[scored[grown]], truth[scored[grown]])


def by_structure(case: str, path: Path, array: np.ndarray, labels: Labels) -> dict[str, np.ndarray]:
    """Return the probability (X, Y, Z) of each structure that is scored.

    Args:
        case: whose they are, for messages.
        path: where they were read from.
        array: (K, X, Y, Z).
        labels: the structures; plain labels that make up a region are added up.

    Raises:
        DataError: another number of volumes than structures or labels.
    """
    if labels.regions and len(array) == len(labels.regions):
        return dict(zip(labels.regions, array, strict=True))
    numbers = sorted(labels.names.values())
    if len(array) == len(numbers):
        return {
            name: np.minimum(array[[numbers.index(number) for number in joined]].sum(axis=0), 1)
            for name, joined in labels.scored.items()
        }
    if len(array) == len(labels.scored) == 1:
        return {next(iter(labels.scored)): array[0]}
    raise DataError(
        f"{case}: {path.name} holds {len(array)} volumes. Needed is one for each label ({len(numbers)}, the background "
        f"first) or for each structure ({', '.join(labels.scored)}): mend it, or take it out."
    )
