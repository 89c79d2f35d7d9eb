"""Looking for what would spoil a training, before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from neuraxis.dataset.checks.examination import examine_case
from neuraxis.dataset.checks.finding import RANK, Finding, Severity
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts import layout
from neuraxis.errors import DataError
from neuraxis.files import sha256
from neuraxis.progress import Progress, Silent
from neuraxis.workers import map_in_order

__all__ = ["Finding", "check_dataset", "check_whole", "in_order", "refuse_errors"]

_PROBE = 2**16
# What the words in a layout's note mean: code, severity and advice.
_NOTES: dict[str, tuple[str, Severity, str]] = {
    layout.NO_LABEL: ("missing_pair", "warning", "It is left out; add its label map, or move it to imagesTs."),
    layout.NO_IMAGE: ("missing_pair", "warning", "It is left out; add its image, or remove it."),
    layout.MISSING_FILE: ("missing_file", "error", "Add the file, or take the case out of the dataset."),
    layout.MANY_FILES: ("channel_count", "error", "Name every channel in dataset.json, or remove the files."),
    layout.NOT_LISTED: ("not_listed", "warning", "It is left out; add it to the list if it belongs there."),
    layout.ODD_NAME: ("odd_name", "warning", "It is left out; rename it as CASE_0000, CASE_0001 and so on."),
    layout.ODD_PAIR: ("odd_pair", "warning", "Check that the two belong together."),
    layout.WRONG_COUNT: ("case_count", "note", "Check that nothing is missing."),
}


def check_dataset(dataset: Dataset, progress: Progress | None = None) -> tuple[Finding, ...]:
    """Read every labelled case and return what is wrong or odd, errors first.

    `fingerprint.examine` does the same and returns the fingerprint as well, from one reading.
    """
    findings: list[Finding] = []
    counts: dict[str, Mapping[int, int]] = {}
    with (progress or Silent()).stage("check", len(dataset.cases)) as stage:
        for seen in map_in_order(partial(examine_case, labels=dataset.labels), dataset.cases):
            findings += seen.findings
            counts[seen.case.id] = seen.counts
            stage.advance(note=seen.case.id)
    return in_order([*findings, *check_whole(dataset, counts)])


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raise `DataError` with the first error among the findings and the number of the others."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors:
        more = f" ({len(errors) - 1} more errors; `neuraxis check` lists all.)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0]}{more}")


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the errors first, then the warnings, else as they came."""
    return tuple(sorted(findings, key=lambda finding: RANK[finding.severity]))


def check_whole(dataset: Dataset, counts: Mapping[str, Mapping[int, int]]) -> Iterator[Finding]:
    """Yield what concerns more than one case: notes of the layout, ids, labels that never occur, equal files.

    Args:
        dataset: whose files are compared by their bytes; only those of one size are read.
        counts: case id to label number to voxels; cases whose label map could not be read have none.
    """
    yield from (_from_note(note) for note in dataset.notes)
    for id, times in Counter(case.id for case in dataset.cases).items():
        if times > 1:
            yield Finding(id, "error", "duplicate_id", f"{times} cases have this id", "Rename all but one.")
    yield from _absent_labels(dataset, counts)
    yield from _equal_files(dataset, counts)


def _from_note(note: str) -> Finding:
    case, _, message = note.partition(": ")
    for words, (code, severity, advice) in _NOTES.items():
        if words in message:
            return Finding(case, severity, code, message, advice)
    return Finding("", "note", "layout", note, "Check that it is as you mean it.")


def _absent_labels(dataset: Dataset, counts: Mapping[str, Mapping[int, int]]) -> Iterator[Finding]:
    read = [held for held in counts.values() if held]
    if not read:
        return
    present = {number for held in read for number, count in held.items() if count}
    structures = dataset.labels.scored
    absent = {name: joined for name, joined in structures.items() if not present & set(joined)}
    if len(absent) == len(structures):
        yield Finding("", "error", "no_foreground", "no case has any labelled voxel", "Add label maps with labels.")
        return
    for name, joined in absent.items():
        numbers = ", ".join(map(str, joined))
        message = f"label '{name}' ({numbers}) occurs in no case"
        yield Finding("", "warning", "absent_label", message, "It cannot be learned; remove it from the labels.")


class _Use(NamedTuple):
    case: str
    subject: str
    role: str
    path: Path


def _equal_files(dataset: Dataset, counts: Mapping[str, Mapping[int, int]]) -> Iterator[Finding]:
    uses = []
    for case in (*dataset.cases, *dataset.unlabelled):
        role = "image" if case.label else "test image"
        subject = f"{case.site}/{case.subject or case.id}"
        uses += [_Use(case.id, subject, role, path) for path in {file.path for file in case.images.values()}]
        is_empty = set(counts.get(case.id, {})) <= {0, dataset.labels.ignore}
        uses += [_Use(case.id, subject, "label map", case.label)] if case.label and not is_empty else []
    found = {}
    for first, *others in map(sorted, _same_content([use for use in uses if use.path.is_file()])):
        for other in others:
            finding = _judge_equal(first, other)
            found[first.case, other.case, finding.code] = finding
    yield from found.values()


def _same_content(uses: list[_Use]) -> list[list[_Use]]:
    """Group uses whose files hold the same bytes; a look at size and middle spares most of the reading."""
    groups = [uses]
    for key in (lambda path: path.stat().st_size, _middle, sha256):
        cached, refined = cache(key), []
        for group in groups:
            parts: dict[object, list[_Use]] = {}
            for use in group:
                parts.setdefault(cached(use.path), []).append(use)
            refined += [part for part in parts.values() if len(part) > 1]
        groups = refined
    return groups


def _middle(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _PROBE) // 2)
        return stream.read(_PROBE)


def _judge_equal(first: _Use, second: _Use) -> Finding:
    roles, severity = {first.role, second.role}, "warning"
    kinds = " and ".join(sorted(roles)) if len(roles) > 1 else f"{first.role}s"
    who = f"'{first.path.name}' and '{second.path.name}' ({kinds})"
    if first.case != second.case:
        who = f"the {kinds} of {first.case} and {second.case}"
    if first.case == second.case:
        code, advice = "equal_files", "Check which of the two is the right one."
        severity = "error" if "label map" in roles else "warning"
    elif "label map" in roles:
        code, advice = "equal_labels", "Check which of the two is the right one."
    elif first.subject == second.subject:
        code, advice = "equal_scans", "Remove one: the same scan counts twice."
    else:
        code, advice = "equal_scans", "Remove one: a scan that trains and is tested makes scores too good."
        severity = "error" if roles == {"image"} else "warning"
    message = f"{who} hold the same bytes"
    return Finding(first.case, "error" if severity == "error" else "warning", code, message, advice)
