"""Tests of the slice browser: what stands in the page, and what its script does in Chromium."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuraxis.evaluation.scores import Scores
from neuraxis.report.browser.slices import browser_case
from neuraxis.report.browser.view import browser_section
from neuraxis.report.evaluation_report import RunReport, report_html
from neuraxis.report.overlays import Overlay
from neuraxis.report.page import Head, write_page

Reader = Callable[[str], Any]
EVIL = "</script><img src=x onerror=alert(1)>\"'&"
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr",
         "--virtual-time-budget=30000")  # fmt: skip
# The page's clock runs ahead of what is read and decoded, so the probes wait for what shall happen, not for a time.
UNTIL = """
const tick = () => new Promise((done) => {
  const line = new MessageChannel(); line.port1.onmessage = done; line.port2.postMessage(0);
});
const until = async (check) => { for (let turn = 0; turn < 300000 && !check(); turn++) await tick(); };
"""
PROBE = (
    f"""<script>{UNTIL}</script>"""
    + """<script>addEventListener("load", async () => {
const root = document.querySelector("[data-browser]"), seen = {};
const part = (name) => root.querySelector(`[data-${name}]`);
await until(() => root.dataset.ready === "yes");
const canvas = part("canvas");
const at = (x, y) => [x * canvas.width, y * canvas.height, 1, 1];
const colour = (x, y) => Array.from(canvas.getContext("2d").getImageData(...at(x, y)).data);
const drawn = async (slice) => {
  await until(() => root.dataset.drawn === slice);
  return root.dataset.drawn;
};
const press = (key, place = canvas) => place.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const strength = (x, y) => Math.max(...colour(x, y).slice(0, 3)) - Math.min(...colour(x, y).slice(0, 3));
seen.first = root.dataset.drawn;
part("opacity").value = 100; part("opacity").dispatchEvent(new Event("input"));
await until(() => colour(0.5, 0.5)[0] === 0);
seen.found = colour(0.5, 0.5);
part("opacity").value = 0; part("opacity").dispatchEvent(new Event("input"));
await until(() => !strength(0.5, 0.5));
seen.clear = strength(0.5, 0.5);
part("opacity").value = 60;
press("ArrowUp"); seen.up = await drawn("case_6 5 difference");
press("b"); seen.pressed = Array.from(part("marks").querySelectorAll("[aria-pressed=true]"), (one) => one.value);
press("j"); seen.next = await drawn("case_5 4 difference");
press("g"); press("o"); seen.outlines = await drawn("case_5 4 outlines");
press("k"); press("c"); press("c"); seen.unmarked = part("tally").textContent;
press("b"); seen.tally = part("tally").textContent;
press("g", part("case")); seen.notInMenus = part("tally").textContent;
const cells = document.querySelectorAll("[data-mark-of]");
seen.table = Array.from(cells, (one) => `${one.dataset.markOf} ${one.textContent}`);
let written = null;
URL.createObjectURL = (blob) => { written = blob; return "#"; };
part("export").click(); seen.exported = JSON.parse(await written.text());
press("u");
const chosen = new DataTransfer();
const content = JSON.stringify({ ...seen.exported, marks: { case_2: "check", alien: "bad" } });
chosen.items.add(new File([content], "marks.json"));
part("read").files = chosen.files; part("read").dispatchEvent(new Event("change"));
await until(() => part("tally").textContent.includes("1 check"));
seen.read = part("tally").textContent;
document.querySelector("[data-open=case_2]").click(); seen.opened = await drawn("case_2 4 outlines");
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(seen) }));
});</script>"""
)


def in_browser(chromium: str, file: Path, *flags: str) -> tuple[str, str]:
    """Open a file in Chromium and return the document after its scripts, and what the console said."""
    command = [chromium, *FLAGS, *flags, "--dump-dom", f"--user-data-dir={file.parent / 'profile'}", file.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    return ran.stdout, "\n".join(line for line in ran.stderr.splitlines() if "CONSOLE" in line)


def opened(page: str, *scripts: str) -> str:
    """Return a page without its policy and with further scripts."""
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    return without.replace("</body>", "".join(scripts) + "</body>")


@pytest.fixture
def page(scores: Scores, overlay: Overlay) -> str:
    """A report whose six cases can be gone through."""
    cases = tuple(
        browser_case([replace(overlay, case=case, caption=f"Dice of {case}")], 200_000) for case in scores.cases()[::-1]
    )
    return report_html(RunReport("A & B <i>", scores, browser=cases))


def test_the_page_is_well_formed_and_every_case_has_its_picture(page: str, read_html: Reader) -> None:
    root = read_html(page)
    links = [one for one in root.walk() if "data-open" in one.attributes]
    assert [one.attributes["data-open"] for one in links][:2] == ["case_6", "case_6"] or len(links) == 12
    pictures = {
        one.attributes["id"] for one in root.all("image") if (one.attributes.get("id") or "").startswith("thumb-")
    }
    assert {f"#{name}" for name in pictures} == {one.all("use")[0].attributes["href"] for one in links}


def test_the_worst_cases_come_first_in_the_table(page: str, read_html: Reader) -> None:
    rows = [row for row in read_html(page).one("section", id="cases").all("tr") if row.all("td")]
    values = [row.all("td")[3].text() for row in rows]
    assert values == sorted(values)
    assert values[0] == "0.000"


def test_cases_without_room_are_said(overlay: Overlay) -> None:
    section = browser_section([browser_case([overlay], 10_000)], "A run", left_out=7)
    assert section is not None
    assert "7 further cases" in str(section.lead)
    assert browser_section([], "A run") is None


def test_names_cannot_leave_the_data_of_the_page(overlay: Overlay, read_html: Reader) -> None:
    evil = browser_case([replace(overlay, case=EVIL, caption=EVIL)], 100_000)
    section = browser_section([evil], EVIL)
    assert section is not None
    root = read_html(str(section.body))
    data = next(one for one in root.all("script"))
    assert json.loads(data.text())["cases"][0]["id"] == EVIL
    assert not root.all("img")


@pytest.mark.browser
def test_slices_cases_views_and_marks_follow_the_keys(
    chromium: str, tmp_path: Path, page: str, read_html: Reader
) -> None:
    (tmp_path / "page.html").write_text(opened(page, PROBE), encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html", "--window-size=1200,900")
    assert "Uncaught" not in console
    seen = json.loads(read_html(document).one("pre", id="probe").text())
    assert seen["found"] == [0, 158, 115, 255]
    assert seen["clear"] == 0
    assert (seen["first"], seen["up"]) == ("case_6 4 difference", "case_6 5 difference")
    assert seen["pressed"] == ["bad"]
    assert (seen["next"], seen["outlines"]) == ("case_5 4 difference", "case_5 4 outlines")
    assert seen["unmarked"] == "1 good, 0 check, 0 bad, 5 without a mark"
    assert seen["tally"] == seen["notInMenus"] == "1 good, 0 check, 1 bad, 4 without a mark"
    assert {"case_6 bad", "case_5 good", "case_1 "} <= set(seen["table"])
    assert seen["exported"] == {
        "format": "neuraxis-marks-1",
        "report": "A & B <i>",
        "marks": {"case_5": "good", "case_6": "bad"},
    }
    assert seen["read"] == "0 good, 1 check, 0 bad, 5 without a mark"
    assert seen["opened"] == "case_2 4 outlines"


@pytest.mark.browser
def test_several_entries_are_turned_through(chromium: str, tmp_path: Path, overlay: Overlay, read_html: Reader) -> None:
    perfect = replace(overlay, predicted=overlay.reference, caption="Dice 1")
    case = browser_case([overlay, perfect], 500_000, ["shifted", "perfect"])
    section = browser_section([case], "Two")
    assert section is not None
    probe = (
        f"<script>{UNTIL}</script>"
        + """<script>addEventListener("load", async () => {
    const root = document.querySelector("[data-browser]"), seen = {};
    const drawn = async (slice) => {
      await until(() => root.dataset.drawn === slice);
      return [root.dataset.drawn, root.querySelector("[data-note]").textContent];
    };
    seen.first = await drawn("case_1 4 difference shifted");
    root.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", { key: "e", bubbles: true }));
    seen.second = await drawn("case_1 4 difference perfect");
    const told = { id: "probe", textContent: JSON.stringify(seen) };
    document.body.append(Object.assign(document.createElement("pre"), told));
    });</script>"""
    )
    (tmp_path / "page.html").write_text(opened(write_page(Head("Two"), [section]), probe), encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html")
    assert "Uncaught" not in console
    assert json.loads(read_html(document).one("pre", id="probe").text()) == {
        "first": ["case_1 4 difference shifted", "Best"],
        "second": ["case_1 4 difference perfect", "Dice 1"],
    }


@pytest.mark.browser
def test_the_browser_runs_under_the_policy_without_a_complaint(chromium: str, tmp_path: Path, page: str) -> None:
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    document, console = in_browser(chromium, tmp_path / "page.html")
    assert console == ""
    (opening,) = re.findall(r"<div[^>]* data-browser[^>]*>", document)
    assert "hidden" not in opening  # its script has run
