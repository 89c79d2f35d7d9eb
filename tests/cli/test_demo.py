from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.pipelines import demo
from neuraxis.pipelines.demo import DemoResult


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the demo was asked to go; nothing is made."""
    calls: list[Path] = []

    def fake(into: Path, progress: object) -> DemoResult:
        calls.append(into)
        return DemoResult(
            report=into / "run" / "report.html",
            bundle=into / "run" / "model.nxb",
            segmentations=into / "segmentations",
            dice=0.75,
            dice_of_each={"a": 0.7, "b": 0.8},
            held_out_dice=0.77,
            threshold="FLAIR above",
            threshold_dice=0.4,
            seconds=330.0,
        )

    monkeypatch.setattr(demo, "run_demo", fake)
    return calls


def test_the_demo_says_how_good_it_was_and_where_the_report_is(asked: list[Path], capsys) -> None:
    assert main.run(["demo"]) == 0
    assert asked == [Path("demo")]
    shown = capsys.readouterr().out
    assert "Mean lesion Dice on 2 phantoms never seen: 0.750" in shown
    assert "Report: demo/run/report.html" in shown


def test_the_demo_goes_where_it_is_told(asked: list[Path], capsys) -> None:
    assert main.run(["demo", "--into", "elsewhere", "--json"]) == 0
    assert asked == [Path("elsewhere")]
    assert json.loads(capsys.readouterr().out)["bundle"] == "elsewhere/run/model.nxb"
