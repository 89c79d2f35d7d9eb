"""`neuraxis dataset`: phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main


def test_phantoms_are_made_and_the_next_command_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    into = tmp_path / "cord"
    assert main.run(["dataset", "make", "cord-epi", "--into", str(into), "--cases", "1", "--size", "small"]) == 0
    shown = capsys.readouterr().out
    assert f"{into}: 1 subjects, layout bids" in shown
    assert f"neuraxis check {into}" in shown
    assert (into / "participants.tsv").is_file()


def test_what_was_made_is_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["dataset", "make", "brain-tumour", "--into", str(tmp_path / "t"), "--cases", "1", "--size", "small"]
    assert main.run([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"path": str(tmp_path / "t"), "kind": "brain-tumour", "layout": "brats", "cases": 1}


def test_a_misspelt_kind_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["dataset", "make", "brain-tumor", "--into", str(tmp_path / "t")]) == 2
    assert "Did you mean 'brain-tumour'" in capsys.readouterr().err
