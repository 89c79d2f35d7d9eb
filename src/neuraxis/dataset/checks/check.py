"""Looking for what would spoil a training, before it starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.equal_files import equal_files
from neuraxis.dataset.checks.examination import Examination, examine_case
from neuraxis.dataset.checks.finding import RANK, Finding, Severity
from neuraxis.dataset.checks.leakage import copied_scans, shared_patients
from neuraxis.dataset.checks.sketch import Sketch
from neuraxis.dataset.checks.traits import Traits, note_traits
from neuraxis.dataset.dataset import Dataset, merge
from neuraxis.dataset.layouts import layout
from neuraxis.errors import DataError
from neuraxis.progress import Progress, Silent
from neuraxis.workers import map_in_order

__all__ = ["Finding", "check_between", "check_dataset", "check_whole", "in_order", "refuse_errors", "survey_dataset"]

Seen = TypeVar("Seen")
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
    """Read every case and return what is wrong or odd, errors first.

    `fingerprint.examine` does the same and returns the fingerprint as well, from one reading.
    """
    return survey_dataset(dataset, progress).findings()


def survey_dataset(dataset: Dataset, progress: Progress | None = None) -> Survey:
    """Read every case and return what is remembered of them."""
    survey = Survey(dataset)
    with (progress or Silent()).stage("check", len(dataset.cases) + len(dataset.unlabelled)) as stage:
        for seen in survey.each(partial(examine_case, labels=dataset.labels), lambda seen: seen):
            stage.advance(note=seen.case.id)
    return survey


def check_between(surveys: Sequence[Survey]) -> tuple[Dataset, tuple[Finding, ...]]:
    """Join datasets that were surveyed, and return with them the scans that two of them hold, errors first.

    What is found within one of them is not repeated.

    Raises:
        DataError: they do not fit together (see `merge`).
    """
    joined = merge(survey.dataset for survey in surveys)
    seen_of: dict[str, tuple[int, Mapping[str, Sketch | None]]] = {}
    counts: dict[str, Mapping[int, int]] = {}
    for number, survey in enumerate(surveys):
        alone = survey.dataset
        for case, sketches in zip((*alone.cases, *alone.unlabelled), survey.sketches, strict=True):
            seen_of[f"{alone.name}_{case.id}"] = number, sketches
        counts |= {f"{alone.name}_{id}": held for id, held in survey.counts.items()}
    seen = [seen_of[case.id] for case in (*joined.cases, *joined.unlabelled)]
    equal = [found for found in equal_files(joined, counts) if len({seen_of[id][0] for id in found.cases}) > 1]
    known = {finding.cases for finding in equal if finding.code == "equal_scans"}
    copies = copied_scans(joined, [sketches for _, sketches in seen], known, [number for number, _ in seen])
    return joined, in_order([*equal, *copies])


class Survey:
    """What is remembered of each case of a dataset until all have been seen.

    Args:
        dataset: whose cases are examined, the labelled ones first.

    Attributes:
        dataset: the same.
        counts: case id to label number to voxels, of the labelled cases.
        sketches: of every channel of each case, in the order of the cases.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.counts: dict[str, Mapping[int, int]] = {}
        self.sketches: list[Mapping[str, Sketch | None]] = []
        self._findings: list[Finding] = []
        self._traits: dict[str, Traits] = {}
        self._every = (*dataset.cases, *dataset.unlabelled)

    def each(self, examine: Callable[[Case], Seen], examination: Callable[[Seen], Examination]) -> Iterator[Seen]:
        """Examine the cases in threads, and yield what that gives; `examination` finds its part for the survey."""
        for found in map_in_order(examine, self._every):
            seen = examination(found)
            self.add(seen.findings, seen.counts, seen.sketches, seen.traits)
            yield found

    def add(
        self,
        findings: Iterable[Finding],
        counts: Mapping[int, int],
        sketches: Mapping[str, Sketch | None],
        traits: Traits,
    ) -> None:
        """Remember what was seen of the next case: of the labelled ones in their order, then of the unlabelled."""
        place, labelled = len(self.sketches), len(self.dataset.cases)
        self._traits[self._every[place].id] = traits
        self._findings += findings if place < labelled else map(_of_unlabelled, findings)
        self.sketches.append(sketches)
        if place < labelled:
            self.counts[self.dataset.cases[place].id] = counts

    def findings(self) -> tuple[Finding, ...]:
        """Return everything that was found, and what is seen only in all cases together; errors first."""
        whole = list(check_whole(self.dataset, self.counts))
        equal = {finding.cases for finding in whole if finding.code == "equal_scans"}
        copies = copied_scans(self.dataset, self.sketches, equal)
        return in_order([*self._findings, *whole, *copies, *note_traits(self._traits)])


def _of_unlabelled(finding: Finding) -> Finding:
    """Return a finding about a case that does not train: it forbids no training."""
    return replace(finding, severity="warning") if finding.severity == "error" else finding


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
    """Yield what concerns more than one case: notes of the layout, ids, labels that never occur, patients, equal files.

    Args:
        dataset: whose files are compared by their bytes; only those of one size are read.
        counts: case id to label number to voxels; cases whose label map could not be read have none.
    """
    yield from (_from_note(note) for note in dataset.notes)
    for id, times in Counter(case.id for case in dataset.cases).items():
        if times > 1:
            yield Finding(id, "error", "duplicate_id", f"{times} cases have this id", "Rename all but one.")
    yield from _absent_labels(dataset, counts)
    yield from shared_patients(dataset)
    yield from equal_files(dataset, counts)


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
