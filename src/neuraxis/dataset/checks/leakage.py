"""What makes scores too good: one patient or one scan where a model learns and where it is judged."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.copies import find_copies
from neuraxis.dataset.checks.finding import Finding, Severity
from neuraxis.dataset.checks.sketch import Sketch
from neuraxis.dataset.dataset import Dataset

log = logging.getLogger("neuraxis")
LEAKS = frozenset({"copied_scan", "equal_scans", "shared_patient"})
ALLOW = "--allow-leak trains all the same"
SAME_VISIT = 0.995  # the correlation above which two visits of one patient are taken for one scan
_SHOWN = 3


def leaks_among(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those findings that say that one patient or scan stands in two splits."""
    return tuple(finding for finding in findings if finding.code in LEAKS and finding.severity == "error")


def allowed(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return findings with the leaks as warnings: somebody said that they may be."""
    leaks = leaks_among(findings := tuple(findings))
    return tuple(replace(finding, severity="warning") if finding in leaks else finding for finding in findings)


def tell_leaks(leaks: Iterable[Finding]) -> None:
    """Log the patients and scans that stand in two splits, and were allowed or are not refused yet."""
    for finding in leaks:
        log.warning("%s", finding)


@dataclass(frozen=True)
class Judged:
    """What it means that two cases hold one scan.

    Attributes:
        severity: "error" where one may train while the other is tested.
        where: the splits it concerns, as the end of a sentence; empty where the data bring none.
        advice: what to do.
    """

    severity: Severity
    advice: str
    where: str = ""


def judge(dataset: Dataset, first: Case, second: Case) -> Judged:
    """Say what it means that two cases of a dataset hold one scan."""
    if patient(first) == patient(second) or not (first.label or second.label):
        return Judged("warning", "Remove one: the same scan counts twice.")
    if not (first.label and second.label):
        return Judged("error", f"Remove one: a scan that trains and is tested makes scores too good; {ALLOW}.")
    apart = [
        str(number)
        for number, fold in enumerate(dataset.own_folds)
        if any({one.id, other.id} <= {*fold.training, *fold.validation} and one.id in fold.training
               and other.id in fold.validation for one, other in ((first, second), (second, first)))
    ]  # fmt: skip
    if dataset.own_folds and not apart:
        return Judged("warning", "Remove one: the same scan counts twice.", "; no fold of the data parts them")
    folds = f"; fold{'s' * (len(apart) > 1)} {', '.join(apart)} of the data part them" if apart else ""
    advice = f"Remove one, or give both one patient: a scan that trains and is tested makes scores too good; {ALLOW}."
    return Judged("error", advice, folds)


def patient(case: Case) -> str:
    """Return who a case belongs to: its patient at its site, or itself where no patient is named."""
    return f"{case.site}/{case.subject or case.id}"


def _are_visits(first: Case, second: Case) -> bool:
    """Tell whether two cases are time points of one patient, who looks much the same at each."""
    return bool(first.subject) and patient(first) == patient(second) and first.session != second.session


def shared_patients(dataset: Dataset) -> Iterator[Finding]:
    """Yield the patients who stand on both sides of a split that the data bring, or are both labelled and not."""
    subject_of = {case.id: case.subject or case.id for case in dataset.cases}
    for number, fold in enumerate(dataset.own_folds):
        sides = [{subject_of.get(id, id): id for id in ids} for ids in (fold.training, fold.validation)]
        for name in sorted(sides[0].keys() & sides[1].keys())[:_SHOWN]:
            message = f"patient '{name}' both trains and validates in fold {number} of the data"
            advice = f"Mend the splits, or let patients be dealt with --set splits.own=false; {ALLOW}."
            yield Finding(sides[0][name], "error", "shared_patient", message, advice, sides[1][name])
    known = {patient(case) for case in dataset.cases if case.subject}
    both = [case for case in dataset.unlabelled if case.subject and patient(case) in known]
    if both:
        message = f"{len(both)} unlabelled cases are of patients who have labelled ones too, such as {both[0].id}"
        yield Finding("", "note", "patient_without_label", message, "Do not use these cases as a test.")


def copied_scans(
    dataset: Dataset,
    sketches: Sequence[Mapping[str, Sketch | None]],
    known: AbstractSet[tuple[str, ...]] = frozenset(),
    groups: Sequence[object] | None = None,
) -> Iterator[Finding]:
    """Yield pairs of cases that show one scan: other files, scaled, mirrored, shifted, cropped or a little noisy.

    Args:
        dataset: whose images are read again where they are suspected.
        sketches: of every channel that could be read, for each labelled and then each unlabelled case.
        known: pairs of ids that were found already.
        groups: what each of these cases belongs to; cases of one group are not compared. None compares all.
    """
    cases = (*dataset.cases, *dataset.unlabelled)
    group_of = range(len(cases)) if groups is None else groups
    scans = [(place, channel) for place, found in enumerate(sketches) for channel in found]
    found = {}

    def read(number: int) -> np.ndarray:
        place, channel = scans[number]
        file = cases[place].images[channel]
        return file.pick(file.read())

    seen = [sketches[place][channel] for place, channel in scans]
    for copy in find_copies(seen, [group_of[place] for place, _ in scans], read):
        (one, channel), (other, other_channel) = scans[copy.first], scans[copy.second]
        first, second = cases[one], cases[other]
        if (first.id, second.id) in known or (second.id, first.id) in known or (first.id, second.id) in found:
            continue
        if _are_visits(first, second) and copy.likeness < SAME_VISIT:
            continue
        judged = judge(dataset, first, second)
        which = f"'{channel}'" if channel == other_channel else f"'{channel}' and '{other_channel}'"
        how = f", {copy.how}" if copy.how else ""
        message = (
            f"{which} of {first.id} and {second.id} show one scan{how} (correlation {copy.likeness:.3f}){judged.where}"
        )
        found[first.id, second.id] = Finding(
            first.id, judged.severity, "copied_scan", message, judged.advice, second.id
        )
    yield from found.values()
