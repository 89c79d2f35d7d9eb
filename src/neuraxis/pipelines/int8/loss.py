"""What a bundle loses in int8: the Dice of the same cases in fp32, by default, and in int8."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.card import Int8Dice
from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError
from neuraxis.evaluation.evaluate import score_case
from neuraxis.hardware import processor_has_bf16
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.inference.runtimes.options import Precision
from neuraxis.pipelines.int8.cases import Measuring
from neuraxis.progress import Progress, Silent
from neuraxis.volume.grid import SAME_VOXELS

NOTE = "windows were not mirrored"


def default_precision() -> Precision:
    """Return what the processor computes in by default."""
    return "bf16" if processor_has_bf16() else "fp32"


def measure_dice(
    bundle: ModelBundle,
    dataset: Dataset,
    parts: Sequence[Measuring],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Int8Dice]:
    """Segment cases in each precision, on the processor and without mirroring, and score them.

    Args:
        bundle: has an int8 network for each of the folds.
        dataset: with the cases.
        parts: which networks segment which cases.
        cache: folder for compiled networks; None means the user's own.
        progress: who shows how far it is.

    Returns:
        Structure to its mean Dice in each precision; a case in which neither the label map nor the segmentation has the
        structure is left out.

    Raises:
        DataError: a scan or label map is refused.
    """
    precisions: tuple[Precision, ...] = tuple(dict.fromkeys(("fp32", default_precision(), "int8")))
    found: dict[str, dict[Precision, list[float]]] = {
        name: {precision: [] for precision in precisions} for name in bundle.labels.scored
    }
    with (progress or Silent()).stage("measure", len(precisions) * sum(len(part.cases) for part in parts)) as stage:
        for part in parts:
            predictors = {precision: _predictor(bundle, part, precision, cache) for precision in precisions}
            for id in part.cases:
                for precision, dice in _score(dataset.case(id), predictors):
                    for structure, value in dice.items():
                        found[structure][precision].append(value)
                    stage.advance(note=f"{id} {precision}")
    return {name: _means({precision: mean(values) for precision, values in by.items()}) for name, by in found.items()}


def mean_dice(structures: Mapping[str, Int8Dice]) -> Int8Dice:
    """Return the mean over the structures in each precision."""
    keys = ("fp32", "default", "int8")
    return Int8Dice(**{key: mean(getattr(dice, key) for dice in structures.values()) for key in keys})


def mean(values: Iterable[float | None]) -> float | None:
    """Return the mean of what is defined; None where nothing is."""
    defined = [value for value in values if value is not None and not math.isnan(value)]
    return statistics.fmean(defined) if defined else None


def _means(means: Mapping[Precision, float | None]) -> Int8Dice:
    return Int8Dice(fp32=means["fp32"], default=means[default_precision()], int8=means["int8"])


def _predictor(bundle: ModelBundle, part: Measuring, precision: Precision, cache: Path | None) -> Predictor:
    return Predictor(
        bundle,
        PredictorOptions("openvino", precision, "cpu", folds=part.folds, mirror_axes=(), cache=cache),
    )


def _score(case: Case, predictors: Mapping[Precision, Predictor]) -> Iterator[tuple[Precision, dict[str, float]]]:
    """Yield the Dice of every structure of one case, which is read and prepared once, in each precision."""
    volume, reference = case.read_images(apart=True), case.read_label()
    if not volume.grid.matches(reference.grid, SAME_VOXELS):
        raise DataError(
            f"{case.id}: image and label map do not share a grid: {volume.grid.describe()} against "
            f"{reference.grid.describe()}. Resample one onto the other or leave the case out."
        )
    ready = next(iter(predictors.values())).prepare(volume)
    del volume
    for precision, predictor in predictors.items():
        predicted = predictor.predict(ready).segmentation
        labels, spacing = predictor.bundle.labels, reference.grid.spacing_mm
        scores = score_case(predicted.array[0], reference.array[0], labels, spacing, ("dice",))
        yield precision, {structure: row["dice"] for structure, row in scores.items()}
