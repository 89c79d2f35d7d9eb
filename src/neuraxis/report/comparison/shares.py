"""The page and the figure of trainings with a model and from scratch, on more and more cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuraxis.evaluation.comparison.shares import STARTS, ShareTable
from neuraxis.report.curves import Curve, Panel
from neuraxis.report.figures import panels_png
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import (
    UNDEFINED,
    Cell,
    Column,
    Head,
    Section,
    bullets,
    facts_list,
    figure,
    grouped_table,
    number,
    table,
    write_page,
)
from neuraxis.report.plots import curve_plot, legend, strip_plot
from neuraxis.report.score_tables import interval_text, shown_metrics, term

METRIC, ACROSS = "dice", "training cases"


@dataclass(frozen=True, eq=False)
class SharesReport:
    """What the page shows.

    Attributes:
        title: heading.
        table: the trainings.
        facts: data, model, versions.
        warnings: what makes scores too good.
    """

    title: str
    table: ShareTable
    facts: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def shares_html(content: SharesReport) -> str:
    """Return the page."""
    found = content.table
    scores = found.cells[0].scores
    patients = {row.patient for row in scores.rows}
    facts = {
        "held-out cases": str(len(scores.cases())),
        "held-out patients": str(len(patients)),
        "structures": ", ".join(scores.structures()),
    }
    warnings = join(*(tag("p", text, class_="warning") for text in content.warnings))
    sections = [
        Section(
            "curve", "Curve", join(warnings, _curve(found)), "Mean Dice of the held-out cases; the band is its CI."
        ),
        Section("scores", "Scores", _scores(found)),
        Section("differences", "Differences", _differences(found), "Model less scratch, on the same held-out cases."),
        Section("cases", "Cases", _cases(found), "Each dot is a held-out case; point at it for its name."),
        Section("facts", "Facts", facts_list(content.facts)),
        Section("notes", "Notes", bullets(found.notes())),
    ]
    return write_page(Head(content.title, "neuraxis transfer", facts), sections)


def shares_png(found: ShareTable, path: Path) -> None:
    """Draw the curve as a picture.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    panels_png([_panel(found)], path, ACROSS)


def _panel(found: ShareTable) -> Panel:
    """Return mean Dice over training cases, a curve for each start; without an interval the band has no width."""
    curves = []
    for start in STARTS:
        cells = found.of(start)
        summaries = [cell.summary(METRIC, found.structures[0]) for cell in cells]
        means = np.array([one.mean for one in summaries])
        ends = [
            [edge if math.isfinite(edge) else one.mean for edge, one in zip(side, summaries, strict=True)]
            for side in ([one.ci_low for one in summaries], [one.ci_high for one in summaries])
        ]
        steps = np.array([float(cell.cases) for cell in cells])
        curves.append(Curve(start, steps, means, np.array(ends[0]), np.array(ends[1])))
    return Panel("Mean Dice", tuple(curves))


def _curve(found: ShareTable) -> Markup:
    panel = _panel(found)
    key = legend([one.name for one in panel.curves])
    drawn = figure(join(curve_plot(panel, ACROSS), key), f"Dice, {found.structures[0]}")
    return tag("div", drawn, class_="plots")


def _scores(found: ShareTable) -> Markup:
    shown = [name for name in shown_metrics(found.cells[0].scores) if term(name).plotted]
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for metric in shown:
        decimals = max(term(metric).decimals, 2)
        for structure in found.structures:
            rows: list[tuple[Cell, ...]] = []
            for cell in found.cells:
                one = cell.summary(metric, structure)
                mean, sd, median = (number(value, decimals) for value in (one.mean, one.sd, one.median))
                interval = interval_text(one, decimals) or UNDEFINED
                trained = f"{cell.cases} ({cell.patients})"
                rows.append((f"{cell.share:g} %", cell.start, trained, str(one.n), mean, interval, sd, median))
            groups[f"{term(metric).title}, {structure}"] = rows
    names = ("Training cases (patients)", "n", "Mean", "95 % CI", "SD", "Median")
    columns = (Column("Share"), Column("Start"), *(Column(name, numeric=True) for name in names))
    return grouped_table(columns, groups, "Scores of the held-out cases; the interval is that of the mean")


def _differences(found: ShareTable) -> Markup:
    rows: list[tuple[Cell, ...]] = []
    for structure in found.structures:
        for share, one in found.differences(METRIC, structure):
            difference = one.difference
            known = math.isfinite(difference.ci_low)
            interval = f"{difference.ci_low:.3f} to {difference.ci_high:.3f}" if known else UNDEFINED
            ends = (_p(difference.p), _p(one.p_holm))
            better = f"{difference.first_larger} / {difference.second_larger}"
            mean = number(difference.mean)
            rows.append((f"{share:g} %", structure, str(difference.patients), mean, interval, better, *ends))
    names = ("Patients", "Difference", "95 % CI", "Better / worse", "p", "p (Holm)")
    columns = (Column("Share"), Column("Structure"), *(Column(name, numeric=True) for name in names))
    return table(columns, rows, "Difference in Dice, model less scratch")


def _p(value: float) -> Cell:
    return UNDEFINED if math.isnan(value) else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _cases(found: ShareTable) -> Markup:
    plots = []
    for structure in found.cells[0].scores.structures():
        values = {cell.name: cell.scores.values(METRIC, structure) for cell in found.cells}
        plots.append(figure(strip_plot(values, term(METRIC).title, term(METRIC).limits), structure))
    return tag("div", *plots, class_="plots")
