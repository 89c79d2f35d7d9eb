"""The report of a run, or of an evaluation alone: scores, pictures, cases, curves, plan, recipe, facts: one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuraxis.evaluation.notes import left_out_on_purpose
from neuraxis.evaluation.scores import Scores
from neuraxis.files import write_text
from neuraxis.report import score_tables
from neuraxis.report.agreement.sections import agreement_sections
from neuraxis.report.browser.slices import BrowserCase
from neuraxis.report.browser.view import browser_section
from neuraxis.report.curves import Row, panels
from neuraxis.report.markup import join, tag
from neuraxis.report.overlay_view import overlay_view
from neuraxis.report.overlays import Overlay
from neuraxis.report.page import Column, Head, Section, bullets, facts_list, figure, table, write_page
from neuraxis.report.plots import bar_plot, curve_plot, legend, strip_plot
from neuraxis.report.previews.section import Previews, previews_section

SELECTED = "Selected on these cases: they helped to choose something about the model, so expect less on new ones."
MOST_BARS = 8


@dataclass(frozen=True, eq=False)
class RunReport:
    """Everything that the report shows; what is empty leaves its section out.

    Attributes:
        title: heading, such as "hippocampus, fold 0".
        scores: per case and structure.
        dataset: what was learned from and scored on: name to value, shown as one line of facts.
        reasons: the plan in words: recipe key to its reason.
        recipe_toml: the resolved recipe.
        curves: rows of curves.csv (step, loss, learning_rate, validation_dice, ...); columns may be missing in a row.
        overlays: cases to show, best first.
        facts: versions, hashes, seeds, times.
        notes: further sentences for the reader, beside those of the scores.
        profile: rows of profile.csv (operation, calls, milliseconds, device_milliseconds, share), the longest first.
        previews: what the training showed on its way.
        further: sections of their own, shown after the scores.
        browser: cases to go through slice by slice, the worst first.
        browser_left_out: number of cases for which the browser has no room.
    """

    title: str
    scores: Scores
    dataset: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    recipe_toml: str = ""
    curves: Sequence[Row] = ()
    overlays: tuple[Overlay, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    profile: Sequence[Mapping[str, Any]] = ()
    previews: Previews | None = None
    further: tuple[Section, ...] = ()
    browser: tuple[BrowserCase, ...] = ()
    browser_left_out: int = 0


def write_run_report(content: RunReport, path: Path, overwrite: bool = True) -> None:
    """Write the report as one HTML file that needs no network and no file beside it.

    Raises:
        UsageError: the file exists and `overwrite` is false.
    """
    write_text(Path(path), report_html(content), overwrite)


def report_html(content: RunReport) -> str:
    """Return the report as HTML."""
    facts = {name: _in_short(value) for name, value in content.dataset.items()}
    scores, pictures = content.scores, content.browser
    browser = browser_section(pictures, content.title, content.browser_left_out)
    sections = (_scores(content), *content.further, _distributions(scores), _overlays(content.overlays),
                _cases(scores, pictures), browser, *agreement_sections(scores), _curves(content.curves),
                previews_section(content.previews), _profile(content.profile), _plan(content.reasons),
                _recipe(content.recipe_toml), _facts(content.facts), _notes(content))  # fmt: skip
    return write_page(Head(content.title, facts=facts), [section for section in sections if section is not None])


def choose_cases(scores: Scores, metric: str = "dice") -> dict[str, str]:
    """Return the best, the median and the worst case by the mean of a metric over structures: caption to case id.

    Fewer come back where there are fewer cases; without a defined value none does.
    """
    by_case: dict[str, list[float]] = {}
    for structure in scores.structures():
        for case, value in scores.values(metric, structure).items():
            if math.isfinite(value):
                by_case.setdefault(case, []).append(value)
    ranked = sorted(by_case, key=lambda case: (-sum(by_case[case]) / len(by_case[case]), case))
    places = {"Best": 0, "Median": len(ranked) // 2, "Worst": len(ranked) - 1}
    if len(ranked) == 1:
        places = {"The only case": 0}
    chosen: dict[str, str] = {}
    for name, place in places.items():
        if ranked and ranked[place] not in chosen.values():
            mean = sum(by_case[ranked[place]]) / len(by_case[ranked[place]])
            chosen[f"{name}, {score_tables.term(metric).title} {mean:.3f}"] = ranked[place]
    return chosen


def _scores(content: RunReport) -> Section | None:
    scores = content.scores
    if not scores.rows:
        return None
    warning = tag("p", SELECTED, class_="warning") if scores.selected_on_these_cases else None
    fewer = None
    if scores.left_out:
        fewer = tag("p", left_out_on_purpose(scores.left_out, len(scores.cases())), class_="warning")
    return Section("scores", "Scores", join(warning, fewer, score_tables.verdict(scores)))


def _distributions(scores: Scores) -> Section | None:
    plots = []
    for metric in score_tables.shown_metrics(scores):
        form = score_tables.term(metric)
        if form.plotted and scores.structures():
            shown = score_tables.structures_in(scores, metric)
            values = {name: scores.values(metric, structure) for name, structure in shown.items()}
            plots.append(figure(strip_plot(values, form.title, form.limits), form.title))
    lead = (
        "Each dot is a case; point at it for its name. The box spans the quartiles, its line is the median, "
        "the diamond the mean."
    )
    return Section("distributions", "Distributions", tag("div", *plots, class_="plots"), lead) if plots else None


def _overlays(overlays: Sequence[Overlay]) -> Section | None:
    lead = (
        "Each plane at the slice with most label, cut to the labels and a margin. The patient's right is left. "
        "One picture of a pair has the outlines, the other shows where they agree."
    )
    return Section("pictures", "Pictures", overlay_view(overlays), lead) if overlays else None


def _cases(scores: Scores, pictures: Sequence[BrowserCase]) -> Section | None:
    lead = (
        "The worst come first. Press a heading to sort, again to turn the order. Undefined values are shown as a dash "
        "and stay last."
    )
    if pictures:
        lead += " A case's name opens it below."
    return Section("cases", "Cases", score_tables.case_table(scores, pictures), lead) if scores.rows else None


def _curves(rows: Sequence[Row]) -> Section | None:
    plots = [
        figure(join(curve_plot(panel), legend([curve.name for curve in panel.curves])), panel.title)
        for panel in panels(rows)
    ]
    return Section("curves", "Training", tag("div", *plots, class_="plots")) if plots else None


def _profile(rows: Sequence[Mapping[str, Any]]) -> Section | None:
    """Show what a training step's time goes to, on the device where there is one, else on the processor."""
    if not rows:
        return None
    on_device = any(float(row["device_milliseconds"]) > 0 for row in rows)
    columns = [Column("Operation"), Column("Calls", True, 1), Column("ms", True, 2), Column("Share (%)", True, 1)]
    columns += [Column("ms on the device", True, 2)] if on_device else []
    cells = [
        [row["operation"], float(row["calls"]), float(row["milliseconds"]), 100 * float(row["share"]),
         *([float(row["device_milliseconds"])] if on_device else [])]
        for row in rows
    ]  # fmt: skip
    column = "device_milliseconds" if on_device else "milliseconds"
    longest = sorted(rows, key=lambda row: -float(row[column]))[:MOST_BARS]
    title = f"Milliseconds of a training step{' on the device' if on_device else ''}"
    bars = figure(bar_plot({str(row["operation"]): float(row[column]) for row in longest}, "ms"), title)
    lead = join(
        "The mean of some steps after the warm-up, under torch's profiler, which slows small operations. In full: ",
        tag("code", "profile/trace.json"), ", for a trace viewer such as Perfetto.",
    )  # fmt: skip
    bars = tag("div", bars, class_="plots")
    return Section("profile", "Time of a step", join(bars, table(columns, cells, "Time by operation")), lead)


def _plan(reasons: Mapping[str, str]) -> Section | None:
    lead = join("What was decided from the data, and why. Set a key by hand with ", tag("code", "--set key=value"), ".")
    return Section("plan", "Plan", facts_list(reasons, "reasons"), lead) if reasons else None


def _recipe(recipe: str) -> Section | None:
    if not recipe.strip():
        return None
    fold = tag("details", tag("summary", "The resolved recipe (TOML)"), tag("pre", tag("code", recipe), tabindex=0))
    lead = join("Every decision of the run. Saved as a file, ", tag("code", "--recipe FILE"), " repeats it.")
    return Section("recipe", "Recipe", fold, lead)


def _facts(facts: Mapping[str, str]) -> Section | None:
    return Section("facts", "Facts", facts_list(facts)) if facts else None


def _notes(content: RunReport) -> Section | None:
    notes = (*content.scores.notes, *content.notes)
    return Section("notes", "Notes", bullets(notes)) if notes else None


def _in_short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_in_short(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_in_short(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


__all__ = ["Overlay", "RunReport", "choose_cases", "report_html", "write_run_report"]
