"""The page of a learning curve: scores against the number of training cases, gains from point to point, every run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from neuraxis.evaluation.catalog import LOSS
from neuraxis.evaluation.comparison.learning_curve import CurvePoint, LearningCurve, mean_of_run
from neuraxis.evaluation.comparison.paired import better
from neuraxis.report.curves import Curve, Panel
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

ACROSS = "training cases"
MOST_CURVES = 4


@dataclass(frozen=True, eq=False)
class LearningReport:
    """What the page shows.

    Attributes:
        title: heading.
        found: the curve.
        facts: paths, versions, times.
    """

    title: str
    found: LearningCurve
    facts: Mapping[str, str] = field(default_factory=dict)


def learning_html(content: LearningReport) -> str:
    """Return the page."""
    found = content.found
    scores = found.points[0].scores
    facts = {
        "training cases": f"{found.points[0].label} … {found.points[-1].label}",
        "runs": str(sum(len(point.runs) for point in found.points)),
        "held-out cases": str(len(scores.cases())),
        "held-out patients": str(len({row.patient for row in scores.rows})),
        "structures": ", ".join(scores.structures()),
    }
    lead = "The mean over the held-out cases, the same at every point; the band is its 95 % interval over patients."
    gains = "What each number of training cases has over the one before, on the same held-out cases."
    sections = [
        Section("curve", "Curve", join(_warning(found), tag("div", *_plots(found), class_="plots")), lead),
        Section("scores", "Scores", _scores(found)),
        Section("gains", "Gains", _gains(found), gains),
        Section("runs", "Runs", _runs(found)),
        Section("cases", "Cases", _cases(found), "Each dot is a held-out case; point at it for its name."),
        Section("facts", "Facts", facts_list(content.facts)) if content.facts else None,
        Section("notes", "Notes", bullets(found.notes)),
    ]
    head = Head(content.title, "neuraxis learning curve", facts)
    return write_page(head, [section for section in sections if section is not None])


def shown_columns(found: LearningCurve) -> tuple[str, ...]:
    """Return the metrics that are summed up and drawn."""
    scores = found.points[0].scores
    return tuple(name for name in shown_metrics(scores) if term(name).plotted) or scores.metrics


def _warning(found: LearningCurve) -> Markup | None:
    if not any(point.scores.selected_on_these_cases for point in found.points):
        return None
    return tag("p", "Selected on these cases in some runs, so expect less on new ones.", class_="warning")


def _plots(found: LearningCurve) -> list[Markup]:
    plots = []
    for metric in shown_columns(found):
        panel = _panel(found, metric)
        if panel.curves:
            key = legend([curve.name for curve in panel.curves])
            plots.append(figure(join(curve_plot(panel, ACROSS), key), panel.title))
    return plots


def _panel(found: LearningCurve, metric: str) -> Panel:
    """Return a metric over training cases, a curve for each structure where they are few, else their mean."""
    structures = found.structures if len(found.structures) <= MOST_CURVES and metric != LOSS else found.structures[:1]
    curves = []
    for structure in structures:
        known = [
            (point, one) for point in found.points if math.isfinite((one := point.summary(metric, structure)).mean)
        ]
        if not known:
            continue
        means = np.array([one.mean for _, one in known])
        sides = [[one.ci_low for _, one in known], [one.ci_high for _, one in known]]
        low, high = (np.where(np.isfinite(side), side, means) for side in sides)
        curves.append(Curve(structure, np.array([point.cases for point, _ in known]), means, low, high))
    return Panel(term(metric).title, tuple(curves))


def _scores(found: LearningCurve) -> Markup:
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    for metric in shown_columns(found):
        for structure in found.structures if metric != LOSS else found.structures[:1]:
            rows = [_score_row(point, metric, structure) for point in found.points]
            groups[f"{term(metric).title}, {structure}"] = rows
    names = ("Patients", "Runs", "n", "Mean", "95 % CI", "SD", "Median", "Lowest run", "Highest run")
    columns = (Column("Training cases"), *(Column(name, numeric=True) for name in names))
    return grouped_table(columns, groups, "Scores of the held-out cases; the interval is that of the mean")


def _score_row(point: CurvePoint, metric: str, structure: str) -> tuple[Cell, ...]:
    decimals, one = max(term(metric).decimals, 2), point.summary(metric, structure)
    figures = (number(value, decimals) for value in (one.sd, one.median, *point.of_runs(metric, structure)))
    interval = interval_text(one, decimals) or UNDEFINED
    runs = str(len(point.runs))
    return point.label, point.patients, runs, str(one.n), number(one.mean, decimals), interval, *figures


def _gains(found: LearningCurve) -> Markup:
    rows: list[tuple[Cell, ...]] = []
    for metric in [name for name in shown_columns(found) if better(name)]:
        for structure in found.structures if metric != LOSS else found.structures[:1]:
            for one in found.gains(metric, structure):
                said = one.difference
                known = math.isfinite(said.ci_low)
                interval = f"{number(said.ci_low)} to {number(said.ci_high)}" if known else UNDEFINED
                rows.append((f"{one.second} → {one.first}", term(metric).title, structure, said.patients, said.mean,
                             interval, one.p_holm, said.p, said.rank_biserial))  # fmt: skip
    columns = (Column("Step"), Column("Metric", choice=True), Column("Structure", choice=True),
               Column("Patients", True, 0), Column("Gain", True), Column("95 % CI", True),
               Column("p (Holm)", True, 4, least=1e-4), Column("p", True, 4, least=1e-4, extra=True),
               Column("Rank-biserial", True, 2, extra=True))  # fmt: skip
    return table(columns, rows, "Gain from each number of training cases to the next")


def _runs(found: LearningCurve) -> Markup:
    metric, structure = shown_columns(found)[0], found.structures[0]
    rows: list[tuple[Cell, ...]] = [
        (run.name, run.cases, run.patients, run.fold, run.seed, len(run.scores.cases()),
         mean_of_run(run, metric, structure))
        for point in found.points for run in point.runs
    ]  # fmt: skip
    names = ("Training cases", "Training patients", "Fold", "Seed", "Held-out cases")
    columns = (Column("Run"), *(Column(name, True, 0) for name in names), Column(f"Mean {term(metric).title}", True))
    return table(columns, rows, "The runs")


def _cases(found: LearningCurve) -> Markup:
    plots = []
    metric = shown_columns(found)[0]
    for structure in found.points[0].scores.structures():
        values = {f"{point.label} cases": point.scores.values(metric, structure) for point in found.points}
        plots.append(figure(strip_plot(values, term(metric).title, term(metric).limits), structure))
    return tag("div", *plots, class_="plots")
