"""Out-of-fold label maps of ensembles: what the models of a fold find together in the cases that it held out.

Probabilities are made, averaged and dropped case by case. Only label maps are kept, which take little room.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from neuraxis.dataset.case import Case
from neuraxis.inference.ensemble import average
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.choice.entries import Entry, Field
from neuraxis.preparation.steps import Restored
from neuraxis.progress import Progress
from neuraxis.volume.formats import nifti

Group = tuple[int, ...]


def groups(count: int) -> tuple[Group, ...]:
    """Return which of so many models are joined: each pair, and all of them.

    >>> groups(3)
    ((0, 1), (0, 2), (1, 2), (0, 1, 2))
    """
    pairs = tuple(combinations(range(count), 2))
    return (*pairs, tuple(range(count))) if count > 2 else pairs


def name_of(group: Group, entries: Sequence[Entry]) -> str:
    """Return what a group is called, such as "2d + 3d"."""
    return " + ".join(entries[place].name for place in group)


def ensemble_map(folder: Path, group: Group, case: str) -> Path:
    """Return where the label map of a group lies."""
    return folder / "+".join(str(place) for place in group) / f"{case}.nii.gz"


def write_ensembles(field: Field, folder: Path, device: str, progress: Progress) -> None:
    """Write the label maps of every group, but for those that are there already.

    Args:
        field: the models, and the cases with the fold that held each out.
        folder: where they go, a folder for each group.
        device: what predicts.
        progress: who shows how far it is.
    """
    joined = groups(len(field.entries))
    open_cases: dict[int, list[Case]] = {}
    for case in field.dataset.cases:
        if not all(ensemble_map(folder, group, case.id).is_file() for group in joined):
            open_cases.setdefault(field.fold_of[case.id], []).append(case)
    with progress.stage("predict with several models", len(field.cases)) as stage:
        stage.advance(len(field.cases) - sum(map(len, open_cases.values())))
        for fold, cases in sorted(open_cases.items()):
            options = PredictorOptions(device=device, folds=(fold,), probabilities=True)
            predictors = [Predictor(entry.bundle, options) for entry in field.entries]
            for case in cases:
                _write_case(case, predictors, joined, folder)
                stage.advance(note=case.id)


def _write_case(case: Case, predictors: Sequence[Predictor], joined: Sequence[Group], folder: Path) -> None:
    scan = case.read_images(apart=True)
    found = [predictor.predict(scan) for predictor in predictors]
    restored = [
        Restored(each.segmentation.array[0], None if each.probability is None else each.probability.array)
        for each in found
    ]
    for group in joined:
        together = average((restored[place] for place in group), found[0].labels)
        volume = found[0].segmentation.with_array(together.segmentation[None])
        nifti.write(ensemble_map(folder, group, case.id), volume, overwrite=True)
