"""Tests of `neuraxis.report.page`: what it writes, and what its script does in a browser."""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neuraxis.report.markup import tag
from neuraxis.report.page import Column, Head, Section, grouped_table, number, table, write_page

Reader = Callable[[str], Any]
COLUMNS = (
    Column("Case"),
    Column("Structure", choice=True),
    Column("Dice", numeric=True),
    Column("IoU", True, extra=True),
)
ROWS = (
    ("case_2", "b", 0.5, 0.1),
    ("case_10", "a", math.nan, 0.2),
    ("case_1", "a", 0.75, 0.3),
    ("Case_3", "b", -math.inf, 0.4),
)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr")  # fmt: skip
PROBE = """<script>
const order = () => Array.from(document.querySelectorAll("tbody tr"), (row) => row.cells[0].textContent).join(" ");
const seen = {}, buttons = document.querySelectorAll("thead button");
const states = () => Array.from(document.querySelectorAll("thead th"), (head) => head.getAttribute("aria-sort"));
const said = () => document.querySelector("output").textContent;
buttons[2].click(); seen.up = order(); seen.upStates = states();
buttons[2].click(); seen.down = order(); seen.downStates = states();
buttons[0].click(); seen.names = order(); seen.namesStates = states();
const box = document.querySelector("input[type=search]"), menu = document.querySelector("select");
box.value = "CASE_1"; box.dispatchEvent(new Event("input")); seen.searched = said();
box.value = "0.75"; box.dispatchEvent(new Event("input")); seen.numbersAreNotSearched = said();
box.value = ""; menu.value = "b"; menu.dispatchEvent(new Event("change")); seen.chosen = said();
seen.shown = Array.from(document.querySelectorAll("tbody tr"), (row) => row.offsetHeight > 0);
const width = () => document.querySelectorAll("thead th")[3].offsetWidth;
seen.before = width(); const every = document.querySelector("[data-extra]"); every.click(); seen.after = width() > 0;
document.body.append(Object.assign(document.createElement("pre"), {id: "probe", textContent: JSON.stringify(seen)}));
</script>"""


def page(body: str | None = None, **head: Any) -> str:
    content = table(COLUMNS, ROWS, "All cases") if body is None else tag("p", body)
    return write_page(Head(**({"title": "A run"} | head)), [Section("cases", "Cases", content)])


def in_browser(chromium: str, file: Path) -> tuple[str, str]:
    """Open a file in Chromium and return the document after its scripts, and what the console said."""
    command = [chromium, *FLAGS, "--dump-dom", f"--user-data-dir={file.parent / 'profile'}", file.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ran.stdout, "\n".join(line for line in ran.stderr.splitlines() if "CONSOLE" in line)


def test_the_page_is_well_formed_and_names_its_language_and_title(read_html: Reader) -> None:
    root = read_html(page())
    assert page().startswith("<!doctype html>\n<html lang=")
    assert root.one("html").attributes["lang"] == "en"
    assert root.one("title").text() == root.one("h1").text() == "A run"


def test_the_page_names_no_address_outside_itself(read_html: Reader) -> None:
    text = page(body="see https://example.org")
    addresses = [
        value
        for element in read_html(text).walk()
        for name, value in element.attributes.items()
        if name in {"href", "src", "action", "srcset", "data", "poster", "formaction", "cite"}
    ]
    assert addresses == ["#content", "#cases"]
    style = read_html(text).one("style").text()
    assert not re.search(r"url\(|@import|//[a-z]", style)
    script = read_html(text).one("script").text()
    assert not re.search(r"fetch|XMLHttpRequest|https?:|\bimport\b|eval|innerHTML", script)


def test_the_policy_allows_only_our_own_style_and_script(read_html: Reader) -> None:
    policy = read_html(page()).one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_no_element_bears_a_style_which_the_policy_would_refuse(read_html: Reader) -> None:
    assert [one.name for one in read_html(page()).walk() if "style" in one.attributes] == []


def test_what_the_data_bring_stays_text(read_html: Reader) -> None:
    evil = "</script><script>alert(1)</script>"
    columns = (Column(evil, choice=True), Column("x", numeric=True, help=evil))
    content = table(columns, [(evil, 1.0), ("b", 2.0)], evil)
    text = write_page(Head(evil, evil, {evil: evil}), [Section("a", evil, content, evil)])
    root = read_html(text)
    assert len(root.all("script")) == 1
    assert root.one("h1").text() == evil
    assert root.all("tbody")[0].all("th")[0].text() == evil
    assert root.all("option")[1].attributes["value"] == evil


def test_the_page_says_that_it_is_for_research_alone() -> None:
    assert page().count("Research use only, not a medical device.") == 2


def test_every_section_can_be_reached_and_is_named(read_html: Reader) -> None:
    root = read_html(write_page(Head("a"), [Section("one", "One", tag("p")), Section("two", "Two", tag("p"))]))
    assert [link.attributes["href"] for link in root.one("nav").all("a")] == ["#one", "#two"]
    for section in root.all("section"):
        assert root.one("h2", id=section.attributes["aria-labelledby"])


def test_cells_keep_the_full_value_and_undefined_ones_have_none(read_html: Reader) -> None:
    root = read_html(table(COLUMNS, [("a", "x", 0.12345678, math.nan), ("b", "x", math.inf, -0.0)], "t"))
    cells = [(one.text(), one.attributes.get("data-value")) for one in root.all("td", class_="n")]
    assert cells == [("0.123", "0.12345678"), ("–", None), ("∞", "Infinity"), ("0.000", "-0.0")]


def test_a_menu_is_offered_only_where_there_is_a_choice(read_html: Reader) -> None:
    assert [one.text() for one in read_html(table(COLUMNS, ROWS, "t")).all("option")] == ["all", "a", "b"]
    assert read_html(table(COLUMNS, ROWS[:1], "t")).all("select") == []


def test_groups_head_their_rows(read_html: Reader) -> None:
    root = read_html(grouped_table((Column("A"), Column("B", True)), {"<g>": [("x", "1")], "h": [("y", "2")]}, "t"))
    assert [one.text() for one in root.all("th", scope="rowgroup")] == ["<g>", "h"]
    assert [one.text() for one in root.all("th", scope="row")] == ["x", "y"]


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(0.8866, 3, "0.887"), (-1.25, 1, "−1.2"), (-0.0001, 2, "0.00"), (12.0, 0, "12"), (-math.inf, 2, "−∞")],
)
def test_numbers_are_written_for_reading(value: float, decimals: int, text: str) -> None:
    assert number(value, decimals) == text


@pytest.mark.browser
def test_the_script_runs_under_the_policy_without_a_complaint(chromium: str, tmp_path: Path, read_html: Reader) -> None:
    (tmp_path / "page.html").write_text(page(), encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html")
    assert console == ""
    assert 'data-ready="yes"' in document
    root = read_html(document)
    assert [one.text() for one in root.one("thead").all("button")] == ["Case", "Structure", "Dice", "IoU"]
    assert "hidden" not in root.one("div", class_="filters").attributes


@pytest.mark.browser
def test_a_script_that_is_not_ours_does_not_run(chromium: str, tmp_path: Path) -> None:
    changed = page().replace("</body>", "<script>document.body.dataset.alien = 1</script></body>")
    (tmp_path / "page.html").write_text(changed, encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html")
    assert 'data-ready="yes"' in document
    assert "data-alien" not in document
    assert "Content Security Policy" in console


@pytest.mark.browser
def test_rows_are_sorted_and_filtered(chromium: str, tmp_path: Path, read_html: Reader) -> None:
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page())
    (tmp_path / "page.html").write_text(open_page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html")
    assert console == ""
    assert json.loads(read_html(document).one("pre", id="probe").text()) == {
        "up": "Case_3 case_2 case_1 case_10",
        "upStates": [None, None, "ascending", None],
        "down": "case_1 case_2 Case_3 case_10",
        "downStates": [None, None, "descending", None],
        "names": "case_1 case_2 Case_3 case_10",
        "namesStates": ["ascending", None, None, None],
        "searched": "2 of 4 rows",
        "numbersAreNotSearched": "0 of 4 rows",
        "chosen": "2 of 4 rows",
        "shown": [False, True, True, False],
        "before": 0,
        "after": True,
    }
