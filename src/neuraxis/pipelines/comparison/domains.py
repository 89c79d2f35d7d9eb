"""Which domain a case belongs to: by site, dataset, a column of participants.tsv, a pattern of names, or channel."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.layout import DESCRIPTION, scans_in, subject_and_session
from neuraxis.dataset.layouts.recognise import open_place
from neuraxis.errors import DataError, UsageError, suggest
from neuraxis.pipelines.scans import find_cases

SITE, DATASET, CHANNEL = "site", "dataset", "channel"
PARTICIPANTS, PARTICIPANT = "participants.tsv", "participant_id"
_SHOWN = 6


@dataclass(frozen=True)
class Grouping:
    """How cases are told apart.

    Attributes:
        by: "site" (that of the case; without any, a column `site` of participants.tsv, else the dataset's name),
            "dataset", "channel", or another column of participants.tsv, such as "scanner".
        pattern: a regular expression found in the case's id, whose first group (or whole match) is the domain; it takes
            the place of `by`.
    """

    by: str = SITE
    pattern: str = ""


@dataclass(frozen=True)
class Source:
    """A dataset, or a folder of scans without label maps.

    Attributes:
        name: of the folder.
        root: the folder.
        channels: of its cases.
        cases: labelled ones and others, by rising id.
        dataset: the dataset where it is one, whose labelled cases can be scored.
    """

    name: str
    root: Path
    channels: tuple[str, ...]
    cases: tuple[Case, ...]
    dataset: Dataset | None = None


@dataclass(frozen=True)
class Placed:
    """A case and its domain.

    Attributes:
        id: unique over all datasets.
        case: with its files.
        domain: empty where channels are the domains.
        source: name of its dataset.
        patient: whose scan it is; those of different datasets are different people, whatever their names.
    """

    id: str
    case: Case
    domain: str
    source: str
    patient: str


def open_sources(folders: Sequence[Path | str | Dataset], channels: tuple[str, ...] = ()) -> tuple[Source, ...]:
    """Open datasets and folders of scans.

    Args:
        folders: of several, a plain folder of scans is read with the channels of the first dataset.
        channels: what every case must have, such as those of a model; none given: what all have in common.

    Raises:
        DataError: a folder is neither, lacks a channel, or has no channel in common with the others.
        UsageError: none is named, or two bear one name.
    """
    if not folders:
        raise UsageError("No dataset is named. Name one of several sites, or several: --shift DATASET DATASET")
    opened = [None if _is_plain(folder) else _open(folder) for folder in folders]
    known = next((source.channels for source in opened if source), ())
    sources = [
        source or _scans(Path(str(folder)), channels or known or ("image",))
        for source, folder in zip(opened, folders, strict=True)
    ]
    names = [source.name for source in sources]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UsageError(f"Two datasets are called '{twice}'. Rename one of the folders.")
    wanted = channels or tuple(name for name in sources[0].channels if all(name in one.channels for one in sources))
    if not wanted:
        told = "; ".join(f"{source.root} has {', '.join(source.channels)}" for source in sources)
        raise DataError(f"The datasets have no channel in common: {told}. Name them alike in dataset.json.")
    for source in sources:
        lacking = [name for name in wanted if name not in source.channels]
        if lacking:
            raise DataError(
                f"{source.root}: has the channels {', '.join(source.channels)}; needed is {', '.join(lacking)}. Leave "
                "it out, or name its channels as the others do."
            )
    return tuple(replace(source, channels=wanted) for source in sources)


def place_cases(sources: Sequence[Source], how: Grouping) -> tuple[Placed, ...]:
    """Give every case its domain; with several datasets their names precede the ids.

    Raises:
        DataError: a case has no domain, or all have the same.
        UsageError: the pattern is no regular expression, or no participants.tsv has such a column.
    """
    pattern = _compiled(how.pattern)
    tables = {source.name: read_participants(source.root) for source in sources}
    if not pattern and how.by not in (SITE, DATASET, CHANNEL):
        _refuse_unknown_column(how.by, sources, tables)
    placed, without = [], []
    has_sites = any(case.site for source in sources for case in source.cases)
    for source in sources:
        for case in source.cases:
            row = tables[source.name].get(case.subject) or tables[source.name].get(case.id) or {}
            domain = _domain(case, source, row, how, pattern, has_sites)
            alone, patient = len(sources) == 1, case.subject or case.id
            id = case.id if alone else f"{source.name}_{case.id}"
            if not domain and how.by != CHANNEL:
                without.append(id)
            placed.append(Placed(id, case, domain, source.name, patient if alone else f"{source.name}/{patient}"))
    if without:
        shown = ", ".join(without[:_SHOWN]) + (", ..." if len(without) > _SHOWN else "")
        said = f"the pattern {how.pattern!r} is not found in their names" if pattern else f"no {how.by} is known"
        raise DataError(
            f"{len(without)} of {len(placed)} cases have no domain, since {said}: {shown}. Give every case its site in "
            "dataset.json or participants.tsv, or mend --site or --by."
        )
    _refuse_one_domain(placed, sources, how)
    return tuple(placed)


def read_participants(folder: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a folder's participants.tsv by participant, with and without `sub-`; empty without one.

    Raises:
        DataError: it has no column `participant_id`, or cannot be read.
    """
    path = folder / PARTICIPANTS
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream, delimiter="\t")
            rows = list(table)
            columns = table.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table ({error}). Mend or remove it.") from error
    if PARTICIPANT not in columns:
        raise DataError(f"{path}: has no column {PARTICIPANT}. Name the patients in one, as BIDS does.")
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        name = row[PARTICIPANT].strip()
        known = {key: (value or "").strip() for key, value in row.items() if key is not None}
        found |= {name: known, name.removeprefix("sub-"): known, f"sub-{name.removeprefix('sub-')}": known}
    return found


def _domain(
    case: Case, source: Source, row: dict[str, str], how: Grouping, pattern: re.Pattern[str] | None, has_sites: bool
) -> str:
    if pattern:
        match = pattern.search(case.id)
        return str(match[1] if pattern.groups else match[0]) if match else ""
    if how.by == CHANNEL:
        return ""
    if how.by == DATASET:
        return source.name
    value = row.get(how.by, "")
    value = "" if value.lower() in ("n/a", "na") else value
    if how.by == SITE:
        return case.site or value or ("" if has_sites and not case.site else source.name)
    return value


def _refuse_one_domain(placed: Sequence[Placed], sources: Sequence[Source], how: Grouping) -> None:
    domains = {one.domain for one in placed}
    if how.by == CHANNEL and not how.pattern:
        if len(sources[0].channels) < 2:
            raise DataError(
                f"There is one channel alone, {sources[0].channels[0]}. Channels can differ where there are two."
            )
        return
    if len(domains) < 2:
        raise DataError(
            f"All {len(placed)} cases are of one domain, '{next(iter(domains), '')}'. Name more datasets, or say which "
            "cases are apart: --site REGEX, or --by with a column of participants.tsv."
        )


def _refuse_unknown_column(name: str, sources: Sequence[Source], tables: dict[str, dict[str, dict[str, str]]]) -> None:
    columns = {column for table in tables.values() for row in table.values() for column in row} - {PARTICIPANT}
    if name not in columns:
        raise UsageError(
            f"--by {name}: no participants.tsv of {', '.join(str(source.root) for source in sources)} has this column. "
            f"{suggest(name, {*columns, SITE, DATASET, CHANNEL})}"
        )


def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise UsageError(f"--site {pattern}: is no regular expression ({error}).") from error


def _is_plain(folder: Path | str | Dataset) -> bool:
    """Tell whether a folder holds scans without describing them."""
    if isinstance(folder, Dataset):
        return False
    path = Path(folder)
    return path.is_dir() and not (path / DESCRIPTION).is_file() and bool(scans_in(path))


def _open(folder: Path | str | Dataset) -> Source:
    dataset = folder if isinstance(folder, Dataset) else open_place(folder)
    cases = sorted([*dataset.cases, *dataset.unlabelled], key=lambda case: case.id)
    return Source(dataset.name, dataset.root, dataset.channels, tuple(cases), dataset)


def _scans(folder: Path, channels: tuple[str, ...]) -> Source:
    cases = []
    for order in find_cases([folder], channels):
        if order.case is None:
            raise order.problem or DataError(f"{order.id}: has no image. Add one or leave the case out.")
        subject, session = subject_and_session(order.id, {})
        cases.append(replace(order.case, subject=subject, session=session))
    return Source(folder.resolve().name, folder, channels, tuple(cases))
