"""Tests of `neuraxis.report.comparison.shift_page`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuraxis.evaluation.scores import Scores
from neuraxis.evaluation.shift.domains import Member, Shift, Space, compare_domains
from neuraxis.evaluation.shift.intensities import STATISTICS
from neuraxis.report.comparison.shift_page import ShiftReport, shift_html

Reader = Callable[[str], Any]
SITES = ("north", "south")
EVIL = "</script><script>alert(1)</script>"


@pytest.fixture
def shift() -> Shift:
    """Two sites of six patients, one channel and three features of a network."""
    members = [Member(f"case_{n}", SITES[n // 6], f"p{n}", "toy") for n in range(12)]
    generator = np.random.default_rng(0)
    names = tuple(f"FLAIR {name}" for name in STATISTICS)
    values = generator.normal(100, 10, (12, len(names)))
    values[6:, 0] += 100
    return compare_domains(
        members,
        [
            Space("intensities", names, values),
            Space("network features", ("a", "b", "c"), generator.normal(size=(12, 3))),
        ],
    )


def page(shift: Shift, scores: dict[str, Scores] | None = None) -> str:
    return shift_html(ShiftReport("Domain shift: toy", shift, [(1.0, 1.0, 3.0)] * 12, scores or {}))


def test_domains_distances_maps_intensities_and_cases_have_their_sections(shift: Shift, read_html: Reader) -> None:
    root = read_html(page(shift))
    assert [section.attributes["id"] for section in root.all("section")] == [
        "domains", "distances", "map-intensities", "map-network", "intensities", "cases", "notes",
    ]  # fmt: skip
    rows = [[cell.text() for cell in row.children] for row in root.one("section", id="domains").one("tbody").all("tr")]
    assert rows[1:] == [[site, "toy", "6", "6", "1 × 1 × 3"] for site in SITES]


def test_the_distance_names_the_feature_that_differs_most(shift: Shift, read_html: Reader) -> None:
    rows = read_html(page(shift)).one("section", id="distances").one("tbody").all("tr")
    first = [cell.text() for cell in rows[0].children]
    assert first[:4] == ["north", "south", "intensities", "6 and 6"]
    assert first[-2] == "FLAIR mean"
    assert len(rows) == 2


def test_every_case_is_a_mark_on_both_maps(shift: Shift, read_html: Reader) -> None:
    section = read_html(page(shift)).one("section", id="map-intensities")
    maps = section.all("figure")
    assert [len(one.all("g", class_="mark")) for one in maps] == [12, 12]
    assert "case_0 (north)" in maps[0].text()
    assert maps[0].one("figcaption").text().startswith("Principal components (")


def test_the_cases_show_a_few_features_and_hide_the_rest(shift: Shift, read_html: Reader) -> None:
    heads = read_html(page(shift)).one("section", id="cases").one("thead").all("th")
    shown = [head.text() for head in heads if "x" not in (head.attributes.get("class") or "").split()]
    assert shown == ["Case", "Domain", "FLAIR SD", "FLAIR skewness", "FLAIR median", "FLAIR share of foreground"]
    assert len(heads) == 2 + len(STATISTICS)


def test_scores_stand_by_domain_and_an_oracle_is_one_everywhere(
    shift: Shift, scores: Scores, read_html: Reader
) -> None:
    text = page(shift, {"ours": scores, "boxed (oracle)": scores})
    section = read_html(text).one("section", id="scores")
    rows = [[cell.text() for cell in row.children] for row in section.all("tbody")[0].all("tr")]
    assert rows[0] == ["ours: Dice, anterior"]
    assert [row[:3] for row in rows[1:]] == [["north", "3", "0.800"], ["south", "3", "0.500"]]
    assert rows[1][3] == "–"
    assert "boxed (oracle) used the reference to predict." in section.text()
    assert "boxed" not in text.replace("boxed (oracle)", "")


def test_what_names_bring_stays_text(shift: Shift, read_html: Reader) -> None:
    members = [replace(member, id=EVIL + member.id, domain=EVIL + member.domain) for member in shift.members]
    root = read_html(page(compare_domains(members, shift.spaces)))
    assert len(root.all("script")) == 1
    assert root.all("title")[1].text().startswith(EVIL)


@pytest.mark.browser
def test_the_page_runs_under_its_policy_without_a_complaint(chromium: str, shift: Shift, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page(shift), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--dump-dom"]
    command = [chromium, *flags, f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "page.html").as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert 'data-ready="yes"' in ran.stdout
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
