"""Tests of `neuraxis compare`."""

from __future__ import annotations

import json
from pathlib import Path

from neuraxis.cli import main


def test_entries_and_tests_are_shown_and_written(toy: Path, tmp_path: Path, capsys) -> None:
    labels, into = toy / "labelsTr", tmp_path / "out"
    words = [f"a={labels}", f"b={labels}", "--references", str(toy), "--oracle", "b", "--into", str(into)]
    assert main.run(["compare", *words, "--metrics", "dice"]) == 0
    shown = capsys.readouterr().out
    assert "b (oracle)  lesion dice" in shown
    assert "a - b (oracle)  dice" in shown
    assert "b (oracle): its predictions used the reference" in shown
    assert f"report  {into}/report.html" in shown
    assert (into / "cases.csv").is_file()


def test_the_comparison_is_printed_as_json_and_nothing_is_written(toy: Path, tmp_path: Path, capsys) -> None:
    before, labels = sorted(tmp_path.rglob("*")), toy / "labelsTr"
    words = [f"a={labels}", f"b={labels}", "--references", str(toy), "--metrics", "dice", "--json"]
    assert main.run(["compare", *words]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["contrasts"][0]["p_holm"] == 1
    assert content["cases"][0]["values"] == {"a": {"dice": 1}, "b": {"dice": 1}}
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_refused_exits_with_its_code(toy: Path, capsys) -> None:
    (toy / "few").mkdir()
    (toy / "few" / "sub-0.nii.gz").write_bytes((toy / "labelsTr" / "sub-0.nii.gz").read_bytes())
    words = [f"a={toy / 'labelsTr'}", f"few={toy / 'few'}", "--references", str(toy), "--metrics", "dice"]
    assert main.run(["compare", *words]) == 3
    assert "few: 5 cases (sub-1, sub-2, sub-3, sub-4, sub-5) without a prediction" in capsys.readouterr().err
    assert main.run(["compare", *words, "--common"]) == 0
    assert "Left out by --common: few: 5 cases" in capsys.readouterr().out
    assert main.run(["compare", f"a={toy / 'labelsTr'}"]) == 2


def test_domains_are_shown_and_written(toy: Path, tmp_path: Path, capsys) -> None:
    into = tmp_path / "out"
    assert main.run(["compare", "--shift", str(toy), "--site", r"sub-(\d)", "--into", str(into)]) == 0
    shown = capsys.readouterr().out
    assert "0 - 1" in shown
    assert "No test with fewer than 5 patients in a domain: 0 (1), 1 (1)" in shown
    assert f"report  {into}/report.html" in shown
    assert sorted(path.name for path in into.iterdir()) == ["features.csv", "report.html", "shift.json"]


def test_entries_are_scored_by_domain_as_json(toy: Path, capsys) -> None:
    words = [f"p={toy / 'labelsTr'}", "--shift", str(toy), "--site", r"sub-(\d)", "--metrics", "dice", "--json"]
    assert main.run(["compare", *words]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["scores"][0]["domains"]["3"]["lesion"]["dice"]["mean"] == 1
    assert content["gaps"][0]["p"] is None


def test_options_of_the_other_way_are_refused(toy: Path, capsys) -> None:
    entry = f"p={toy / 'labelsTr'}"
    for words, said in (
        ([entry, entry, "--site", "x"], "--site: belongs to --shift."),
        ([entry, "--by", "channel"], "--by: belongs to --shift."),
        ([entry, "--shift", str(toy), "--references", str(toy)], "--references: with --shift"),
        (["--shift", str(toy)], "All 6 cases are of one domain, 'toy'."),
        ([], "0 entries are named."),
    ):
        assert main.run(["compare", *words]) in (2, 3)
        assert said in capsys.readouterr().err
