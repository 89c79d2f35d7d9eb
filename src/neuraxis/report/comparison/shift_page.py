"""The page of a domain shift: how far domains are apart, maps of the cases, intensities, scores by domain."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.shift.domains import Maps, Shift, Space
from neuraxis.evaluation.statistics import Summary
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
from neuraxis.report.plots import mark_legend, scatter_plot, strip_plot
from neuraxis.report.score_tables import interval_text, shown_metrics, term

DRAWN = ("p50", "sd", "skewness", "foreground")
WORDS = {
    "mean": "mean", "sd": "SD", "skewness": "skewness", "kurtosis": "excess kurtosis", "p01": "1st percentile",
    "p10": "10th percentile", "p50": "median", "p90": "90th percentile", "p99": "99th percentile",
    "foreground": "share of foreground",
}  # fmt: skip
MOST_FEATURES = 60


@dataclass(frozen=True, eq=False)
class ShiftReport:
    """What the page shows.

    Attributes:
        title: heading.
        shift: what was found.
        spacing_mm: of each member's voxels.
        scores: label of an entry to its scores, with the domain as site.
        facts: paths, versions, times.
    """

    title: str
    shift: Shift
    spacing_mm: Sequence[tuple[float, float, float]]
    scores: Mapping[str, Scores] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)


def shift_html(content: ShiftReport) -> str:
    """Return the page."""
    shift = content.shift
    patients = {member.patient for member in shift.members}
    facts = {"domains": str(len(shift.domains)), "rows": str(len(shift.members)), "patients": str(len(patients))}
    sections = [
        Section("domains", "Domains", _domains(shift, content.spacing_mm)),
        _distances(shift),
        *(_maps(shift, one) for one in shift.maps),
        _intensities(shift),
        _scores(content.scores),
        Section(
            "cases", "Cases", _case_table(shift), "Every feature as it was measured; network features are in the CSV."
        ),
        Section("facts", "Facts", facts_list(content.facts)) if content.facts else None,
        Section("notes", "Notes", bullets(shift.notes)),
    ]
    head = Head(content.title, "neuraxis domain shift", facts)
    return write_page(head, [section for section in sections if section is not None])


def _domains(shift: Shift, spacing_mm: Sequence[tuple[float, float, float]]) -> Markup:
    rows: list[tuple[Cell, ...]] = []
    for domain in shift.domains:
        places = [place for place, member in enumerate(shift.members) if member.domain == domain]
        members = [shift.members[place] for place in places]
        datasets = ", ".join(sorted({member.dataset for member in members}))
        patients = len({member.patient for member in members})
        middle = np.median([spacing_mm[place] for place in places], axis=0)
        spacing = " × ".join(f"{size:.3g}" for size in middle)
        rows.append((domain, datasets, str(len(members)), str(patients), spacing))
    columns = (Column("Domain"), Column("Dataset"), Column("Cases", True), Column("Patients", True),
               Column("Median spacing (mm)", True))  # fmt: skip
    return grouped_table(columns, {"What is compared": rows}, "Domains")


def _distances(shift: Shift) -> Section:
    columns = (Column("First"), Column("Second"), Column("Features", choice=True), Column("Patients", True),
               Column("MMD²", True, 4), Column("p (Holm)", True, 4, least=1e-4), Column("p", True, 4, extra=True),
               Column("Feature that differs most"), Column("by (SD)", True, 2))  # fmt: skip
    rows = [
        (gap.first, gap.second, gap.space, f"{gap.first_patients} and {gap.second_patients}", gap.mmd2,
         gap.p_holm, gap.p, in_words(gap.feature), gap.effect)
        for gap in shift.gaps
    ]  # fmt: skip
    lead = (
        "MMD² is about 0 where two domains are alike, and at most 2. A small p says that they differ in these "
        "features; whether that matters to a model, its scores tell. Differences of features are first less second."
    )
    return Section("distances", "Distances", table(columns, rows, "Distance of every two domains"), lead)


def _maps(shift: Shift, one: Maps) -> Section:
    first, second = (f"{100 * share:.0f} %" for share in one.components.shares)
    axes = (f"first component ({first} of the variance)", f"second ({second})")
    plots = [_map(shift, one.components.points, f"Principal components ({first} and {second} of the variance)", axes)]
    if one.neighbours is not None:
        plots.append(_map(shift, one.neighbours, "t-SNE", ("first axis", "second axis")))
    lead = (
        "Each mark is a case; point at it for its name. In the principal components distances mean something; in t-SNE "
        "only who is next to whom does."
    )
    what = one.space.partition(" ")[0]
    return Section(f"map-{what}", f"Map by {what}", tag("div", *plots, class_="plots"), lead)


def _map(shift: Shift, points: np.ndarray, title: str, axes: tuple[str, str]) -> Markup:
    groups: dict[str, dict[str, tuple[float, float]]] = {domain: {} for domain in shift.domains}
    for member, (x, y) in zip(shift.members, points.tolist(), strict=True):
        groups[member.domain][member.id] = (x, y)
    return figure(join(scatter_plot(groups, axes), mark_legend(list(groups))), title)


def _intensities(shift: Shift) -> Section:
    space = shift.spaces[0]
    plots = []
    for place, feature in enumerate(space.features):
        if feature.rpartition(" ")[2] in DRAWN:
            values = {
                domain: {
                    member.id: float(value)
                    for member, value in zip(shift.members, space.values[:, place], strict=True)
                    if member.domain == domain
                }
                for domain in shift.domains
            }
            plots.append(figure(strip_plot(values, in_words(feature), violins=True), in_words(feature)))
    lead = "Of the foreground of each scan as it lies on disk, before any normalisation. Each dot is a case."
    return Section("intensities", "Intensities", tag("div", *plots, class_="plots"), lead)


def _scores(entries: Mapping[str, Scores]) -> Section | None:
    if not entries:
        return None
    plots, groups = [], dict[str, list[tuple[Cell, ...]]]()
    for label, scores in entries.items():
        shown = [name for name in shown_metrics(scores) if term(name).plotted] or list(scores.metrics)
        for structure in scores.structures():
            for metric in shown:
                values = _by_domain(scores, metric, structure)
                title = f"{label}: {term(metric).title}, {structure}"
                groups[title] = [
                    _score_row(domain, _summary(scores, metric, structure, domain), metric) for domain in values
                ]
                if metric == shown[0]:
                    plot = strip_plot(values, term(metric).title, term(metric).limits, violins=True)
                    plots.append(figure(plot, title))
    columns = (Column("Domain"), *(Column(name, True) for name in ("n", "Mean", "95 % CI", "SD", "Median")))
    warnings = [
        tag(
            "p",
            f"{label} used the reference to predict. It shows what could be reached, not a result.",
            class_="warning",
        )
        for label in entries
        if label.endswith("(oracle)")
    ]
    body = join(
        *warnings,
        tag("div", *plots, class_="plots"),
        grouped_table(columns, groups, "Scores by domain; intervals are of the mean"),
    )
    return Section("scores", "Scores by domain", body, "Each entry on the labelled cases of each domain.")


def _by_domain(scores: Scores, metric: str, structure: str) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {domain: {} for domain in sorted({row.site for row in scores.rows})}
    for row in scores.rows:
        if row.structure == structure:
            found[row.site][row.case] = row.values[metric]
    return found


def _summary(scores: Scores, metric: str, structure: str, domain: str) -> Summary:
    rows = [row for row in scores.rows if row.site == domain]
    return Scores(tuple(rows), scores.metrics).summarised(metric, structure)


def _score_row(domain: str, found: Summary, metric: str) -> tuple[Cell, ...]:
    decimals = max(term(metric).decimals, 2)
    mean, sd, median = (number(value, decimals) for value in (found.mean, found.sd, found.median))
    return domain, str(found.n), mean, interval_text(found, decimals) or UNDEFINED, sd, median


def _case_table(shift: Shift) -> Markup:
    """Return the intensity statistics of every case, each in as many decimals as its size asks for."""
    space: Space = shift.spaces[0]
    features = space.features[:MOST_FEATURES]
    columns = [Column("Case"), Column("Domain", choice=True)]
    for place, feature in enumerate(features):
        kind = feature.rpartition(" ")[2]
        size = statistics.median(abs(float(value)) for value in space.values[:, place])
        decimals = 0 if size >= 1000 else 1 if size >= 10 else 3
        columns.append(Column(in_words(feature), True, decimals, extra=kind not in DRAWN))
    rows: list[tuple[Cell, ...]] = [
        (member.id, member.domain, *(value if math.isfinite(value) else math.nan for value in row))
        for member, row in zip(shift.members, space.values[:, : len(features)].tolist(), strict=True)
    ]
    return table(columns, rows, "Features of every case")


def in_words(feature: str) -> str:
    """Return a feature's name for reading.

    >>> in_words("FLAIR p50"), in_words("FLAIR p99"), in_words("feature 3")
    ('FLAIR median', 'FLAIR 99th percentile', 'feature 3')
    """
    channel, _, kind = feature.rpartition(" ")
    return f"{channel} {WORDS[kind]}".strip() if kind in WORDS else feature
