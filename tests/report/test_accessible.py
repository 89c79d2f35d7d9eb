"""Every kind of report is accessible by axe-core, no rule switched off, on three sizes of screen, light and dark."""

from __future__ import annotations

import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from neuraxis.evaluation.calibration import Reliability
from neuraxis.evaluation.comparison.learning_curve import TrainedRun, learning_curve_of
from neuraxis.evaluation.comparison.side_by_side import Entry, compare_scores
from neuraxis.evaluation.raters import RaterStanding, WilliamsIndex
from neuraxis.evaluation.scores import Scores
from neuraxis.report.agreement.sections import raters_section
from neuraxis.report.browser.slices import browser_case
from neuraxis.report.comparison.learning_page import LearningReport, learning_html
from neuraxis.report.comparison.page import ComparisonReport, comparison_html
from neuraxis.report.evaluation_report import RunReport, report_html
from neuraxis.report.overlays import Overlay
from neuraxis.report.page import Section
from neuraxis.report.score_tables import verdict

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=30000")  # fmt: skip
SIZES = {"phone": "500,900", "laptop": "1280,800", "wide": "1920,1080"}  # Chromium has no narrower window
DARK = "--blink-settings=preferredColorScheme=0"
JUDGE = """<script>axe.run(document, { resultTypes: ["violations"] }).then((found) => {
const violations = found.violations.map((one) => `${one.id}: ${one.nodes[0].html}`);
const told = { violations, passes: found.passes.length, wide: document.documentElement.scrollWidth > innerWidth,
  dark: matchMedia("(prefers-color-scheme: dark)").matches };
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(told) }));
});</script>"""


@pytest.fixture
def evaluation(scores: Scores, overlay: Overlay) -> str:
    """A report with every part that a run, an evaluation or a choice may bring."""
    said = Reliability((0,) * 7 + (10,) * 8, (0.0,) * 7 + (6.0,) * 8, (0,) * 7 + (5,) * 8, 2.0)
    lesions = {"lesions_reference": 4.0, "lesions_found": 3.0, "lesions_predicted": 3.0, "lesions_false": 1.0,
               "lesion_f1": 0.7, "loss": 0.5, "volume_ml_reference": 2.0, "volume_ml_predicted": 2.5}  # fmt: skip
    rows = [replace(row, values=row.values | lesions, reliability=said) for row in scores.rows]
    full = Scores.of(rows, selected_on_these_cases=True)
    standings = [RaterStanding("anterior", name, 6, 0.8, 0.7, 0.9, 0.8, 0.8, rank) for rank, name in enumerate("ab", 1)]
    raters = raters_section(standings, [WilliamsIndex("anterior", 6, 1.0, 0.9, 1.1)])
    again = Section("crossed", "Cross-fitted estimate", verdict(full, "Cross-fitted scores"))
    curves = [{"step": step, "loss": 1 / step, "validation_dice": 0.1 * step} for step in range(1, 9)]
    cases = tuple(browser_case([replace(overlay, case=case)], 200_000) for case in scores.cases())
    profile = [{"operation": "conv", "calls": 3, "milliseconds": 2.0, "device_milliseconds": 0, "share": 1.0}]
    content = RunReport(
        "A run", full, {"cases": 6}, {"patches.shape": "fits"}, "seed = 0\n", curves, (overlay,), {"seed": "0"},
        ("A note.",), profile, None, (again, raters), cases,
    )  # fmt: skip
    return report_html(content)


@pytest.fixture
def comparison(scores: Scores, overlay: Overlay) -> str:
    """Three entries, one of them an oracle."""
    worse = Scores.of(replace(row, values=row.values | {"dice": row.values["dice"] / 2}) for row in scores.rows)
    entries = [Entry("ours", scores), Entry("theirs", worse), Entry("boxed", scores, oracle=True)]
    names = [entry.label for entry in entries]
    cases = tuple(browser_case([replace(overlay, case=case)] * 3, 200_000, names) for case in scores.cases())
    return comparison_html(ComparisonReport("Three", compare_scores(entries), (overlay,), {"a": "b"}, cases))


@pytest.fixture
def curve(scores: Scores) -> str:
    """Two numbers of training cases, of one of which there are two seeds."""
    worse = Scores.of(replace(row, values=row.values | {"dice": row.values["dice"] / 2}) for row in scores.rows)
    runs = [TrainedRun(name, cases, cases, 0, seed, one)
            for name, cases, seed, one in (("a", 4, 0, worse), ("b", 4, 1, scores), ("c", 9, 0, scores))]  # fmt: skip
    return learning_html(LearningReport("A curve", learning_curve_of(runs), {"run a": "runs/a"}))


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["evaluation", "comparison", "curve"])
def test_a_report_is_accessible_in_light_and_dark_at_every_size(
    chromium: str, axe: str, tmp_path: Path, request: pytest.FixtureRequest, kind: str, scheme: str, size: str
) -> None:
    page: str = request.getfixturevalue(kind)
    without = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    place = tmp_path / "page.html"
    place.write_text(without.replace("</body>", f"<script>{axe}</script>{JUDGE}</body>"), encoding="utf-8")
    flags = [*FLAGS, f"--window-size={SIZES[size]}", *([DARK] if scheme == "dark" else [])]
    command = [chromium, *flags, "--dump-dom", f"--user-data-dir={tmp_path / 'profile'}", place.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    found = re.search(r'<pre id="probe">(.*?)</pre>', ran.stdout, re.S)
    assert found
    told = json.loads(html.unescape(found[1]))
    assert told["violations"] == []
    assert told["passes"] > 20
    assert told["dark"] == (scheme == "dark")
    assert not told["wide"], "the page itself must not scroll sideways"
