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
    flat, full = content["candidates"]
    assert [flat["name"], full["name"]] == ["2d", "3d"]
    assert content["recipe"]["configuration"] == "3d"
    assert full["patch"] == content["recipe"]["patches"]["shape"]
    assert full["options"]["strides"] == content["recipe"]["network"]["options"]["strides"]
    assert full["stages"] == len(full["options"]["features"])
    assert full["trainable"] is True
    assert full["multiply_adds"] > 0 < full["memory_gb"]


def test_the_ways_to_train_come_first_and_the_chosen_one_is_marked(toy: Path, capsys) -> None:
    assert main.run(["plan", str(toy), "--set", "configuration=2d"]) == 0
    header, flat, full, _, reason, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "way",
        "spacing",
        "mm",
        "median",
        "patch",
        "holds",
        "batch",
        "features",
        "GB",
        "G",
        "mult-adds",
    ]
    assert flat.startswith("* 2d   1 x 1 x 2   16 x 16 x 16  16 x 16 x 1   100% ")
    assert full.startswith("  3d   1 x 1 x 2 ")
    assert reason == "2d  Slice by slice across Z; what lies above and below is not seen."


def test_asking_for_the_cascade_is_answered_in_a_line_with_the_recipes_exit_code(toy: Path, capsys) -> None:
    assert main.run(["plan", str(toy), "--set", "configuration=cascade"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "the second stage of the cascade cannot be trained yet. Set '3d_low'" in said[0]
