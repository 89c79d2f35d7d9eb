"""Tests of `neuraxis.report.comparison.page`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from neuraxis.evaluation.comparison.side_by_side import Entry, Expense, SideBySide, compare_scores
from neuraxis.evaluation.scores import Scores
from neuraxis.report.comparison.page import ComparisonReport, comparison_html

Reader = Callable[[str], Any]
EVIL = "</script><script>alert(1)</script>"


@pytest.fixture
def found(scores: Scores) -> SideBySide:
    """Three entries of six cases and two structures; the third is an oracle, and better."""
    worse = Scores.of(replace(row, values=row.values | {"dice": row.values["dice"] / 2}) for row in scores.rows)
    best = Scores.of(replace(row, values=row.values | {"dice": 1.0}) for row in scores.rows)
    known = Expense(5_600_000, 38.28, "40x56x40", None, 9.1)
    return compare_scores(
        [Entry("ours", scores, kind="run", expense=known), Entry("theirs", worse), Entry("boxed", best, oracle=True)]
    )


def test_an_oracle_bears_the_word_wherever_its_name_stands(found: SideBySide, read_html: Reader) -> None:
    page = comparison_html(ComparisonReport("A comparison", found))
    text = re.sub(r"\s+", " ", read_html(page).one("body").text())
    assert len(re.findall(r"boxed", page)) > 20
    assert not re.findall(r"boxed(?! \(oracle\))", page)
    assert "boxed (oracle) used the reference to predict." in text


def test_an_oracle_has_no_rank(found: SideBySide, read_html: Reader) -> None:
    table = read_html(comparison_html(ComparisonReport("A", found))).one("section", id="scores").one("table")
    rows = [[cell.text() for cell in row.children] for row in table.all("tr")[2:5]]
    assert [(row[0], *row[-3:]) for row in rows] == [
        ("ours", "1.00", "100", "1 to 1"),
        ("theirs", "2.00", "0", "2 to 2"),
        ("boxed (oracle)", "–", "–", "–"),
    ]


def test_every_case_stands_side_by_side(found: SideBySide, read_html: Reader) -> None:
    section = read_html(comparison_html(ComparisonReport("A", found))).one("section", id="cases")
    heads = [head.text() for head in section.one("thead").all("th")]
    assert heads[:7] == [
        "Case",
        "Site",
        "Structure",
        "Spread of Dice",
        "Dice: ours",
        "Dice: theirs",
        "Dice: boxed (oracle)",
    ]
    rows = [[cell.text() for cell in row.children] for row in section.one("tbody").all("tr")]
    assert len(rows) == 12
    spreads = [float(row[3]) for row in rows]
    assert spreads == sorted(spreads, reverse=True)
    assert ["case_1", "north", "anterior", "0.550", "0.900", "0.450", "1.000"] in [row[:7] for row in rows]


def test_what_is_not_known_of_the_cost_is_a_dash_and_what_nobody_knows_is_left_out(
    found: SideBySide, read_html: Reader
) -> None:
    section = read_html(comparison_html(ComparisonReport("A", found))).one("section", id="cost")
    heads = [head.text() for head in section.one("thead").all("th")]
    assert heads == ["Entry", "Dice", "Parameters (M)", "GFLOPs a window", "Window (voxels)", "Training (min)"]
    rows = [[cell.text() for cell in row.children] for row in section.one("tbody").all("tr")]
    means = [f"{entry.scores.mean('dice'):.3f}" for entry in found.entries]
    assert rows[1:3] == [["ours", means[0], "5.60", "38.28", "40x56x40", "9.1"], ["theirs", means[1], *"––––"]]
    unknown = compare_scores([replace(entry, expense=Expense()) for entry in found.entries])
    assert 'id="cost"' not in comparison_html(ComparisonReport("A", unknown))


def test_the_tests_are_in_a_table_and_their_intervals_are_drawn(found: SideBySide, read_html: Reader) -> None:
    section = read_html(comparison_html(ComparisonReport("A", found))).one("section", id="differences")
    assert len(section.one("tbody").all("tr")) == len(
        [c for c in found.contrasts if c.metric in ("dice", "hd95_mm", "volume_error_ml")]
    )
    first = [cell.text() for cell in section.one("tbody").all("tr")[0].children]
    assert first[:5] == ["ours", "theirs", "Dice", "all (mean)", "6"]
    assert first[7] == "0.2812"
    assert len(section.all("figure")) == 3
    assert len(section.all("figure")[0].all("circle")) == 3


def test_the_longest_name_of_an_oracle_is_cut_before_the_word(scores: Scores, read_html: Reader) -> None:
    name = "twenty-four signs exactly"[:24]
    found = compare_scores([Entry(name, scores, oracle=True), Entry(name[:23], scores)])
    root = read_html(comparison_html(ComparisonReport("A", found)))
    drawn = {text.text() for text in root.all("text", class_="row")}
    assert drawn == {f"{name} (oracle)", name[:23], f"twenty-four s… (oracle) − {name[:23]}"}


def test_below_five_patients_the_page_says_so(scores: Scores, read_html: Reader) -> None:
    few = Scores.of(scores.rows[:4])
    found = compare_scores([Entry("a", few), Entry("b", few)])
    root = read_html(comparison_html(ComparisonReport("A", found)))
    assert "no interval below 5 patients" in root.one("section", id="scores").text()
    assert "No test below 5 patients." in root.one("section", id="notes").text()
    row = [cell.text() for cell in root.one("section", id="differences").one("tbody").all("tr")[0].children]
    assert row[5:9] == ["0.0000", "–", "–", "–"]


def test_what_names_bring_stays_text(scores: Scores, read_html: Reader) -> None:
    found = compare_scores([Entry(EVIL, scores), Entry("b", scores)], [EVIL])
    root = read_html(comparison_html(ComparisonReport(EVIL, found, facts={EVIL: EVIL})))
    assert len(root.all("script")) == 1
    assert root.one("h1").text() == EVIL


@pytest.mark.browser
def test_the_page_runs_under_its_policy_without_a_complaint(chromium: str, found: SideBySide, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(comparison_html(ComparisonReport("A", found)), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"]
    command = [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert 'data-ready="yes"' in ran.stdout
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
