"""From scans to prepared arrays: one volume for inference, a whole dataset for training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.preparation import steps
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.store import Store
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Volume
from neuraxis.workers import map_in_order


def prepare_volume(
    volume: Volume,
    channels: tuple[str, ...],
    recipe: PreparationRecipe,
    label: np.ndarray | None = None,
    labels: Labels | None = None,
) -> Prepared:
    """Crop, resample and normalise a scan.

    Args:
        volume: (C, X, Y, Z), its channels in the order of `channels`.
        channels: channel names, which choose the normalisation.
        recipe: the decisions.
        label: label map (X, Y, Z) on the same grid, prepared along.
        labels: what its numbers mean; needed with `label`.
    """
    if volume.channels != len(channels):
        raise ValueError(f"{volume.channels} channels were given where {', '.join(channels)} are needed.")
    way = steps.plan_way(volume.array, volume.grid, recipe)
    box = steps.cut(volume.array, way)
    normalised = [
        steps.normalise(box[index], recipe.normalisation[name], recipe.intensity.get(name))
        for index, name in enumerate(channels)
    ]
    image = steps.resample(np.stack(normalised), way, recipe.image_order)
    if label is None or labels is None:
        return Prepared(image, way)
    return Prepared(image, way, labels.encode(steps.resample_target(steps.cut(label, way), way)))


def prepare_case(case: Case, dataset: Dataset, recipe: PreparationRecipe) -> Prepared:
    """Read a labelled case and prepare it.

    Raises:
        DataError: a file is refused, or image and label map do not share a grid.
    """
    volume, label = case.read_images(), case.read_label()
    if not volume.grid.matches(label.grid, SAME_VOXELS):
        raise DataError(
            f"{case.id}: image and label map do not share a grid: {volume.grid.describe()} against "
            f"{label.grid.describe()}. Resample one onto the other or leave the case out."
        )
    return prepare_volume(volume, dataset.channels, recipe, label.array[0], dataset.labels)


def prepare_dataset(dataset: Dataset, recipe: PreparationRecipe, into: Path, progress: Progress | None = None) -> Store:
    """Prepare every labelled case into a chunked store; cases that are there already are kept.

    The store is bound to the recipe and the files: where either changed, a case is prepared again.
    """
    store = Store(into)
    keys = _keys(dataset, recipe)
    open_cases = [case for case in dataset.cases if not store.holds(case.id, keys[case.id])]
    with (progress or Silent()).stage("prepare", len(dataset.cases)) as stage:
        stage.advance(len(dataset.cases) - len(open_cases))

        def work(case: Case) -> str:
            store.put(case.id, prepare_case(case, dataset, recipe), keys[case.id])
            return case.id

        for done in map_in_order(work, open_cases):
            stage.advance(note=done)
    return store


def _keys(dataset: Dataset, recipe: PreparationRecipe) -> dict[str, str]:
    decisions = f"{recipe.model_dump_json()}|{dataset.channels}|{dataset.labels.model_dump_json()}"
    hashes = dataset.content_hashes()
    return {id: hashlib.sha256(f"{content}|{decisions}".encode()).hexdigest() for id, content in hashes.items()}
