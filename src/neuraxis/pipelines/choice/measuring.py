"""The scores of every base on every case: as it is, and with each rule of post-processing alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.labels import Labels
from neuraxis.evaluation.choice import Base, alternatives
from neuraxis.evaluation.evaluate import score_case
from neuraxis.inference.postprocessing import Change, postprocess
from neuraxis.pipelines.choice.entries import Field
from neuraxis.progress import Progress
from neuraxis.recipe.postprocessing.rules import PostprocessingRecipe
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume
from neuraxis.workers import map_in_order

BOTH_EMPTY = 1.0
Rows = dict[str, list[np.ndarray]]


@dataclass(frozen=True)
class Source:
    """A base whose label maps are on disk.

    Attributes:
        name: for tables.
        group: which models it joins, by number.
        label_map: where the segmentation of a case lies.
    """

    name: str
    group: tuple[int, ...]
    label_map: Callable[[str], Path]


@dataclass(frozen=True)
class Measure:
    """What candidates are measured by.

    Attributes:
        score: name of a metric whose highest value is best, and which is undefined only where nothing is to be found
            and nothing was found: that counts as 1.
        volumes_mm3: least volumes of a component that are tried.
    """

    score: str = "dice"
    volumes_mm3: tuple[float, ...] = (3.0, 10.0, 30.0, 100.0)


def measure_bases(field: Field, sources: Sequence[Source], measure: Measure, progress: Progress) -> list[Base]:
    """Score the label maps of every source, as they are and with each rule alone."""
    labels = field.dataset.labels
    tried = {structure: alternatives(structure, measure.volumes_mm3) for structure in labels.scored}

    def work(case: Case) -> list[Rows]:
        reference = case.read_label()
        return [_rows(nifti.read(source.label_map(case.id)), reference, labels, tried, measure) for source in sources]

    found: list[list[Rows]] = []
    with progress.stage("try rules", len(field.dataset.cases)) as stage:
        for case, rows in zip(field.dataset.cases, map_in_order(work, field.dataset.cases), strict=True):
            found.append(rows)
            stage.advance(note=case.id)
    bases = []
    for place, source in enumerate(sources):
        by_case = [rows[place] for rows in found]
        ruled = {
            structure: [
                (rules, np.array([rows[structure][number] for rows in by_case])) for number, rules in enumerate(every)
            ]
            for structure, every in tried.items()
        }
        bases.append(Base(source.name, len(source.group), np.array([rows[""][0] for rows in by_case]), ruled))
    return bases


def ruled_map(path: Path, labels: Labels, rules: PostprocessingRecipe) -> Volume:
    """Read a label map and apply rules to it."""
    volume = nifti.read(path)
    if not rules.rules:
        return volume
    after, _ = postprocess(volume.array[0], labels, rules, 1000 * volume.grid.voxel_ml)
    return volume.with_array(after[None])


def _rows(
    predicted: Volume,
    reference: Volume,
    labels: Labels,
    tried: Mapping[str, Sequence[PostprocessingRecipe]],
    measure: Measure,
) -> Rows:
    """Return the scores of all structures: under "" as it is, under each structure with each of its rules."""
    label_map, voxel_mm3 = predicted.array[0], 1000 * predicted.grid.voxel_ml

    def score(after: np.ndarray) -> np.ndarray:
        spacing = reference.grid.spacing_mm
        scores = score_case(after, reference.array[0], labels, spacing, (measure.score,))
        values = [next(iter(row.values())) for row in scores.values()]
        return np.array([BOTH_EMPTY if math.isnan(value) else value for value in values])

    plain = score(label_map)
    rows: Rows = {"": [plain]}
    for structure, every in tried.items():
        rows[structure] = []
        for rules in every:
            after, changes = postprocess(label_map, labels, rules, voxel_mm3)
            rows[structure].append(plain if changes[structure] == Change() else score(after))
    return rows
