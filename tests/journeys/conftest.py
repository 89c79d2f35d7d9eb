"""The projects' recipes on phantoms, by the commands that a user types."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from neuraxis.cli import main


@pytest.fixture
def neuraxis(tmp_path, monkeypatch):
    """Run commands in an empty folder; each has to end well."""
    monkeypatch.chdir(tmp_path)

    def call(line: str, *settings: str) -> None:
        words = line.split()
        for setting in settings:
            words += ["--set", setting]
        assert main.run([*words, "--quiet"]) == 0, line

    return call


@pytest.fixture
def mean_of():
    """Return the mean of a column in a table of scores, empty cells left out."""

    def mean(table: Path, column: str = "dice") -> float:
        with table.open(newline="", encoding="utf-8") as lines:
            values = [float(row[column]) for row in csv.DictReader(lines) if row[column]]
        return sum(values) / len(values)

    return mean
