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


def test_metrics_tolerances_and_the_matching_of_lesions_can_be_chosen(toy: Path, tmp_path: Path, capsys) -> None:
    into = tmp_path / "scores"
    words = "--metrics surface_dice lesions_found --tolerance-mm 0.5 2 --lesion-overlap 0.25 --lesion-connectivity 6"
    assert main.run(["evaluate", str(toy / "labelsTr"), str(toy), "--into", str(into), *words.split()]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[1] for line in shown.splitlines()[1:4]] == [
        "surface_dice_0.5mm",
        "surface_dice_2mm",
        "lesions_found",
    ]
    assert "6-connected components; found where at least 25 % of it is covered" in shown
    head = (into / "scores.csv").read_text().splitlines()[0].split(",")
    assert head[4:7] == ["surface_dice_0.5mm", "surface_dice_2mm", "lesions_found"]
    assert (into / "report.html").is_file()


def test_rules_and_metrics_that_there_are_not_are_answered_in_a_line(capsys) -> None:
    for words, said in (
        (["--tolerance-mm", "-1"], "Tolerances are 0 mm or more, of at most six digits, not -1.0."),
        (["--lesion-overlap", "3"], "`min_overlap` lies within 0 and 1, not 3.0."),
        (["--metrics", "hd95"], "Did you mean 'hd95_mm'?"),
    ):
        assert main.run(["evaluate", "nowhere", "nowhere", *words]) == 2
        assert said in capsys.readouterr().err
