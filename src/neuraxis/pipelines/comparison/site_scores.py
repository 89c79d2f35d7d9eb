"""Scores of runs, bundles or predictions, domain by domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.catalog import columns
from neuraxis.evaluation.evaluate import EvaluateOptions
from neuraxis.evaluation.pairs import predicted_cases, reference_cases
from neuraxis.evaluation.scores import Scores
from neuraxis.pipelines.comparison.compare import choose_cases, score_folders, whether_trained
from neuraxis.pipelines.comparison.domains import Placed
from neuraxis.pipelines.comparison.domains import Source as Data
from neuraxis.pipelines.comparison.entries import Source, read_sources
from neuraxis.pipelines.comparison.predicting import fitting_scans, predict_cases
from neuraxis.progress import Progress


@dataclass(frozen=True)
class Plan:
    """An entry whose cases were found.

    Attributes:
        source: the entry.
        references: the labelled cases, each with its domain as its site.
        cases: ids of those to score.
        notes: what must be said about the others.
        model: of a bundle, that shall predict them.
        scoring: metrics and rules.
    """

    source: Source
    references: Dataset
    cases: tuple[str, ...]
    notes: tuple[str, ...]
    model: ModelBundle | None
    scoring: EvaluateOptions


@dataclass(frozen=True)
class DomainScores:
    """The scores of one entry; the site of each row is its domain.

    Attributes:
        label: how the entry is shown.
        path: where it lies.
        scores: of every case.
        notes: what must be said of the cases, beside the notes of the scores.
    """

    label: str
    path: str
    scores: Scores
    notes: tuple[str, ...]

    def by_domain(self) -> dict[str, Scores]:
        """Return the scores of each domain, by name."""
        names = sorted({row.site for row in self.scores.rows})
        return {name: Scores.of(row for row in self.scores.rows if row.site == name) for name in names}

    def content(self) -> dict[str, Any]:
        """Return the summary of each domain as plain dicts, for JSON."""
        return {
            "entry": self.label,
            "domains": {
                domain: {
                    structure: {metric: asdict(summary) for metric, summary in metrics.items()}
                    for structure, metrics in scores.summary().items()
                }
                for domain, scores in self.by_domain().items()
            },
        }


@dataclass(frozen=True)
class Wish:
    """What shall be scored, and how.

    Attributes:
        entries: `NAME=PATH` of runs, bundles or folders of predictions.
        oracles: names of those whose predictions used the reference.
        common: whether labelled cases that an entry did not predict are left out.
        scoring: metrics and rules.
    """

    entries: tuple[str, ...]
    oracles: tuple[str, ...]
    common: bool
    scoring: EvaluateOptions


def plan_scores(wish: Wish, data: Sequence[Data], placed: Sequence[Placed], into: Path | None) -> tuple[Plan, ...]:
    """Find the cases of every entry, before anything is read or predicted.

    Predictions of several datasets are found by the cases' own ids, or with the dataset's name before them, as a run on
    several datasets writes them.

    Raises:
        UsageError: an entry is not there, or a bundle has no folder to predict into.
        DataError: no case is labelled, labels differ, or an entry lacks a case.
    """
    sources = read_sources(wish.entries, wish.oracles)
    if not sources:
        return ()
    columns(wish.scoring.metrics, wish.scoring.rules)
    named = [_references(data, placed, prefixed) for prefixed in (False, True)]
    plans = []
    for source in sources:
        references = max(named, key=lambda one: _found(source, one))
        model = source.bundle() if source.kind == "bundle" else None
        if model is not None and into is None:
            raise UsageError(f"{source.name}: is a bundle, whose predictions need a folder. Name one with --into.")
        if model is not None:
            fitting_scans(source.name, model, references)
        chosen = choose_cases([source], references, wish.common)
        plans.append(Plan(source, references, chosen.cases, chosen.notes, model, wish.scoring))
    return tuple(plans)


def score_by_domain(plan: Plan, into: Path | None, progress: Progress) -> DomainScores:
    """Score one entry, after predicting where it is a bundle.

    Raises:
        DataError: a prediction is refused.
    """
    source, notes, folders = plan.source, list(plan.notes), plan.source.folders
    if plan.model is not None and into is not None:
        folders = (into / "predictions" / source.name,)
        scans = fitting_scans(source.name, plan.model, plan.references)
        predict_cases(plan.model, scans, plan.cases, folders[0], progress)
        notes.append(whether_trained(source.label, plan.model, plan.references, plan.cases))
    scores = score_folders(source, folders, plan.references, plan.cases, (plan.scoring, progress))
    return DomainScores(source.label, str(source.path.resolve()), scores, tuple(notes))


def _references(data: Sequence[Data], placed: Sequence[Placed], prefixed: bool) -> Dataset:
    """Join the labelled cases of all datasets, each with its domain as its site."""
    labelled = [one.dataset for one in data if one.dataset is not None and one.dataset.cases]
    if not labelled:
        raise DataError("No case has a label map, so that nothing can be scored. Leave the entries out.")
    first = labelled[0]
    for dataset in labelled[1:]:
        if dataset.labels.scored != first.labels.scored:
            here, there = (", ".join(one.labels.scored) for one in (dataset, first))
            raise DataError(
                f"{dataset.root}: labels {here}; {first.root} labels {there}. Scores need the same: leave one out."
            )
    channels, several = data[0].channels, len(data) > 1
    known = {one.name: {case.id for case in one.dataset.cases} if one.dataset else set() for one in data}
    cases = []
    for one in placed:
        if one.case.id in known[one.source]:
            images = {name: one.case.images[name] for name in channels if name in one.case.images}
            id = f"{one.source}_{one.case.id}" if prefixed and several else one.case.id
            cases.append(replace(one.case, id=id, images=images, subject=one.patient, site=one.domain))
    return replace(first, channels=channels, cases=tuple(sorted(cases, key=lambda case: case.id)), unlabelled=())


def _found(source: Source, references: Dataset) -> int:
    """Return how many of the references a folder predicts; a name that two datasets share counts for nothing."""
    ids = [case.id for case in references.cases]
    if len(set(ids)) < len(ids):
        return -1
    known = reference_cases(references)
    return sum(len(predicted_cases(folder, known) & known) for folder in source.folders)
