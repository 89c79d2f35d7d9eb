"""The held-out cases a second time, with prompts from their references, side by side with the automatic ones.

The second is an oracle: it bears that word wherever its name stands, is never ranked, and no score of the run is its.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.evaluation.comparison.side_by_side import SideBySide
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.inference.predictor import Predictor, PredictorOptions
from neuraxis.pipelines.comparison.compare import CompareOptions, compare
from neuraxis.pipelines.prompting.wishes import oracle_hints
from neuraxis.progress import Progress

FOLDER, PREDICTIONS, BOXED = "prompts", "from-reference", "from-reference"


def beside_oracle(
    bundle: ModelBundle, cases: Dataset, automatic: Path, into: Path, progress: Progress, device: str = "auto"
) -> SideBySide:
    """Predict cases with prompts from their references, and compare them with the automatic predictions.

    Args:
        bundle: a model that is told where to look.
        cases: labelled ones.
        automatic: folder of their automatic predictions.
        into: folder for the predictions, `cases.csv`, `tests.csv`, `comparison.json` and `report.html`; an older one
            is replaced.
        progress: who shows how far it is.
        device: what computes.
    """
    shutil.rmtree(into, ignore_errors=True)
    folder = into / PREDICTIONS
    predictor = Predictor(bundle, PredictorOptions(device=device))
    with progress.stage("predict with prompts from the reference (oracle)", len(cases.cases)) as stage:
        for case in cases.cases:
            hints = oracle_hints(case.read_label().array[0], bundle.labels)
            ready = predictor.prepare(case.read_images(apart=True), hints=hints)
            predictor.predict(ready).save(folder / f"{case.id}.nii.gz")
            stage.advance(note=case.id)
    source = bundle.recipe.network.typed_options().source
    scoring = EvaluateOptions(metrics=("dice", "hd95_mm"))
    entries = {source: automatic, BOXED: folder}
    return compare(entries, cases, into, CompareOptions(overwrite=True, scoring=scoring), progress)


def in_words(found: SideBySide) -> str:
    """Return the mean Dice of both, side by side."""
    return ", ".join(f"{entry.label} {entry.scores.mean('dice'):.4f}" for entry in found.entries)
