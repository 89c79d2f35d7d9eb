"""`choose`: which of several models, which of their ensembles, and which post-processing, by out-of-fold scores.

CHOSEN/model.nxb                        the chosen model, or ensemble, with its rules of post-processing
CHOSEN/report.html                      its scores, marked as selected on these cases, and what to expect on others
CHOSEN/candidates.csv                   every candidate with its score, and its loss against the best
CHOSEN/scores.csv, predictions/         the chosen one on all cases, each by the fold that held it out
CHOSEN/cross-fitted.csv                 each case under what was chosen without its fold
CHOSEN/choice.json                      what was asked, what was chosen, and what each fold's others would have chosen
CHOSEN/ensembles/                       label maps of the ensembles that were tried
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from neuraxis.errors import UsageError, suggest
from neuraxis.evaluation.choice import SCORES, Pick, cross_fit, finalists, simplest_of_the_best
from neuraxis.evaluation.evaluate import score_rows
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.files import read_json, write_json
from neuraxis.hardware import check_device
from neuraxis.pipelines.choice.averaging import ensemble_map, groups, name_of, write_ensembles
from neuraxis.pipelines.choice.candidates import Row, list_candidates
from neuraxis.pipelines.choice.entries import Entry, Field, open_field
from neuraxis.pipelines.choice.measuring import Measure, Source, measure_bases, ruled_map
from neuraxis.pipelines.choice.outcome import Chosen, write_chosen
from neuraxis.pipelines.run_folder import writing_in
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import nifti
from neuraxis.workers import map_in_order

log = logging.getLogger("neuraxis")
RECORD = "choice.json"
CROSS_FITTED = "Cross-fitted: each case is scored under what was chosen without the cases of its fold."
OUT_OF_FOLD = "Out of fold: each case was segmented by networks that did not learn from it."


@dataclass(frozen=True)
class ChooseOptions:
    """What is tried, and by what it is measured.

    Attributes:
        into: folder for everything; the same call again goes on there.
        score: name of the metric whose mean over patients decides: dice, iou, surface_dice or lesion_f1.
        ensembles: whether pairs of runs, and all together, are tried as well.
        volumes_mm3: least volumes of a component that are tried for each structure.
        device: what predicts for ensembles: "auto", "cpu", "cuda", "cuda:1" or "mps".
    """

    into: Path
    score: str = "dice"
    ensembles: bool = True
    volumes_mm3: tuple[float, ...] = Measure().volumes_mm3
    device: str = "auto"


@dataclass(frozen=True)
class ChooseResult:
    """What was chosen and what it is worth.

    Attributes:
        folder: with everything.
        bundle: the chosen model.
        report: the page.
        pick: the base and its rules.
        candidates: all of them, finalists first, then by falling score.
        scores: of the chosen one, selected on these cases.
        cross_fitted: of what was chosen without each case's fold.
    """

    folder: Path
    bundle: Path
    report: Path
    pick: Pick
    candidates: tuple[Row, ...]
    scores: Scores
    cross_fitted: Scores


def choose_among(runs: Sequence[Path | str], options: ChooseOptions, progress: Progress | None = None) -> ChooseResult:
    """Choose among runs of all folds, their ensembles and rules of post-processing.

    Args:
        runs: folders that `fit --folds` filled, the simpler or preferred ones first.
        options: what is tried.
        progress: who shows how far it is.

    Raises:
        UsageError: a run does not fit, the score is none that can choose, or the folder holds something else.
        DataError: the data of the runs are gone or changed.
        ResourceError: memory, disk or the device does not suffice, or another process works in the folder.
    """
    progress = progress or Silent()
    if options.score not in SCORES:
        raise UsageError(f"--score {options.score}: cannot choose. {suggest(options.score, SCORES)}")
    wrong = [volume for volume in options.volumes_mm3 if not 0 < volume < float("inf")]
    if wrong:
        raise UsageError(f"--volumes {wrong[0]:g}: needed are volumes above 0 mm3.")
    check_device(options.device)
    field = open_field([Path(run) for run in runs])
    _refuse_other(options, _request(field, options))
    with writing_in(options.into):
        write_json(options.into / RECORD, {"request": _request(field, options)})
        return _Choice(field, options, progress).run()


class _Choice:
    """The stages of one choice."""

    def __init__(self, field: Field, options: ChooseOptions, progress: Progress) -> None:
        self.field, self.options, self.progress = field, options, progress
        self.sources = {source.name: source for source in self._sources()}

    def run(self) -> ChooseResult:
        """Measure, choose, and write what was chosen."""
        field, options = self.field, self.options
        if any(len(source.group) > 1 for source in self.sources.values()):
            write_ensembles(field, options.into / "ensembles", options.device, self.progress)
        measure = Measure(options.score, options.volumes_mm3)
        bases = measure_bases(field, tuple(self.sources.values()), measure, self.progress)
        last = finalists(bases, field.patients)
        best = simplest_of_the_best(last, field.patients)
        picks = cross_fit(bases, field.patients, [field.fold_of[case] for case in field.cases])
        scores, cross_fitted = self._scores(best.pick, picks)
        group = self.sources[best.pick.base].group
        chosen = Chosen(
            tuple(field.entries[place] for place in group), best.pick, picks, scores, cross_fitted, options.score
        )
        log.info("chosen: %s", in_words(best.pick))
        rows = list_candidates(bases, last, best.pick, field.patients)
        bundle, report = write_chosen(field, chosen, rows, options.into, self.progress)
        write_json(
            options.into / RECORD,
            {
                "request": _request(field, options),
                "chosen": _pick_content(best.pick),
                "without_fold": {str(fold): _pick_content(pick) for fold, pick in picks.items()},
                "selected_on_these_cases": scores.mean(column_of(scores, options.score)),
                "cross_fitted": cross_fitted.mean(column_of(cross_fitted, options.score)),
            },
        )
        return ChooseResult(options.into, bundle, report, best.pick, rows, scores, cross_fitted)

    def _sources(self) -> list[Source]:
        field = self.field
        found = [
            Source(entry.name, (place,), partial(_held_out_map, field, entry))
            for place, entry in enumerate(field.entries)
        ]
        if self.options.ensembles:
            folder = self.options.into / "ensembles"
            for group in groups(len(field.entries)):
                name = name_of(group, field.entries)
                found.append(Source(name, group, partial(ensemble_map, folder, group)))
        return found

    def _scores(self, pick: Pick, picks: dict[int, Pick]) -> tuple[Scores, Scores]:
        """Write the chosen one's label maps and score them, and score each case under its fold's pick."""
        field, labels = self.field, self.field.dataset.labels
        place = self.options.into / "predictions"

        def work(number: int) -> tuple[tuple[Score, ...], tuple[Score, ...]]:
            case = field.dataset.cases[number]
            reference, path = case.read_label(), place / f"{case.id}.nii.gz"
            nifti.write(path, ruled_map(self.sources[pick.base].label_map(case.id), labels, pick.rules), overwrite=True)
            rows = score_rows(case, nifti.read(path), reference, labels)
            other = picks[field.fold_of[case.id]]
            if other == pick:
                return rows, rows
            predicted = ruled_map(self.sources[other.base].label_map(case.id), labels, other.rules)
            return rows, score_rows(case, predicted, reference, labels)

        chosen: list[Score] = []
        crossed: list[Score] = []
        with self.progress.stage("score the choice", len(field.cases)) as stage:
            for rows, others in map_in_order(work, range(len(field.cases))):
                chosen.extend(rows)
                crossed.extend(others)
                stage.advance(note=rows[0].case)
        return Scores.of(chosen, True, (OUT_OF_FOLD,)), Scores.of(crossed, False, (OUT_OF_FOLD, CROSS_FITTED))


def _held_out_map(field: Field, entry: Entry, case: str) -> Path:
    return entry.label_map(case, field.fold_of[case])


def in_words(pick: Pick) -> str:
    """Return a pick for reading.

    >>> in_words(Pick("2d + 3d"))
    '2d + 3d, no post-processing'
    """
    return f"{pick.base}, {'; '.join(pick.rules.in_words()) or 'no post-processing'}"


def column_of(scores: Scores, score: str) -> str:
    """Return the column of a table that a metric fills; of several tolerances the first."""
    return next(column for column in scores.metrics if column == score or column.startswith(f"{score}_"))


def _pick_content(pick: Pick) -> dict[str, Any]:
    return {"base": pick.base, "rules": pick.rules.model_dump(mode="json"), "in_words": in_words(pick)}


def _request(field: Field, options: ChooseOptions) -> dict[str, Any]:
    return {
        "datasets": list(field.datasets),
        "runs": [str(entry.run) for entry in field.entries],
        "models": [entry.bundle.hash for entry in field.entries],
        "score": options.score,
        "ensembles": options.ensembles,
        "volumes_mm3": list(options.volumes_mm3),
    }


def _refuse_other(options: ChooseOptions, request: dict[str, Any]) -> None:
    """Refuse a folder that holds something else than this very choice, begun or done."""
    into = options.into
    advice = "Name another place with --into."
    if into.is_file():
        raise UsageError(f"{into}: is a file. Name a folder with --into.")
    if (into / RECORD).is_file():
        there = read_json(into / RECORD).get("request", {})
        differing = [key for key, value in request.items() if there.get(key) != value]
        if differing:
            raise UsageError(f"{into}: holds a choice with other {differing[0]}. {advice}")
    elif into.is_dir() and any(path.name not in (".lock", "log.txt", "process.json") for path in into.iterdir()):
        raise UsageError(f"{into}: holds files that are not of a choice. {advice}")
