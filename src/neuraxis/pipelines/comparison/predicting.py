"""A bundle among the entries predicts the cases as `segment` would, and its processor's seconds are read meanwhile."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError
from neuraxis.files import folder_lock, read_json
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.progress import Progress

SECONDS = "cpu_seconds"


def fitting_scans(name: str, bundle: ModelBundle, references: Dataset | Path) -> Dataset:
    """Return the dataset whose scans the bundle predicts, with the bundle's channels alone and in its order.

    Raises:
        DataError: the references are no dataset, lack a channel, or have other labels than the bundle.
    """
    if not isinstance(references, Dataset):
        raise DataError(
            f"{name}: is a bundle, which needs the scans, and {references} holds label maps alone. Name the dataset "
            "with --references."
        )
    if not set(bundle.channels) <= set(references.channels):
        found, needed = ", ".join(references.channels), ", ".join(bundle.channels)
        raise DataError(
            f"{name}: the model needs the channels {needed}; {references.root} has {found}. Leave it out, or name "
            "another dataset."
        )
    if references.labels.scored != bundle.labels.scored:
        found, needed = (_in_words(labels.scored) for labels in (references.labels, bundle.labels))
        raise DataError(
            f"{name}: the model segments {needed}; the labels of {references.root} are {found}. Bring its "
            "segmentations to these numbers and name their folder instead."
        )
    cases = [
        replace(case, images={channel: case.images[channel] for channel in bundle.channels})
        for case in references.cases
    ]
    return replace(references, channels=bundle.channels, cases=tuple(cases))


def predict_cases(
    bundle: ModelBundle, dataset: Dataset, cases: Sequence[str], folder: Path, progress: Progress
) -> float | None:
    """Predict cases, one after another, into a folder; those that this very model predicted there are kept.

    Args:
        bundle: the model.
        dataset: fits it (see `fitting_scans`).
        cases: ids of the cases.
        folder: for `CASE.nii.gz` and `CASE.json`; emptied of what else it holds of these names.
        progress: who shows how far it is.

    Returns:
        The median over cases of the processor's seconds, of all threads, for reading, preparing, predicting and
        writing one; None where no case tells.
    """
    by_id = {case.id: case for case in dataset.cases}
    with folder_lock(folder):
        missing = [id for id in cases if not _made_by(bundle, folder, id)]
        with progress.stage(f"predict with {folder.name}", len(cases)) as stage:
            stage.advance(len(cases) - len(missing))
            predictor = Predictor(bundle, PredictorOptions()) if missing else None
            for id in missing:
                if predictor is None:
                    break
                before = time.process_time()
                found = predictor.predict(by_id[id].read_images(apart=True))
                about = {"case": id, SECONDS: round(time.process_time() - before, 3)}
                replace(found, provenance={**about, **found.provenance}).save(folder / f"{id}.nii.gz", overwrite=True)
                stage.advance(note=id)
    seconds = [value for id in cases if isinstance(value := _sidecar(folder, id).get(SECONDS), int | float)]
    return statistics.median(seconds) if seconds else None


def _made_by(bundle: ModelBundle, folder: Path, id: str) -> bool:
    return (folder / f"{id}.nii.gz").is_file() and _sidecar(folder, id).get("model_hash") == bundle.hash


def _sidecar(folder: Path, id: str) -> dict[str, Any]:
    try:
        content = read_json(folder / f"{id}.json")
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def _in_words(structures: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} ({'+'.join(map(str, numbers))})" for name, numbers in structures.items())
