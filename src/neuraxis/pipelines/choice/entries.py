"""The runs to choose among: each with out-of-fold segmentations of the same cases, by the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.files import read_json
from neuraxis.pipelines.run_folder import folds_from_json
from neuraxis.pipelines.runs.data import dataset_of_run

MOST = 10


@dataclass(frozen=True)
class Entry:
    """A run of all folds.

    Attributes:
        name: that of its folder.
        run: its folder.
        bundle: its model, the networks of all folds.
    """

    name: str
    run: Path
    bundle: ModelBundle

    def label_map(self, case: str, fold: int) -> Path:
        """Return the segmentation of a case by the fold that held it out."""
        return self.run / f"fold-{fold}" / "predictions" / f"{case}.nii.gz"


@dataclass(frozen=True)
class Field:
    """What the runs share.

    Attributes:
        entries: the runs.
        datasets: the folders of the data, as the first run was told them.
        dataset: with the label maps.
        fold_of: case to the fold that held it out.
    """

    entries: tuple[Entry, ...]
    datasets: tuple[str, ...]
    dataset: Dataset
    fold_of: dict[str, int]

    @property
    def cases(self) -> tuple[str, ...]:
        """The ids of all cases, in the dataset's order."""
        return tuple(case.id for case in self.dataset.cases)

    @property
    def patients(self) -> tuple[str, ...]:
        """Whose case each of them is."""
        return tuple(case.subject or case.id for case in self.dataset.cases)


def open_field(runs: Sequence[Path]) -> Field:
    """Open runs, and the data that they were trained with.

    Raises:
        UsageError: a run is none of all folds, is not finished, has rules of its own, or was trained on other cases or
            folds than the first.
        DataError: the data are gone or changed, or a segmentation is missing.
    """
    paths = [Path(run).resolve() for run in runs]
    if not paths or len(set(paths)) < len(paths) or len(paths) > MOST:
        raise UsageError(f"Needed are 1 to {MOST} runs, each named once; found {len(paths)}.")
    names = [path.name for path in paths]
    unique = names if len(set(names)) == len(names) else [f"{path.parent.name}-{path.name}" for path in paths]
    contents = [_content(path) for path in paths]
    for path, content in zip(paths, contents, strict=True):
        for key, what in (("data_hash", "other data"), ("described", "other data"), ("split_hash", "other folds")):
            if content[key] != contents[0][key]:
                raise UsageError(f"{path}: was trained on {what} than {paths[0]}. Choose among runs of the same.")
    entries = tuple(Entry(name, path, _bundle(path)) for name, path in zip(_numbered(unique), paths, strict=True))
    datasets = tuple(contents[0]["request"]["datasets"])
    dataset = dataset_of_run(paths[0], contents[0]["request"])
    if dataset.content_hash() != contents[0]["data_hash"]:
        raise DataError(f"{dataset.root}: changed since {paths[0]} was trained. Bring the same data back.")
    folds = folds_from_json(read_json(paths[0] / "splits.json"))
    fold_of = {id: number for number, fold in enumerate(folds) for id in fold.validation}
    field = Field(entries, datasets, dataset, fold_of)
    for entry in entries:
        lacking = [case for case in field.cases if not entry.label_map(case, field.fold_of[case]).is_file()]
        if lacking:
            raise DataError(f"{entry.label_map(lacking[0], field.fold_of[lacking[0]])}: is missing. Fit the run again.")
    return field


def _content(run: Path) -> dict[str, Any]:
    advice = "Needed is the folder of a finished run of all folds: neuraxis fit DATASET --folds 5"
    if not (run / "run.json").is_file():
        raise UsageError(f"{run}: is not the folder of a run. {advice}")
    content = dict(read_json(run / "run.json"))
    if not content.get("request", {}).get("folds"):
        raise UsageError(f"{run}: is the run of a single fold. {advice}")
    if not any(event["kind"] == "finished" for event in content["events"]) or not (run / "model.nxb").is_file():
        raise UsageError(f"{run}: is not finished; the same command again resumes it. {advice}")
    return content


def _bundle(run: Path) -> ModelBundle:
    bundle = open_bundle(run / "model.nxb")
    if bundle.recipe.postprocessing.rules:
        rules = "; ".join(bundle.recipe.postprocessing.in_words())
        raise UsageError(f"{run}: has rules of its own ({rules}). Fit it without: which rules help is chosen here.")
    return bundle


def _numbered(names: Sequence[str]) -> list[str]:
    """Return names that differ, with a number where some do not."""
    return [f"{name}-{place}" if names.count(name) > 1 else name for place, name in enumerate(names, start=1)]
