"""`neuraxis check`: what is wrong with a dataset or a scan, before any time is spent on it, and repaired copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output
from neuraxis.cli.printing import show, show_json
from neuraxis.errors import DataError, UsageError

if TYPE_CHECKING:
    from neuraxis.dataset.checks.check import Survey
    from neuraxis.dataset.checks.finding import Finding
    from neuraxis.dataset.checks.repair import Repair, RepairOptions
    from neuraxis.dataset.dataset import Dataset
    from neuraxis.pipelines.checking.scans import CheckedScan

REFUSED = 3


@Parameter(name="*")
@dataclass(frozen=True)
class CheckChoices:
    """What `check` can be told."""

    model: Annotated[
        str | None, Parameter(help="Check scans for this model: its channels, its spacing.", show_default=False)
    ] = None
    fix: Annotated[
        str, Parameter(help="Write a repaired copy: affine, labels, nan, orientation, with commas.", show_default=False)
    ] = ""
    into: Annotated[Path | None, Parameter(help="With --fix: the new folder.", show_default=False)] = None
    unknown: Annotated[
        Literal["keep", "background", "ignore"],
        Parameter(help="With --fix labels: what becomes of numbers that no label has."),
    ] = "keep"


PLAIN = CheckChoices()


def check(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    data: DecidedData = UNDECIDED,
    choices: CheckChoices = PLAIN,
    output: Output = SHOWN,
) -> int:
    """Look for what would spoil a training or a segmentation, and repair copies.

    Geometry, values, labels, missing files, and one scan under two names.
    Exits with 0 where nothing forbids a training (warnings and notes do not),
    with 3 where something does. Several datasets are also compared with each
    other: a scan that two of them hold is an error, since it would train and
    be tested. With --fix the copy is checked; originals stay as they are.

    For example:

        neuraxis check ms-brain/
        neuraxis check ms-brain/ --json > findings.json
        neuraxis check pairs/ --set labels.threshold=127
        neuraxis check ms-brain/ --fix affine,nan --into mended/
        neuraxis check scan.nii.gz --model m.nxb
        neuraxis check dicom-study/

    Args:
        datasets: Folders of labelled scans, which must fit together; or scans.
        data: how folders are understood, and what the recipe makes of their
            labels.
        choices: what is asked for.
        output: how it is shown.
    """
    from neuraxis.pipelines.checking.scans import is_loose

    repair = _repair(choices)
    if choices.model is not None or all(map(is_loose, datasets)):
        return _check_scans(datasets, choices, repair, output)
    return _check_datasets(datasets, data, choices, output)


def _repair(choices: CheckChoices) -> RepairOptions | None:
    from neuraxis.dataset.checks.repair import RepairOptions

    if not choices.fix:
        if choices.into is not None:
            raise UsageError(f"--into {choices.into}: is for repaired copies. Say with --fix what is repaired.")
        return None
    if choices.into is None:
        raise UsageError("--fix: originals are never touched. Name a new folder for the copy with --into.")
    return RepairOptions(tuple(part.strip() for part in choices.fix.split(",") if part.strip()), choices.unknown)


def _check_scans(scans: Sequence[Path], choices: CheckChoices, repair: RepairOptions | None, output: Output) -> int:
    from neuraxis.dataset.checks.repair import repair_scans
    from neuraxis.pipelines.checking.scans import check_scans

    repairs: tuple[Repair, ...] = ()
    seen = check_scans(scans, choices.model)
    if repair is not None and choices.into is not None:
        repairs = repair_scans([scan.case for scan in seen if scan.case is not None], repair, choices.into)
        copies = [choices.into / path.name for path in scans] if choices.model is None else [choices.into]
        seen = check_scans(copies, choices.model)
    if output.json:
        plain = [{"case": scan.id, "grid": scan.grid, "findings": scan.findings} for scan in seen]
        show_json({"scans": plain, "repairs": repairs, "into": choices.into})
    else:
        show("\n".join(_told_repairs(repairs, choices) + [line for scan in seen for line in _describe_scan(scan)]))
    return REFUSED if any(_count(scan.findings, "error") for scan in seen) else 0


def _check_datasets(datasets: Sequence[Path], data: DecidedData, choices: CheckChoices, output: Output) -> int:
    from neuraxis.dataset.checks.check import survey_dataset
    from neuraxis.pipelines.runs.data import labels_in, open_all
    from neuraxis.recipe.wishes import read_wishes

    labels, places = labels_in(read_wishes(data.chosen_recipe, data.settings)), data.places(datasets)
    repair = _repair(choices)
    repairs: tuple[Repair, ...] = ()
    with display(output) as progress:
        opened = [open_all([place], labels) for place in places]
        if repair is not None and choices.into is not None:
            from neuraxis.dataset.checks.repair import repair_dataset

            if len(opened) > 1:
                raise UsageError("--fix: several datasets are named. Repair them one by one.")
            repairs = repair_dataset(opened[0], repair, choices.into, progress)
            place = choices.into if opened[0].root.is_dir() else choices.into / opened[0].root.name
            opened = [open_all(data.places([place]), labels)]
        surveys = [survey_dataset(dataset, progress) for dataset in opened]
        found = [(survey.dataset, survey.findings()) for survey in surveys]
        between, mismatch = _between(surveys)
    if output.json:
        show_json([{**_content(dataset, findings), "repairs": repairs} for dataset, findings in found + between])
    else:
        lines = ["\n".join(told)] if (told := _told_repairs(repairs, choices)) else []
        lines += [_describe(dataset, findings) for dataset, findings in found]
        show("\n\n".join(lines + [_describe_together(*joined) for joined in between]))
    if mismatch is not None:
        raise mismatch
    return REFUSED if any(_count(findings, "error") for _, findings in found + between) else 0


def _between(surveys: Sequence[Survey]) -> tuple[list[tuple[Dataset, tuple[Finding, ...]]], DataError | None]:
    """Return several datasets as one, with what two of them hold in common; or why they cannot be joined."""
    from neuraxis.dataset.checks.check import check_between

    if len(surveys) < 2:
        return [], None
    try:
        return [check_between(surveys)], None
    except DataError as error:
        return [], error


def _told_repairs(repairs: Sequence[Repair], choices: CheckChoices) -> list[str]:
    """Return what was repaired as lines; what is listed below them is what could not be."""
    if not choices.fix:
        return []
    lines = [f"  repaired {repair}" for repair in repairs]
    count = f"{len(repairs)} repairs" if len(repairs) != 1 else "1 repair"
    return [*lines, f"{count} ({choices.fix}) in the copy {choices.into}; what is still to be done:"]


def _content(dataset: Dataset, findings: tuple[Finding, ...]) -> dict[str, object]:
    return {
        "dataset": dataset.name,
        "root": dataset.root,
        "layout": dataset.layout,
        "channels": dataset.channels,
        "labels": dataset.labels.names,
        "cases": len(dataset.cases),
        "unlabelled": len(dataset.unlabelled),
        "errors": _count(findings, "error"),
        "warnings": _count(findings, "warning"),
        "findings": findings,
    }


def _describe(dataset: Dataset, findings: tuple[Finding, ...]) -> str:
    structures = ", ".join(dataset.labels.scored)
    lines = [
        f"{dataset.name}: {len(dataset.cases)} labelled cases, layout {dataset.layout}, "
        f"channels {', '.join(dataset.channels)}, structures {structures}"
    ]
    lines += [f"  {finding.severity:<8} {finding}" for finding in findings]
    errors, warnings = _count(findings, "error"), _count(findings, "warning")
    verdict = "Not fit for training." if errors else "Fit for training."
    verdict = verdict if dataset.cases else "No case has labels to train with."
    lines.append(f"{errors} errors, {warnings} warnings. {verdict}")
    return "\n".join(lines)


def _describe_together(joined: Dataset, findings: tuple[Finding, ...]) -> str:
    """Return what is wrong with several datasets in one training, besides what is wrong with each."""
    lines = [f"{joined.name}: {len(joined.cases)} labelled cases together"]
    lines += [f"  {finding.severity:<8} {finding}" for finding in findings]
    errors, warnings = _count(findings, "error"), _count(findings, "warning")
    verdict = "Not fit for one training." if errors else "Fit for one training."
    return "\n".join([*lines, f"{errors} errors, {warnings} warnings. {verdict}"])


def _describe_scan(scan: CheckedScan) -> list[str]:
    lines = [f"{scan.id}: {scan.grid}" if scan.grid else scan.id]
    lines += [f"  {finding.severity:<8} {finding}" for finding in scan.findings]
    verdict = "Not fit for a segmentation." if _count(scan.findings, "error") else "Fit for a segmentation."
    errors, warnings = _count(scan.findings, "error"), _count(scan.findings, "warning")
    return [*lines, f"{errors} errors, {warnings} warnings. {verdict}"]


def _count(findings: tuple[Finding, ...], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)
