"""The page of a comparison: what each entry scores and costs, how they differ, every case, pictures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from neuraxis.evaluation.comparison.paired import better
from neuraxis.evaluation.comparison.side_by_side import ALL, Contrast, Entry, SideBySide, Standing
from neuraxis.evaluation.statistics import MIN_PATIENTS, Summary
from neuraxis.report.browser.slices import BrowserCase
from neuraxis.report.browser.view import browser_section, thumbnail, thumbnails
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.overlay_view import overlay_view
from neuraxis.report.overlays import Overlay
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
from neuraxis.report.plots import difference_plot, strip_plot
from neuraxis.report.score_tables import interval_text, shown_metrics, term, tile

MOST_TILES, MOST_ROWS, SHORT = 8, 12, 23
CASES_LEAD = "Those in which the entries differ most come first. Press a heading to sort; undefined values stay last."
BROWSER_ORDER = "those in which the entries differ most first"


@dataclass(frozen=True, eq=False)
class ComparisonReport:
    """What the page shows.

    Attributes:
        title: heading.
        found: the comparison.
        overlays: cases to show, one for each entry.
        facts: paths, versions, times.
        browser: cases to go through slice by slice.
        browser_left_out: number of cases for which the browser has no room.
    """

    title: str
    found: SideBySide
    overlays: Sequence[Overlay] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    browser: tuple[BrowserCase, ...] = ()
    browser_left_out: int = 0


def comparison_html(content: ComparisonReport) -> str:
    """Return the page."""
    found = content.found
    cases, structures = found.entries[0].scores.cases(), found.structures
    patients = {row.patient for row in found.entries[0].scores.rows}
    facts = {"cases": str(len(cases)), "patients": str(len(patients)), "structures": ", ".join(structures)}
    sections = [
        Section("scores", "Scores", join(_warnings(found.entries), _tiles(found), _summary(found))),
        _cost(found.entries),
        _distributions(found),
        _differences(found),
        Section("cases", "Cases", _case_table(found, content.browser), CASES_LEAD),
        browser_section(content.browser, content.title, content.browser_left_out, BROWSER_ORDER),
        _pictures(content.overlays),
        Section("facts", "Facts", facts_list(content.facts)) if content.facts else None,
        Section("notes", "Notes", bullets(found.notes)),
    ]
    head = Head(content.title, "neuraxis comparison", facts)
    return write_page(head, [section for section in sections if section is not None])


def shown_columns(found: SideBySide) -> tuple[str, ...]:
    """Return the metrics that are summed up and drawn."""
    scores = found.entries[0].scores
    return tuple(name for name in shown_metrics(scores) if term(name).plotted) or scores.metrics


def _warnings(entries: Iterable[Entry]) -> Markup:
    """Say in full view what makes an entry's scores too good."""
    lines = []
    for entry in entries:
        if entry.oracle:
            lines.append(f"{entry.label} used the reference to predict. It shows what could be reached, not a result.")
        if entry.scores.selected_on_these_cases:
            lines.append(f"{entry.label}: selected on these cases, so expect less on new ones.")
    return join(*(tag("p", line, class_="warning") for line in lines))


def _tiles(found: SideBySide) -> Markup | None:
    metric = shown_columns(found)[0]
    if len(found.entries) > MOST_TILES:
        return None
    parts = []
    for entry in found.entries:
        summary = _summary_of(entry, metric, "")
        interval = interval_text(summary, term(metric).decimals)
        sure = f"95 % CI {interval}" if interval else f"no interval below {MIN_PATIENTS} patients"
        unit = term(metric).unit
        value = join(number(summary.mean, term(metric).decimals), tag("small", unit) if unit else None)
        parts.append(tile(entry.label, value, (f"mean {term(metric).name}", sure, f"n = {summary.n}")))
    return tag("div", *parts, class_="tiles")


def _summary(found: SideBySide) -> Markup:
    """Return n, mean, interval, SD, median and rank of each entry, for each metric and structure."""
    standings = {(one.metric, one.entry): one for one in found.standings}
    groups: dict[str, list[tuple[Cell, ...]]] = {}
    several = len(found.structures) > 1
    for metric in shown_columns(found):
        for structure in [*([ALL] if several else []), *found.structures]:
            whole = structure == ALL or not several
            groups[f"{term(metric).title}, {structure}"] = [
                _summary_row(entry, metric, structure, standings.get((metric, entry.label)) if whole else None)
                for entry in found.entries
            ]
    names = ("n", "Mean", "95 % CI", "SD", "Median", "Mean rank", "First in (%)", "Rank, 95 %")
    columns = (Column("Entry"), *(Column(name, numeric=True) for name in names))
    table = grouped_table(columns, groups, "Scores of each entry; the interval is that of the mean")
    return join(table, _stability(found.standings))


def _stability(standings: Iterable[Standing]) -> Markup | None:
    """Say how far each ranking would be the same with other patients; None where there is no ranking."""
    taus = {term(one.metric).name: one.stability for one in standings if math.isfinite(one.stability)}
    if not taus:
        return None
    told = ", ".join(f"{name} {number(tau, 2)}" for name, tau in taus.items() if name)
    said = "How stable each ranking is (Kendall's tau with those of resampled patients; 1: always the same): "
    return tag("details", tag("summary", "Stability of the rankings"), tag("p", said, told, "."))


def _summary_row(entry: Entry, metric: str, structure: str, standing: Standing | None) -> tuple[Cell, ...]:
    found = _summary_of(entry, metric, "" if structure == ALL else structure)
    decimals = max(term(metric).decimals, 2)
    rank = number(standing.mean_rank, 2) if standing else UNDEFINED
    share = number(100 * standing.first_share, 0) if standing else UNDEFINED
    ranks = UNDEFINED
    if standing and math.isfinite(standing.rank_low):
        ranks = f"{standing.rank_low:.0f} to {standing.rank_high:.0f}"
    mean, sd, median = (number(value, decimals) for value in (found.mean, found.sd, found.median))
    return entry.label, str(found.n), mean, interval_text(found, decimals) or UNDEFINED, sd, median, rank, share, ranks


def _summary_of(entry: Entry, metric: str, structure: str) -> Summary:
    """Summarise one structure, or the mean over all where none is named."""
    structures = entry.scores.structures()
    if not structure and len(structures) > 1:
        return entry.scores.foreground(metric)
    return entry.scores.summarised(metric, structure or structures[0])


def _cost(entries: Sequence[Entry]) -> Section | None:
    """Return what is known of parameters, operations and seconds; columns in which nothing is known are left out."""
    values: dict[str, list[Cell | None]] = {
        "Parameters (M)": [_scaled(entry.expense.parameters, 1e-6, 2) for entry in entries],
        "GFLOPs a window": [_scaled(entry.expense.window_gflops, 1, 2) for entry in entries],
        "Window (voxels)": [entry.expense.window or None for entry in entries],
        "CPU seconds a case": [_scaled(entry.expense.cpu_seconds, 1, 2) for entry in entries],
        "Training (min)": [_scaled(entry.expense.training_minutes, 1, 1) for entry in entries],
    }
    known = {name: cells for name, cells in values.items() if any(cell is not None for cell in cells)}
    if not known:
        return None
    metric = shown_metrics(entries[0].scores)[0]
    columns = (Column("Entry"), Column(term(metric).title, True), *(Column(name, numeric=True) for name in known))
    rows = [
        (entry.label, number(entry.scores.mean(metric)), *(cells[place] or UNDEFINED for cells in known.values()))
        for place, entry in enumerate(entries)
    ]
    lead = (
        "Counted from the layers on the card: all networks of a bundle, and of a run the one that predicts a held-out "
        "case; one window, not mirrored. CPU seconds are the median case's, read here while a bundle predicted. What "
        "nothing tells is a dash."
    )
    return Section("cost", "Cost", grouped_table(columns, {"What each entry costs": rows}, "Cost of each entry"), lead)


def _distributions(found: SideBySide) -> Section:
    plots = []
    for metric in shown_columns(found):
        form = term(metric)
        for structure in found.structures:
            values = {entry.label: entry.scores.values(metric, structure) for entry in found.entries}
            title = form.title if len(found.structures) == 1 else f"{form.title}, {structure}"
            plots.append(figure(strip_plot(values, form.title, form.limits, violins=True), title))
    lead = (
        "Each dot is a case; point at it for its name. The shape behind is the density of the values, the box spans "
        "the quartiles, its line is the median, the diamond the mean."
    )
    return Section("distributions", "Distributions", tag("div", *plots, class_="plots"), lead)


def _differences(found: SideBySide) -> Section:
    shown = shown_columns(found)
    whole = ALL if len(found.structures) > 1 else found.structures[0]
    plots = []
    for metric in shown:
        rows = [
            (_name(one), one.difference.mean, one.difference.ci_low, one.difference.ci_high)
            for one in found.contrasts
            if one.metric == metric and one.structure == whole
        ]
        if rows and len(rows) <= MOST_ROWS:
            title = f"{_measured(metric)}, {whole}"
            plots.append(figure(difference_plot(rows, term(metric).title), title))
    columns = (Column("First"), Column("Second"), Column("Metric", choice=True), Column("Structure", choice=True),
               Column("Patients", True, 0), Column("Difference", True, 4), Column("95 % CI", True),
               Column("p (Holm)", True, 4, help="corrected over all tests of the metric", least=1e-4),
               Column("p", True, 4, least=1e-4, extra=True),
               Column("Rank-biserial", True, 2, help="1: first larger in every patient; −1: second"),
               Column("Cohen's d", True, 2, extra=True), Column("Larger : smaller", True),
               Column("Better on the mean"))  # fmt: skip
    rows_of_table = [_contrast_row(one) for one in found.contrasts if one.metric in shown]
    lead = (
        "First less second, over the same cases: the dot is the mean, the line its 95 % interval over patients. A "
        "difference is shown by a small corrected p; a large one shows nothing, least of all that two are equal."
    )
    body = join(tag("div", *plots, class_="plots"), table(columns, rows_of_table, "Differences and tests"))
    return Section("differences", "Differences", body, lead)


def _contrast_row(one: Contrast) -> tuple[Cell, ...]:
    found = one.difference
    known = math.isfinite(found.ci_low) and math.isfinite(found.ci_high)
    interval = f"{number(found.ci_low, 4)} to {number(found.ci_high, 4)}" if known else UNDEFINED
    sides = f"{found.first_larger} : {found.second_larger}"
    return (one.first, one.second, _measured(one.metric), one.structure, found.patients, found.mean, interval,
            one.p_holm, found.p, found.rank_biserial, found.cohens_d, sides, one.winner or UNDEFINED)  # fmt: skip


def _case_table(found: SideBySide, pictures: Sequence[BrowserCase] = ()) -> Markup:
    """Return every value of every case, the entries side by side; the first metric is shown at once."""
    shown = shown_columns(found)
    metrics = [*shown, *(name for name in found.metrics if name not in shown)]
    has_sites = any(row.site for row, _ in found.rows())
    columns = [Column("Case"), *([Column("Mark", help="of the browser of slices")] if pictures else [])]
    columns += [*([Column("Site", choice=True)] if has_sites else []), Column("Structure", choice=True)]
    said = "largest less smallest of the entries"
    columns.append(Column(f"Spread of {term(metrics[0]).name}", True, 3, help=said, order="descending"))
    for place, metric in enumerate(metrics):
        form = term(metric)
        columns += [
            Column(f"{form.title}: {entry.label}", True, form.decimals, extra=place > 0) for entry in found.entries
        ]
    rows: list[tuple[float, tuple[Cell, ...]]] = []
    for row, each in found.rows():
        first = [value for one in each if math.isfinite(value := one.values[metrics[0]])]
        name = thumbnail(pictures, row.case) if pictures else row.case
        mark = (tag("span", "", data_mark_of=row.case),) if pictures else ()
        names = (name, *mark, row.site, row.structure) if has_sites else (name, *mark, row.structure)
        spread = max(first) - min(first) if len(first) > 1 else math.nan
        rows.append((spread, (*names, spread, *(one.values[metric] for metric in metrics for one in each))))
    rows.sort(key=lambda row: (math.isnan(row[0]), -row[0]))
    drawn = table(columns, [row for _, row in rows], "Scores of every case, entries side by side")
    return join(thumbnails(pictures) if pictures else None, drawn)


def _pictures(overlays: Sequence[Overlay]) -> Section | None:
    lead = "The cases in which the entries' Dice differs most, each plane at the slice with most label."
    return Section("pictures", "Pictures", overlay_view(overlays), lead) if overlays else None


def _name(one: Contrast) -> str:
    return f"{_in_short(one.first)} − {_in_short(one.second)}"


def _in_short(label: str) -> str:
    """Return a label that fits beside another one; an oracle stays one."""
    if len(label) <= SHORT:
        return label
    word = " (oracle)" if label.endswith(" (oracle)") else ""
    return f"{label[: SHORT - 1 - len(word)]}…{word}"


def _measured(metric: str) -> str:
    """Return the metric's title; of errors that may have either sign it is their size that is compared."""
    title = term(metric).title
    return f"|{term(metric).name}|{title.removeprefix(term(metric).name)}" if better(metric) == "nearer 0" else title


def _scaled(value: float | None, factor: float, decimals: int) -> str | None:
    return None if value is None else number(value * factor, decimals)
