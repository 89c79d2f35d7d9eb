"""`neuraxis compare`: several segmenters on the same cases, or several domains of cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.evaluate import USUAL, Scoring, evaluate_options
from neuraxis.cli.learning_curve import show_learning_curve
from neuraxis.cli.options import SHOWN, Output, Overwrite
from neuraxis.cli.printing import columns, number, show, show_json
from neuraxis.cli.scores import chief_metrics
from neuraxis.errors import UsageError

if TYPE_CHECKING:
    from neuraxis.evaluation.comparison.side_by_side import SideBySide
    from neuraxis.evaluation.evaluate import EvaluateOptions
    from neuraxis.pipelines.comparison.shift import ShiftResult

ENTRIES = ("entry", "metric", "n", "mean", "SD", "median", "95 % CI")
GAPS = ("first - second", "features", "patients", "MMD^2", "p", "p (Holm)", "differs most", "by (SD)")
DOMAINS = ("entry", "domain", "metric", "n", "mean", "SD", "95 % CI")
TESTS = ("first - second", "metric", "patients", "difference", "95 % CI", "p", "p (Holm)")


@Parameter(name="*")
@dataclass(frozen=True)
class Asked:
    """What is compared with what."""

    references: Annotated[
        Path | None,
        Parameter(help="Dataset or folder of label maps. [default: the dataset of the runs]", show_default=False),
    ] = None
    oracle: Annotated[
        tuple[str, ...],
        Parameter(help="Name of an entry whose predictions used the reference. May be repeated.", show_default=False),
    ] = ()
    common: Annotated[
        bool, Parameter(help="Leave out, and list, the cases that not every entry has.", show_default=False)
    ] = False
    learning_curve: Annotated[
        bool,
        Parameter(
            help="Entries are runs on more and more cases: show their scores against the number of training cases.",
            negative="",
            show_default=False,
        ),
    ] = False
    shift: Annotated[
        tuple[Path, ...],
        Parameter(
            help="Datasets, or folders of scans, whose domains are compared; entries are then scored by domain.",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    by: Annotated[
        str, Parameter(help="With --shift: domains are site, dataset, channel, or a column of participants.tsv.")
    ] = "site"
    site: Annotated[
        str,
        Parameter(
            help="With --shift: a regular expression whose first group in the case's name is its domain.",
            show_default=False,
        ),
    ] = ""
    model: Annotated[
        Path | None,
        Parameter(help="With --shift: a bundle, whose network's features are compared as well.", show_default=False),
    ] = None


PLAIN = Asked()


def compare(
    entries: Annotated[tuple[str, ...], Parameter(name="NAME=PATH", negative="", show_default=False)] = (),
    /,
    *,
    asked: Asked = PLAIN,
    into: Annotated[
        Path | None,
        Parameter(help="Folder for report.html, cases.csv, tests.csv and comparison.json.", show_default=False),
    ] = None,
    scoring: Scoring = USUAL,
    overwrite: Overwrite = False,
    output: Output = SHOWN,
) -> int:
    """Compare runs, bundles and segmentations of any program on the same cases, with paired tests.

    An entry is the folder of a run (its held-out cases are compared), a bundle
    (it predicts the cases), or a folder of label maps. All must have the same
    cases; none is ever left out silently.

    With --learning-curve runs are laid along the number of cases that trained
    them: would more data help?

    With --shift it is told how far sites, scanners or channels are apart, in
    their intensities and in the features of a model.

    For example:

        neuraxis compare a=runs/a b=runs/b --into a-or-b/
        neuraxis compare ours=model.nxb nnunet=theirs/ boxed=sam/ --oracle boxed --references ms-brain/ --into all/
        neuraxis compare --learning-curve runs/quarter runs/half runs/all --into enough/
        neuraxis compare --shift site-a/ site-b/ --model model.nxb --into shift/

    Args:
        entries: What to compare: runs, bundles or folders of label maps.
        asked: what is compared with what.
        into: where files go.
        scoring: what is scored, and by which rules.
        overwrite: whether existing ones are replaced.
        output: how it is shown.
    """
    if asked.learning_curve:
        _refuse_beside_curve(asked, scoring)
        return show_learning_curve(entries, into, (asked.common, overwrite, output))
    if asked.shift:
        return _show_shift(entries, asked, into, (evaluate_options(scoring), overwrite, output))
    _refuse_lonely(asked)
    from neuraxis.pipelines.comparison.compare import REPORT, CompareOptions
    from neuraxis.pipelines.comparison.compare import compare as compare_entries

    options = CompareOptions(asked.oracle, asked.common, overwrite, evaluate_options(scoring))
    with display(output) as progress:
        found = compare_entries(entries, asked.references, into, options, progress)
    if output.json:
        show_json(found.content())
    else:
        show(describe(found, every=bool(scoring.metrics)))
        if into is not None:
            show(f"\nreport  {into / REPORT}")
    return 0


def _refuse_beside_curve(asked: Asked, scoring: Scoring) -> None:
    """Refuse options that mean nothing with --learning-curve, which takes the scores that runs have."""
    given = {"--references": asked.references is not None, "--oracle": bool(asked.oracle), "--shift": bool(asked.shift)}
    given["--metrics and the rules of scoring"] = scoring != USUAL
    named = next((name for name, is_given in given.items() if is_given), None)
    if named:
        raise UsageError(f"{named}: --learning-curve takes the scores that the runs have. Leave it out.")


def _refuse_lonely(asked: Asked) -> None:
    """Refuse options that mean nothing without --shift."""
    given = {"--by": asked.by != PLAIN.by, "--site": bool(asked.site), "--model": asked.model is not None}
    named = next((name for name, is_given in given.items() if is_given), None)
    if named:
        raise UsageError(f"{named}: belongs to --shift. Name the datasets: --shift DATASET DATASET")


def _show_shift(
    entries: tuple[str, ...], asked: Asked, into: Path | None, how: tuple[EvaluateOptions, bool, Output]
) -> int:
    from neuraxis.pipelines.comparison.shift import REPORT, ShiftOptions, domain_shift

    scoring, overwrite, output = how
    if asked.references is not None:
        raise UsageError("--references: with --shift the entries are scored against its datasets. Leave it out.")
    options = ShiftOptions(
        by=asked.by,
        pattern=asked.site,
        model=asked.model,
        entries=entries,
        oracles=asked.oracle,
        common=asked.common,
        overwrite=overwrite,
        scoring=scoring,
    )
    with display(output) as progress:
        found = domain_shift(asked.shift, into, options, progress)
    if output.json:
        show_json(found.content())
    else:
        show(describe_shift(found))
        if into is not None:
            show(f"\nreport  {into / REPORT}")
    return 0


def describe_shift(found: ShiftResult) -> str:
    """Return the tables that people read: each pair of domains, then scores by domain, then the rules."""
    shift = found.shift
    gaps = [
        (
            f"{gap.first} - {gap.second}",
            gap.space,
            f"{gap.first_patients}, {gap.second_patients}",
            gap.mmd2,
            _p(gap.p),
            _p(gap.p_holm),
            gap.feature,
            gap.effect,
        )
        for gap in shift.gaps
    ]
    tables = [columns(gaps, GAPS)]
    rows: list[tuple[object, ...]] = []
    for one in found.scores:
        for domain, scores in one.by_domain().items():
            for structure, summary in scores.summary().items():
                for metric in chief_metrics(scores.metrics)[:2] or scores.metrics[:1]:
                    value = summary[metric]
                    interval = _between(value.ci_low, value.ci_high)
                    rows.append((one.label, domain, f"{structure} {metric}", value.n, value.mean, value.sd, interval))
    if rows:
        tables.append(columns(rows, DOMAINS))
    return "\n\n".join([*tables, "\n".join(shift.notes)])


def describe(found: SideBySide, every: bool = False) -> str:
    """Return the tables that people read: each entry, then each difference, then the rules.

    Args:
        found: the comparison.
        every: whether each metric is shown, not the chief ones alone; the files hold every one.
    """
    from neuraxis.report.score_tables import shown_metrics

    worth = shown_metrics(found.entries[0].scores)
    shown = found.metrics if every else [name for name in chief_metrics(found.metrics) if name in worth]
    tables = [columns(_entry_rows(found, shown), ENTRIES)]
    if tests := _test_rows(found, shown):
        tables.append(columns(tests, TESTS))
    return "\n\n".join([*tables, "\n".join(found.notes)])


def _entry_rows(found: SideBySide, shown: Sequence[str]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    summaries = {entry.label: entry.scores.summary() for entry in found.entries}
    for structure in found.structures:
        for metric in shown:
            name = metric if len(found.structures) == 1 else f"{structure} {metric}"
            for label, summary in summaries.items():
                one = summary[structure][metric]
                rows.append((label, name, one.n, one.mean, one.sd, one.median, _between(one.ci_low, one.ci_high)))
    return rows


def _test_rows(found: SideBySide, shown: Sequence[str]) -> list[tuple[object, ...]]:
    """Return the differences in the mean over structures; those of each structure are in the files."""
    from neuraxis.evaluation.comparison.side_by_side import ALL

    whole = ALL if len(found.structures) > 1 else found.structures[0]
    return [
        (
            f"{one.first} - {one.second}",
            one.metric,
            one.difference.patients,
            one.difference.mean,
            _between(one.difference.ci_low, one.difference.ci_high),
            _p(one.difference.p),
            _p(one.p_holm),
        )
        for one in found.contrasts
        if one.metric in shown and one.structure == whole
    ]


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "< 0.0001" if value < 0.0001 else f"{value:.4f}"
