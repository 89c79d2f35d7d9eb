"""`neuraxis check`: what is wrong with a dataset, before any time is spent on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output
from neuraxis.cli.printing import show, show_json

if TYPE_CHECKING:
    from neuraxis.dataset.checks.finding import Finding
    from neuraxis.dataset.dataset import Dataset

REFUSED = 3


def check(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    data: DecidedData = UNDECIDED,
    output: Output = SHOWN,
) -> int:
    """Look for what would spoil a training: geometry, values, labels, missing files.

    Exits with 0 where nothing forbids a training (warnings and notes do not),
    with 3 where something does.

    For example:

        neuraxis check ms-brain/
        neuraxis check ms-brain/ --json > findings.json
        neuraxis check pairs/ --set labels.threshold=127

    Args:
        datasets: Folders of labelled scans; several must fit together.
        data: how folders are understood, and what the recipe makes of their
            labels.
        output: how it is shown.
    """
    from neuraxis.dataset.checks.check import check_dataset
    from neuraxis.dataset.dataset import merge
    from neuraxis.pipelines.runs.data import labels_in, open_all
    from neuraxis.recipe.wishes import read_wishes

    labels, places = labels_in(read_wishes(data.recipe, data.settings)), data.places(datasets)
    with display(output) as progress:
        opened = [open_all([place], labels) for place in places]
        found = [(dataset, check_dataset(dataset, progress)) for dataset in opened]
    if output.json:
        show_json([_content(dataset, findings) for dataset, findings in found])
    else:
        show("\n\n".join(_describe(dataset, findings) for dataset, findings in found))
    merge(opened)
    return REFUSED if any(_count(findings, "error") for _, findings in found) else 0


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
    lines.append(f"{errors} errors, {warnings} warnings. {verdict}")
    return "\n".join(lines)


def _count(findings: tuple[Finding, ...], severity: str) -> int:
    return sum(finding.severity == severity for finding in findings)
