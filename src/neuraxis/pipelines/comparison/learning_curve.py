"""`compare --learning-curve`: what runs say about how many cases are enough, read from their own records."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuraxis import _version
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.comparison.learning_curve import LearningCurve, TrainedRun, learning_curve_of
from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json, refuse_existing, write_json, write_text
from neuraxis.pipelines.comparison.compare import refuse_own_folder
from neuraxis.pipelines.comparison.entries import Source, read_sources
from neuraxis.report.comparison.learning_page import LearningReport, learning_html

POINTS, CASES, SUMMARY, REPORT = "curve.csv", "cases.csv", "curve.json", "report.html"
RECORD, TABLE, RECIPE = "run.json", "scores.csv", "recipe.toml"
_OWN = ("seed", "splits", "summary", "previews", "labels.colours")
_NAMED = 6


@dataclass(frozen=True)
class CurveOptions:
    """How a curve is drawn.

    Attributes:
        common: whether the held-out cases that every number of training cases has are enough.
        overwrite: whether existing results are replaced.
    """

    common: bool = False
    overwrite: bool = False


def learning_curve(
    runs: Sequence[str | Path], into: Path | str | None = None, options: CurveOptions | None = None
) -> LearningCurve:
    """Draw the scores of runs against the number of cases that trained them.

    Args:
        runs: folders of finished runs, or `NAME=FOLDER`; of a run of all folds each fold counts by itself.
        into: folder for `curve.csv`, `cases.csv`, `curve.json` and `report.html`; None writes nothing.
        options: whether the cases that all have are enough, and existing results are replaced.

    Raises:
        UsageError: an entry is no finished run, all have one number of training cases, or a result exists.
        DataError: the held-out cases differ.
    """
    options = options or CurveOptions()
    sources = read_sources(list(runs))
    other = next((source for source in sources if source.kind != "run"), None)
    if other:
        raise UsageError(f"--learning-curve {other.path}: is no run. Name folders that neuraxis fit filled.")
    place = None if into is None else Path(into)
    if place is not None:
        refuse_own_folder(place, sources)
        for name in (POINTS, CASES, SUMMARY, REPORT):
            refuse_existing(place / name, options.overwrite)
    folders = [pair for source in sources for pair in _folders(source)]
    records = {name: read_json(folder / RECORD) for name, folder in folders}
    found = learning_curve_of(
        [_trained(name, folder, records[name]) for name, folder in folders],
        options.common,
        _differing(records, {name: _recipe(folder) for name, folder in folders}),
    )
    if place is not None:
        facts = {
            **{f"run {source.name}": str(source.path.resolve()) for source in sources},
            "neuraxis": _version.__version__,
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        page = learning_html(LearningReport(f"Learning curve of {_data(records)}", found, facts))
        found.write_points(place / POINTS, options.overwrite)
        found.write_cases(place / CASES, options.overwrite)
        write_json(place / SUMMARY, found.content(), options.overwrite)
        write_text(place / REPORT, page, options.overwrite)
    return found


def _folders(source: Source) -> list[tuple[str, Path]]:
    """Return the trainings behind an entry: a run itself, or the folds of a run of all folds."""
    folds = sorted(path.parent for path in source.path.glob(f"fold-*/{RECORD}"))
    return [(f"{source.name}/{fold.name}", fold) for fold in folds] or [(source.name, source.path)]


def _trained(name: str, folder: Path, record: Mapping[str, Any]) -> TrainedRun:
    try:
        about = record["card"]["training_data"]
        counts = int(about["cases"]), int(about["patients"])
        fold, seed = int(record["request"]["fold"]), int(record["seed"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name}: {folder / RECORD} does not tell how many cases trained the run. Let it finish, or leave it out."
        ) from error
    if not (folder / TABLE).is_file():
        raise DataError(
            f"{name}: the run {folder} has no {TABLE} of held-out cases yet. Let it finish, or leave it out."
        )
    return TrainedRun(name, *counts, fold, seed, Scores.read_csv(folder / TABLE))


def _differing(records: Mapping[str, Mapping[str, Any]], recipes: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Say what else than the number of cases differs between the runs."""
    said = []
    if len({record.get("data_hash") for record in records.values()}) > 1:
        said.append("The runs are of different data: what differs in them is in the curve, too.")
    values: dict[str, set[str]] = {}
    for recipe in recipes.values():
        for key, value in recipe.items():
            values.setdefault(key, set()).add(repr(value))
    keys = [key for key, found in values.items() if len(found) > 1]
    if keys:
        more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
        said.append(
            f"The recipes of the runs differ in {', '.join(keys[:_NAMED])}{more}: the curve shows that as well as the "
            "number of cases."
        )
    return tuple(said)


def _recipe(folder: Path) -> dict[str, Any]:
    """Return the decisions of a run's recipe by their dotted keys, without those that only say which cases train."""
    path = folder / RECIPE
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Let the run finish, or leave it out.") from error
    return {key: value for key, value in _flat(content) if not key.startswith(_OWN)}


def _flat(branch: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in branch.items():
        found += _flat(value, f"{above}{key}.") if isinstance(value, dict) else [(f"{above}{key}", value)]
    return found


def _data(records: Mapping[str, Mapping[str, Any]]) -> str:
    names = dict.fromkeys(
        name for record in records.values() for name in record["card"]["training_data"].get("datasets", ())
    )
    return ", ".join(names) or "runs"
