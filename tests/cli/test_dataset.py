"""`neuraxis dataset`: phantoms, and public datasets at their source."""

from __future__ import annotations

import json
import sys
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


def test_the_datasets_are_listed_with_licence_and_how_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["dataset", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["msd-hippocampus"].split()[-1] == "fetch"
    assert "CC BY-SA 4.0" in lines["msd-hippocampus"]
    assert lines["rsna-2022"].endswith("by hand")


def test_a_dataset_is_described_with_the_page_that_states_its_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["dataset", "info", "msd-heart"]) == 0
    shown = capsys.readouterr().out
    assert "1 of 1 files have a published hash" in shown
    assert "monai/apps/datasets.py" in shown
    assert main.run(["dataset", "info", "rsna-2022", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["steps"]) >= 4


def test_behind_a_login_the_steps_are_shown_and_the_exit_code_is_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["dataset", "fetch", "rsna-2022", "--into", str(tmp_path / "r")]) == 4
    shown = capsys.readouterr()
    assert "kaggle competitions download -c rsna-2022-cervical-spine-fracture-detection" in shown.out
    assert "a person must take the steps" in shown.err


def test_a_licence_that_is_not_accepted_stops_the_fetch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert main.run(["dataset", "fetch", "msd-heart", "--into", str(tmp_path / "h")]) == 2
    assert "its licence is CC BY-SA 4.0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_on_a_terminal_the_licence_is_shown_and_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return "no\n"

    monkeypatch.setattr(sys, "stdin", Terminal())
    assert main.run(["dataset", "fetch", "msd-heart", "--into", str(tmp_path / "h")]) == 2
    shown = capsys.readouterr().err
    assert "Medical Segmentation Decathlon, Task02_Heart is under CC BY-SA 4.0" in shown
    assert "Do you accept the licence?" in shown


def test_offline_no_connection_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURAXIS_OFFLINE", "1")
    assert main.run(["dataset", "fetch", "msd-heart", "--into", str(tmp_path / "h"), "--accept-licence"]) == 4
    assert "offline" in capsys.readouterr().err
