"""Scored cases as pictures: read again from their files, on the dataset's scans where it has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.layout import DESCRIPTION
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError, NeuraxisError
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.report.overlays import Overlay
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Volume


def dataset_around(references: Path) -> Dataset | None:
    """Return the dataset that the references belong to, whose images the report shows; None where there is none."""
    folder = references if references.is_dir() else references.parent
    for place in (folder, folder.resolve().parent):
        if (place / DESCRIPTION).is_file():
            try:
                return open_dataset(place)
            except NeuraxisError:
                continue
    return None


def labels_of(scores: Scores, dataset: Dataset | None) -> Labels:
    """Return the dataset's labels where they are those that were scored, else labels made of the table's structures."""
    structures = {row.structure: row.numbers for row in scores.rows}
    if dataset is not None and dataset.labels.scored == structures:
        return dataset.labels
    if all(len(numbers) == 1 for numbers in structures.values()):
        return Labels(names={"background": 0, **{name: numbers[0] for name, numbers in structures.items()}})
    numbers = sorted({number for joined in structures.values() for number in joined})
    return Labels(names={"background": 0, **{str(number): number for number in numbers}}, regions=structures)


def overlay_of(scores: Scores, case: str, caption: str, labels: Labels, dataset: Dataset | None) -> Overlay:
    """Read a scored case as a picture, on the scan's first channel where it has that grid, else on black."""
    row: Score = next(row for row in scores.rows if row.case == case)
    known = {found.id: found for found in dataset.cases} if dataset is not None else {}
    drawn = known.get(case, Case(case, {})).relabelled(Path(row.reference_file))
    if case in known and known[case].label and Path(row.reference_file).samefile(known[case].label_files[0]):
        drawn = known[case]  # whose label map may hold other numbers than the dataset's
    predicted, reference = drawn.relabelled(Path(row.prediction_file)).read_label(), drawn.read_label()
    image = np.zeros(reference.grid.shape, np.float32)
    if case in known:
        scan = first_channel(known[case])
        if scan is not None and scan.grid.matches(reference.grid, SAME_VOXELS):
            image = scan.array[0]
    return Overlay(case, caption, image, reference.array[0], predicted.array[0], reference.grid.spacing_mm, labels)


def first_channel(case: Case) -> Volume | None:
    """Read the first channel (1, X, Y, Z), of a series the mean over time; None where the case has no image.

    Raises:
        DataError: the file is refused, or holds fewer volumes than the case says.
    """
    file = next(iter(case.images.values()), None)
    if file is None:
        return None
    volume = file.read()
    if isinstance(file.index, int) and file.index >= volume.channels:
        raise DataError(f"{case.id}: {file.path.name} holds {volume.channels} volumes, not {file.index + 1}. Mend it.")
    shown = replace(file, index="mean") if file.index is None else file
    return volume.with_array(shown.pick(volume)[None])
