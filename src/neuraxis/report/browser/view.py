"""The slice browser as HTML: controls, a canvas, and what the page's script draws on it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from neuraxis.evaluation.marks import FORMAT, MARKS
from neuraxis.report.browser.slices import BrowserCase
from neuraxis.report.markup import Markup, join, tag
from neuraxis.report.page import Section

VIEWS = {
    "difference": "Difference: found, missed, false",
    "outlines": "Outlines of both",
    "reference": "Reference",
    "prediction": "Prediction",
    "image": "Image alone",
}
KEYS = {
    "↑ ↓": "slice",
    "← → or J K": "case",
    "D O R P I": "what is shown",
    "G C B": "mark good, check, bad",
    "U": "no mark",
    "E": "next entry",
}
ID = "browse"


def browser_section(
    cases: Sequence[BrowserCase], title: str, left_out: int = 0, order: str = "the worst first"
) -> Section | None:
    """Return the section; None without cases.

    Args:
        cases: in the order in which they are gone through.
        title: of the report; the exported marks bear it.
        left_out: cases that the page has no room for; the section says so.
        order: in words.
    """
    if not cases:
        return None
    more = f" {left_out} further cases are in the table alone." if left_out else ""
    lead = join(
        f"Every case slice by slice, {order}. Marks stay in this browser; exported, they leave the bad cases out of a "
        "later evaluation: ",
        tag("code", "--exclude marks.json"),
        f".{more}",
    )
    data = {"format": FORMAT, "title": title, "cases": [case.content for case in cases]}
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
    stage = tag(
        "div",
        tag("canvas", role="img", tabindex=0, aria_label="Slice", data_canvas=True, width=640, height=640),
        *(tag("span", class_=f"end {side}", data_end=side) for side in ("left", "right", "top", "bottom")),
        class_="stage",
    )
    body = tag(
        "div",
        _bar(cases),
        tag("div", stage, _side(len(cases[0].entries) > 1), class_="browser-body"),
        tag("script", Markup(text), type="application/json", data_cases=True),
        class_="browser",
        data_browser=True,
        hidden=True,
    )
    without = tag("noscript", tag("p", "The browser of slices needs scripts, which are switched off here."))
    return Section(ID, "Browse", tag("div", without, body), lead)


def thumbnails(cases: Sequence[BrowserCase]) -> Markup:
    """Return the small pictures once, hidden, for the rows of tables to use."""
    pictures = (
        tag("image", id=f"thumb-{place}", href=case.thumbnail, width=case.thumbnail_size[0],
            height=case.thumbnail_size[1])
        for place, case in enumerate(cases)
    )  # fmt: skip
    return tag("svg", tag("defs", *pictures), width=0, height=0, aria_hidden="true", class_="store")


def thumbnail(cases: Sequence[BrowserCase], id: str) -> Markup:
    """Return a case's name with its small picture, which leads to the browser; the name alone where there is none."""
    place = next((place for place, case in enumerate(cases) if case.id == id), None)
    if place is None:
        return tag("span", id)
    width, height = cases[place].thumbnail_size
    picture = tag(
        "svg", tag("use", href=f"#thumb-{place}"), viewBox=f"0 0 {width} {height}", class_="thumb", aria_hidden="true"
    )
    return tag("a", picture, tag("span", id), href=f"#{ID}", data_open=id, class_="case-link")


def _bar(cases: Sequence[BrowserCase]) -> Markup:
    options = (tag("option", f"{case.id}: {case.note}", value=place) for place, case in enumerate(cases))
    views = (tag("option", name, value=view) for view, name in VIEWS.items())
    entries = (tag("option", name, value=place) for place, name in enumerate(cases[0].entries))
    return tag(
        "div",
        tag("label", tag("span", "Case"), tag("select", *options, data_case=True)),
        tag("label", tag("span", "Entry"), tag("select", *entries, data_entry=True))
        if len(cases[0].entries) > 1
        else None,
        tag("label", tag("span", "Show"), tag("select", *views, data_view=True)),
        tag("label", tag("span", "Slice"), tag("input", type="range", min=0, max=0, value=0, data_slice=True)),
        tag("label", tag("span", "Opacity"), tag("input", type="range", min=0, max=100, value=60, data_opacity=True)),
        class_="browser-bar",
    )


def _side(several: bool) -> Markup:
    marks = (
        tag("button", mark.capitalize(), type="button", value=mark, aria_pressed="false", class_=f"mark-{mark}")
        for mark in MARKS
    )
    shown = {key: what for key, what in KEYS.items() if several or key != "E"}
    keys = (tag("div", tag("dt", key), tag("dd", what)) for key, what in shown.items())
    chosen = tag("input", type="file", accept="application/json,.json", data_read=True)
    return tag(
        "div",
        tag("h3", "", data_name=True),
        tag("p", "", data_note=True, class_="case-name"),
        tag("p", "", data_place=True, class_="case-name", aria_live="polite"),
        tag("div", *marks, role="group", aria_label="Mark of this case", class_="marks-bar", data_marks=True),
        tag("p", "", data_tally=True, class_="case-name", role="status"),
        tag("p", tag("button", "Export marks", type="button", data_export=True), class_="marks-bar"),
        tag("label", tag("span", "Read marks from a file"), chosen, class_="file"),
        tag("p", "", data_key=True, class_="legend"),
        tag("dl", *keys, class_="keys"),
        class_="browser-side",
    )
