"""Previews in the report."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest

from neuraxis.report.evaluation_report import RunReport, report_html
from neuraxis.report.previews import section
from neuraxis.report.previews.gif import write_gifs
from neuraxis.report.previews.record import Shown, strip_path, write_record
from neuraxis.report.previews.section import Previews, previews_section
from neuraxis.report.previews.strip import save_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        Shown(step, case, role, "axial", 3, "one window", dice, 1.5)
        for step in (10, 20)
        for case, role, dice in (("a <b>", "held out", 0.25), ("scan", "unlabelled", float("nan")))
    ]
    for row in rows:
        for kind in ("whole", "tiled"):
            save_png(np.full((9, 30, 3), row.step, np.uint8), strip_path(tmp_path / "previews", row, kind))
    write_record(tmp_path / "previews", rows)
    write_gifs(tmp_path / "previews")
    return tmp_path / "previews"


def test_the_page_holds_the_last_strips_and_the_gif_of_each_case(folder: Path, scores, read_html) -> None:
    root = read_html(report_html(RunReport("run", scores, previews=Previews(folder, 120.0))))
    part = root.one("section", id="previews")

    assert [heading.text() for heading in part.all("h3")] == [
        "a <b> (held out) after step 20, Dice 0.250 (one window)",
        "scan (unlabelled) after step 20",
    ]
    kinds = [image.attributes["src"].split(";")[0] for image in part.all("img")]
    assert kinds == ["data:image/png", "data:image/png", "data:image/gif"] * 2
    shown = base64.b64decode(part.all("img")[0].attributes["src"].split(",")[1])
    assert shown == (folder / "step-0000020" / "a <b>-whole.png").read_bytes()
    assert all(image.attributes["alt"] for image in part.all("img"))
    assert "2 of 2 cases, 6.0 s, 5.0 % of the training time" in part.text()


def test_what_is_too_large_is_named_instead(folder: Path, monkeypatch: pytest.MonkeyPatch, read_html) -> None:
    monkeypatch.setattr(section, "MOST_BYTES", 0)
    part = read_html(previews_section(Previews(folder)).body)

    assert not part.all("img")
    assert "Too large for this page: previews/step-0000020/scan-whole.png" in part.text()


def test_without_previews_there_is_no_part(tmp_path: Path) -> None:
    assert previews_section(None) is None
    assert previews_section(Previews(tmp_path)) is None
    assert Previews(tmp_path).summary() == ""
