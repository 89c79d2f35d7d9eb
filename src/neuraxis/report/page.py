"""One HTML file that needs nothing else: no network, no folder beside it, no server.

Style and script stand inside. A content security policy allows exactly these two by their hashes and images as data,
so that nothing a dataset brings can run or load anything.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from neuraxis.dataset.prediction import DISCLAIMER
from neuraxis.report.markup import Child, Markup, tag

Cell = str | float | int
UNDEFINED = "\u2013"
MINUS = "\u2212"
TALL_ROWS = 40


@dataclass(frozen=True)
class Section:
    """One part of a page.

    Attributes:
        id: its anchor, in lower case.
        title: its heading and its entry in the navigation.
        body: what stands below the heading.
        lead: one or two sentences below the heading, text or markup.
    """

    id: str
    title: str
    body: Markup
    lead: Child = None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        numeric: right-aligned and sorted by value; cells are numbers.
        decimals: how numbers are rounded; the full value is kept for sorting.
        choice: offers a menu with the values that occur.
        extra: hidden until the reader asks for every column.
        help: a tooltip for the heading.
        least: values from 0 up to this are shown as below it, but sorted by themselves.
        order: "ascending" or "descending" where the rows come sorted by it.
    """

    title: str
    numeric: bool = False
    decimals: int = 3
    choice: bool = False
    extra: bool = False
    help: str = ""
    least: float = 0.0
    order: str = ""


@dataclass(frozen=True)
class Head:
    """What stands above the sections: a small line, the title, and facts in one row."""

    title: str
    kicker: str = "neuraxis report"
    facts: Mapping[str, str] = field(default_factory=dict)


def write_page(head: Head, sections: Sequence[Section]) -> str:
    """Return the whole page as one string of HTML."""
    style = "\n".join(map(_asset, ("page.css", "browser/browser.css", "explaining/heat.css")))
    script = "\n".join(map(_asset, ("page.js", "browser/browser.js", "explaining/heat.js")))
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    header = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", head.title),
        tag("style", Markup(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", class_="skip", href="#content"),
        _banner(head),
        tag("div", _navigation(sections), _main(sections), class_="frame"),
        tag("footer", tag("p", tag("strong", DISCLAIMER)), tag("p", "Made by neuraxis. This page loads nothing.")),
        tag("script", Markup(script)),
    )
    return f"<!doctype html>\n{tag('html', header, body, lang='en')}\n"


def number(value: float, decimals: int = 3) -> str:
    """Return a number for reading: fixed decimals, a true minus sign, a dash where it is undefined.

    >>> number(0.88649), number(-1.0, 1) == MINUS + "1.0", number(float("nan")) == UNDEFINED
    ('0.886', True, True)
    """
    if math.isnan(value):
        return UNDEFINED
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.removeprefix("-")
    return text.replace("-", MINUS)


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], caption: str) -> Markup:
    """Return a table that the reader can sort and filter, by what the page's script adds to it.

    Args:
        columns: one for each cell of a row; the first heads its row.
        rows: text, or numbers in numeric columns (NaN is shown as a dash and sorted last; text there stays as it is).
        caption: says what the table holds.
    """
    body = tag("tbody", *(_row(columns, row) for row in rows))
    scroller = _scroller(columns, [body], caption, "scroll tall")
    return tag("div", _filters(columns, rows), scroller, class_="cases", data_table=True)


def small_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], caption: str) -> Markup:
    """Return a table that is short enough to be read as it is, without a filter."""
    return _scroller(columns, [tag("tbody", *(_row(columns, row) for row in rows))], caption, "scroll")


def grouped_table(columns: Sequence[Column], groups: Mapping[str, Sequence[Sequence[Cell]]], caption: str) -> Markup:
    """Return a table of groups of rows, each under its own heading; a long one scrolls in a window of its own."""
    bodies = []
    for name, rows in groups.items():
        heading = tag("tr", tag("th", name, colspan=len(columns), scope="rowgroup"), class_="group")
        bodies.append(tag("tbody", heading, *(_row(columns, row) for row in rows)))
    is_long = sum(len(rows) for rows in groups.values()) > TALL_ROWS
    return _scroller(columns, bodies, caption, "scroll tall" if is_long else "scroll")


def facts_list(facts: Mapping[str, object], class_: str = "facts") -> Markup:
    """Return names and values as a definition list."""
    lines = (tag("div", tag("dt", name), tag("dd", str(value))) for name, value in facts.items())
    return tag("dl", *lines, class_=class_)


def bullets(lines: Sequence[str]) -> Markup:
    """Return sentences as a list."""
    return tag("ul", *(tag("li", line) for line in lines), class_="notes")


def figure(content: Markup, caption: Child) -> Markup:
    """Return a plot with its caption above it."""
    return tag("figure", tag("figcaption", caption), content, class_="plot")


def _banner(head: Head) -> Markup:
    return tag(
        "header",
        tag("p", head.kicker, class_="kicker"),
        tag("h1", head.title),
        facts_list(head.facts, "chips") if head.facts else None,
        tag("p", DISCLAIMER, class_="disclaimer"),
    )


def _navigation(sections: Sequence[Section]) -> Markup:
    links = (tag("li", tag("a", section.title, href=f"#{section.id}")) for section in sections)
    return tag("nav", tag("ul", *links), aria_label="Sections")


def _main(sections: Sequence[Section]) -> Markup:
    return tag("main", *(_section(section) for section in sections), id="content")


def _section(section: Section) -> Markup:
    heading = tag("h2", section.title, id=f"{section.id}-title")
    lead = tag("p", section.lead, class_="lead") if section.lead else None
    return tag("section", heading, lead, section.body, id=section.id, aria_labelledby=f"{section.id}-title")


def _scroller(columns: Sequence[Column], bodies: Sequence[Markup], caption: str, class_: str) -> Markup:
    head = tag("thead", tag("tr", *(_heading(column) for column in columns)))
    content = tag("table", tag("caption", caption), head, *bodies)
    return tag("div", content, class_=class_, tabindex=0, role="region", aria_label=caption)


def _row(columns: Sequence[Column], row: Sequence[Cell]) -> Markup:
    return tag("tr", *(_cell(column, cell, at) for at, (column, cell) in enumerate(zip(columns, row, strict=True))))


def _heading(column: Column) -> Markup:
    kind = "number" if column.numeric else "text"
    said = column.help or None
    order = column.order or None
    return tag("th", column.title, scope="col", class_=_class(column), data_sort=kind, title=said, aria_sort=order)


def _cell(column: Column, cell: Cell, at: int) -> Markup:
    if column.numeric and not isinstance(cell, str):
        value = float(cell)
        if not math.isfinite(value):
            why = "undefined" if math.isnan(value) else "infinite"
            plain = None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return tag("td", number(value), class_=_class(column), title=why, data_value=plain)
        below = 0 <= value < column.least
        shown = f"< {number(column.least, column.decimals)}" if below else number(value, column.decimals)
        return tag("td", shown, class_=_class(column), data_value=repr(value))
    return tag("th", cell, scope="row") if at == 0 else tag("td", cell, class_=_class(column))


def _class(column: Column) -> str | None:
    return " ".join(["n"] * column.numeric + ["x"] * column.extra) or None


def _filters(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Markup:
    menus = []
    for at, column in enumerate(columns):
        values = sorted({str(row[at]) for row in rows}) if column.choice else []
        if len(values) > 1:
            options = (tag("option", value, value=value) for value in values)
            menu = tag("select", tag("option", "all", value=""), *options, data_column=at)
            menus.append(tag("label", tag("span", column.title), menu))
    if any(column.extra for column in columns):
        box = tag("input", type="checkbox", data_extra=True)
        menus.append(tag("label", box, tag("span", "every column"), class_="box-label"))
    search = tag("input", type="search", placeholder="part of a name", autocomplete="off")
    count = tag("output", f"{len(rows)} rows", aria_live="polite")
    return tag("div", tag("label", tag("span", "Filter"), search), *menus, count, class_="filters", hidden=True)


@functools.cache
def _asset(name: str) -> str:
    return files("neuraxis.report").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
