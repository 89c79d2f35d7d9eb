from __future__ import annotations

import json
from pathlib import Path

from neuraxis.cli import main


def test_the_scores_are_shown_and_written_where_a_folder_is_named(toy: Path, tmp_path: Path, capsys) -> None:
    into = tmp_path / "scores"
    assert main.run(["evaluate", str(toy / "labelsTr"), str(toy), "--into", str(into)]) == 0
    shown = capsys.readouterr().out
    assert "mean foreground Dice 1.000" in shown
    assert f"report  {into}/report.html" in shown
    assert sorted(path.name for path in into.iterdir()) == ["report.html", "scores.csv", "summary.json"]


def test_without_a_folder_nothing_is_written(toy: Path, tmp_path: Path, capsys) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert main.run(["evaluate", str(toy / "labelsTr"), str(toy / "labelsTr"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["summary"]["lesion"]["dice"]["mean"] == 1
    assert len(content["cases"]) == 12
    assert sorted(tmp_path.rglob("*")) == before


def test_a_case_without_partner_is_an_error(toy: Path, capsys) -> None:
    (toy / "labelsTr" / "sub-9.nii.gz").write_bytes((toy / "labelsTr" / "sub-0.nii.gz").read_bytes())
    assert main.run(["evaluate", str(toy / "labelsTr"), str(toy)]) == 3
    assert "sub-9" in capsys.readouterr().err
