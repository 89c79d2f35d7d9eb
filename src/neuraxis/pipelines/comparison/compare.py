"""From several segmenters and their references to one comparison: tables, tests and a report."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from neuraxis import _version
from neuraxis.bundle.bundle import ModelBundle
from neuraxis.dataset.dataset import Dataset
from neuraxis.errors import DataError, NeuraxisError, UsageError
from neuraxis.evaluation.catalog import columns
from neuraxis.evaluation.comparison.side_by_side import Entry, SideBySide, compare_scores
from neuraxis.evaluation.evaluate import EvaluateOptions, evaluate, open_references
from neuraxis.evaluation.notes import left_out_on_purpose
from neuraxis.evaluation.pairs import predicted_cases, reference_cases
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.pipelines.comparison.entries import Source, data_of_runs, expense_of, read_sources, trained_by
from neuraxis.pipelines.comparison.pictures import compared_cases, disagreements
from neuraxis.pipelines.comparison.predicting import fitting_scans, predict_cases
from neuraxis.progress import Progress, Silent
from neuraxis.report.comparison.page import ComparisonReport, comparison_html

CASES, TESTS, SUMMARY, REPORT = "cases.csv", "tests.csv", "comparison.json", "report.html"
_LISTED = 12
Entries = Sequence[str | Path] | Mapping[str, str | Path]


@dataclass(frozen=True)
class CompareOptions:
    """How entries are compared.

    Attributes:
        oracles: names of entries whose predictions used the reference in any way.
        common: whether cases that an entry lacks are left out, which the notes then say, instead of refused.
        overwrite: whether existing results are replaced.
        scoring: metrics and rules, where not the usual ones; `cases` and `labels` of it are not used.
    """

    oracles: tuple[str, ...] = ()
    common: bool = False
    overwrite: bool = False
    scoring: EvaluateOptions = field(default_factory=EvaluateOptions)


@dataclass(frozen=True)
class Chosen:
    """The cases that all entries share, sorted, and what must be said about the others."""

    cases: tuple[str, ...]
    notes: tuple[str, ...]


def compare(
    entries: Entries,
    references: Path | str | Dataset | None = None,
    into: Path | str | None = None,
    options: CompareOptions | None = None,
    progress: Progress | None = None,
) -> SideBySide:
    """Compare runs, bundles and folders of segmentations by any program on the same cases.

    Args:
        entries: `NAME=PATH`, or name to path: the folder of a run (its held-out cases are compared), a bundle (which
            predicts the cases; that needs `into`), or a folder of label maps.
        references: a dataset or a folder of label maps; None takes the dataset of the runs.
        into: folder for `cases.csv`, `tests.csv`, `comparison.json`, `report.html` and bundles' `predictions/`; None
            writes nothing.
        options: oracles, metrics, and whether the cases that all share are enough.
        progress: who shows how far it is.

    Raises:
        UsageError: names or paths are wrong, or a result exists.
        DataError: cases, grids or labels differ; the message names the entry.
    """
    options, progress = options or CompareOptions(), progress or Silent()
    words = [f"{name}={path}" for name, path in entries.items()] if isinstance(entries, Mapping) else list(entries)
    sources = read_sources(words, options.oracles)
    if len(sources) < 2:
        given = "1 entry is" if sources else "0 entries are"
        raise UsageError(f"{given} named. A comparison needs two: NAME=PATH OTHER=PATH.")
    columns(options.scoring.metrics, options.scoring.rules)
    place = _place(into, sources, options.overwrite)
    known = data_of_runs(sources) if references is None else open_references(references)
    models = {source.name: source.bundle() for source in sources}
    scans = {source.name: fitting_scans(source.name, model, known)
             for source in sources if source.kind == "bundle" and (model := models[source.name])}  # fmt: skip
    chosen = choose_cases(sources, known, options.common, options.scoring.exclude)
    scored, notes = [], list(chosen.notes)
    for source in sources:
        model, seconds, folders = models[source.name], None, source.folders
        if source.kind == "bundle" and model is not None and place is not None:
            folder = place / "predictions" / source.name
            seconds, folders = predict_cases(model, scans[source.name], chosen.cases, folder, progress), (folder,)
            notes.append(whether_trained(source.label, model, known, chosen.cases))
        scores = score_folders(source, folders, known, chosen.cases, (options.scoring, progress))
        expense = replace(expense_of(model, source.path if source.kind == "run" else None), cpu_seconds=seconds)
        scored.append(Entry(source.name, scores, source.oracle, source.kind, expense))
    refuse_other_structures(scored)
    scored, further = with_common_metrics(scored)
    found = compare_scores(scored, [*notes, *further])
    if place is not None:
        _write(found, place, known, sources, options.overwrite, progress)
    return found


def choose_cases(
    sources: Sequence[Source], references: Path | Dataset, common: bool, exclude: Sequence[str] = ()
) -> Chosen:
    """Return the cases to compare: all references, or where there are runs, those that they held out.

    Args:
        sources: the entries.
        references: what they are scored against.
        common: whether the cases that all entries share are enough.
        exclude: ids of cases to leave out.

    Raises:
        DataError: a case to leave out is not there; an entry lacks a case, or has one without a reference; or
            no case is shared.
    """
    known, out = reference_cases(references), frozenset(exclude)
    if strange := out - known:
        raise DataError(f"Cases to leave out are not there: {_listed(strange)}. Mend the list of cases.")
    held = {source.name: _predicted(source, known) - out for source in sources if source.kind != "bundle"}
    runs = {source.name: source.label for source in sources if source.kind == "run"}
    known -= out
    wanted = known.intersection(*[frozenset[str]().union(*(held[name] for name in runs))]) if runs else known
    where = references.root if isinstance(references, Dataset) else references
    complaints = []
    for name, found in held.items():
        if strange := found - known:
            complaints.append(f"{name}: {_listed(strange)} without a reference in {where}")
        if lacking := wanted - found:
            complaints.append(f"{name}: {_listed(lacking)} without a prediction")
    if complaints and not common:
        raise DataError(
            f"{'; '.join(complaints)}. Needed are the same cases in every entry: predict what is missing, or compare "
            "the cases that all share with --common."
        )
    wanted = wanted.intersection(*held.values())
    if not wanted:
        raise DataError(f"No case of {where} has a prediction in every entry ({', '.join(held)}). Check their names.")
    notes = [f"Left out by --common: {complaint}." for complaint in complaints]
    if len(wanted) < len(known) and runs:
        said = " and ".join(runs.values())
        notes.append(f"{len(wanted)} of {len(known)} references are compared: those of cases that {said} held out.")
    if out:
        notes.insert(0, left_out_on_purpose(sorted(out), len(wanted)))
    return Chosen(tuple(sorted(wanted)), tuple(notes))


def score_folders(
    source: Source,
    folders: Sequence[Path],
    references: Path | Dataset,
    cases: Sequence[str],
    how: tuple[EvaluateOptions, Progress],
) -> Scores:
    """Score one entry's label maps, which may lie in several folders, a fold in each.

    Raises:
        DataError: as `evaluate` does, with the entry's name before it.
    """
    options, progress = how
    rows: list[Score] = []
    known, notes, open_cases = reference_cases(references), dict[str, None](), set(cases)
    try:
        for folder in folders:
            here = sorted(open_cases & predicted_cases(folder, known))
            open_cases -= set(here)
            if here:
                scores = evaluate(folder, references, progress, replace(options, cases=tuple(here), exclude=()))
                rows += scores.rows
                notes |= dict.fromkeys(scores.notes)
    except DataError as error:
        raise DataError(f"{source.name}: {error}") from error
    if len(folders) > 1:
        rows.sort(key=lambda row: row.case)
    chose = source.kind == "run" and _selected(source.path)
    return Scores.of(rows, chose, _derived(tuple(notes)), options.rules)


def refuse_other_structures(entries: Sequence[Entry]) -> None:
    """Refuse entries of other structures than the first, as where numbers without names occur in one of them alone.

    Raises:
        DataError: with both lists.
    """
    first = entries[0]
    for entry in entries[1:]:
        if entry.scores.structures() != first.scores.structures():
            here, there = (", ".join(one.scores.structures()) for one in (entry, first))
            raise DataError(
                f"{entry.name}: holds the structures {here}, {first.name} holds {there}. Needed are the same label "
                "numbers: put a dataset.json that names them beside the references, or mend one."
            )


def with_common_metrics(entries: Sequence[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """Return entries with the metrics that all of them have, and a note on those that some lack.

    They differ where some entries kept probabilities and others did not.
    """
    common = [name for name in entries[0].scores.metrics if all(name in entry.scores.metrics for entry in entries)]
    every = dict.fromkeys(name for entry in entries for name in entry.scores.metrics)
    lacking = [name for name in every if name not in common]
    whole = [name for entry in entries for row in entry.scores.rows for name in common if name not in row.values]
    if not lacking and not whole:
        return list(entries), ()
    found = []
    for entry in entries:
        scores = entry.scores
        rows = [replace(row, values={name: row.values.get(name, math.nan) for name in common}) for row in scores.rows]
        kept = Scores.of(rows, scores.selected_on_these_cases, _derived(scores.notes), scores.rules)
        found.append(replace(entry, scores=kept))
    owners = [entry.label for entry in entries if lacking and lacking[0] in entry.scores.metrics]
    told = f"{', '.join(lacking)}: not compared, since only {', '.join(owners)} kept probabilities."
    return found, (told,) if lacking else ()


def _predicted(source: Source, known: frozenset[str]) -> frozenset[str]:
    try:
        return frozenset[str]().union(*(predicted_cases(folder, known) for folder in source.folders))
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(source.name) else f"{source.name}: {error}") from error


def _place(into: Path | str | None, sources: Sequence[Source], overwrite: bool) -> Path | None:
    """Return the folder for results, after refusing what stands in the way of them."""
    bundles = [source.name for source in sources if source.kind == "bundle"]
    if into is None:
        if bundles:
            raise UsageError(f"{bundles[0]}: is a bundle, whose predictions need a folder. Name one with --into.")
        return None
    place = Path(into)
    refuse_own_folder(place, sources)
    for name in (CASES, TESTS, SUMMARY, REPORT):
        refuse_existing(place / name, overwrite)
    return place


def refuse_own_folder(place: Path, sources: Sequence[Source]) -> None:
    """Refuse to write into a file, or into the folder of an entry, whose own report would be replaced.

    Raises:
        UsageError: with which it is.
    """
    if place.exists() and not place.is_dir():
        raise UsageError(f"{place}: is a file. Name a folder with --into.")
    owner = next((source.name for source in sources if source.path.resolve() == place.resolve()), None)
    if owner:
        raise UsageError(f"{place}: is the folder of the entry '{owner}'. Name another one with --into.")


def _selected(run: Path) -> bool:
    """Tell whether a run's held-out cases chose anything in its training."""
    try:
        tables = [path for path in (run / "scores.csv", *run.glob("fold-*/scores.csv")) if path.is_file()]
        return any(Scores.read_csv(path).selected_on_these_cases for path in tables)
    except NeuraxisError:
        return False


def _derived(notes: Sequence[str]) -> list[str]:
    """Return of an evaluation's notes those that are not written anew from its rows."""
    return [
        note
        for note in notes
        if note.startswith(("The structures are", "Regions: ", "Each case counts as", "No reference holds"))
    ]


def whether_trained(name: str, bundle: ModelBundle, dataset: Dataset | Path, cases: Sequence[str]) -> str:
    """Say in words whether a bundle was trained on some of the cases that it is scored on."""
    trained = trained_by(bundle, dataset) if isinstance(dataset, Dataset) else None
    if trained is None:
        return f"{name}: a bundle; whether it was trained on some of these cases is not known."
    count = len(trained & set(cases))
    if not count:
        return f"{name}: a bundle; none of these cases trained it."
    return f"{name}: a bundle that was trained on {count} of these cases: its scores are too good for new ones."


def _write(
    found: SideBySide,
    place: Path,
    references: Path | Dataset,
    sources: Sequence[Source],
    overwrite: bool,
    progress: Progress,
) -> None:
    where = references.root if isinstance(references, Dataset) else references
    facts = {
        **{f"entry {source.label}": f"{source.kind} {source.path.resolve()}" for source in sources},
        "references": str(where.resolve()),
        "machine": f"{platform.system()} {platform.machine()}",
        "neuraxis": _version.__version__,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    names = [entry.label for entry in found.entries]
    title = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) < 5 else f"{len(names)} segmenters"
    title = f"{title} on {where.resolve().name}"
    browser, left_out = compared_cases(found, references, progress)
    page = comparison_html(ComparisonReport(title, found, disagreements(found, references), facts, browser, left_out))
    found.write_cases(place / CASES, overwrite)
    found.write_tests(place / TESTS, overwrite)
    write_json(place / SUMMARY, found.content(), overwrite)
    write_text(place / REPORT, page, overwrite)


def _listed(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    return f"{len(names)} case{'' if len(names) == 1 else 's'} ({shown})"
