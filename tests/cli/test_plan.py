from __future__ import annotations

import json
import tomllib
from pathlib import Path

from neuraxis.cli import main


def test_each_decision_is_told_with_its_value_and_reason(toy: Path, capsys) -> None:
    assert main.run(["plan", str(toy)]) == 0
    shown = capsys.readouterr().out
    assert "preparation.spacing_mm           1.0 x 1.0 x 2.0" in shown
    assert "preparation.normalisation.FLAIR  zscore " in shown


def test_the_recipe_goes_to_a_file_that_plans_the_same_again(toy: Path, tmp_path: Path, capsys) -> None:
    first, second = tmp_path / "first.toml", tmp_path / "second.toml"
    assert (
        main.run(["plan", str(toy), "--set", "training.steps=77", "--set", "patches.batch=3", "--into", str(first)])
        == 0
    )
    assert "Set by the user." in first.read_text()
    assert main.run(["plan", str(toy), "--recipe", str(first), "--into", str(second)]) == 0
    assert tomllib.loads(first.read_text()) == tomllib.loads(second.read_text())
    assert tomllib.loads(first.read_text())["training"]["steps"] == 77


def test_json_holds_recipe_and_reasons(toy: Path, capsys) -> None:
    assert main.run(["plan", str(toy), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["recipe"]["preparation"]["spacing_mm"] == [1, 1, 2]
    assert content["reasons"]["preparation.spacing_mm"]
