from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli import main
from neuraxis.errors import UsageError
from neuraxis.pipelines.scoring.raters import read_rater_folders
from neuraxis.volume.formats import nifti


@pytest.fixture
def rated(toy: Path, tmp_path: Path) -> dict[str, Path]:
    """Two raters, one of whom draws everything a voxel to the side."""
    found = {}
    for name, by in (("anna", 0), ("bert", 1)):
        folder = tmp_path / name
        folder.mkdir()
        for path in sorted((toy / "labelsTr").glob("*.nii.gz")):
            volume = nifti.read(path)
            nifti.write(folder / path.name, volume.with_array(np.roll(volume.array, by, axis=1)))
        found[name] = folder
    return found


def words(rated: dict[str, Path]) -> list[str]:
    return ["--raters", *(f"{name}={folder}" for name, folder in rated.items())]


def test_where_the_model_lies_among_raters_is_written(
    toy: Path, rated: dict[str, Path], tmp_path: Path, capsys
) -> None:
    into = tmp_path / "scores"
    assert main.run(["evaluate", str(rated["anna"]), str(toy), "--into", str(into), *words(rated)]) == 0
    with (into / "raters.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    pairs = {(row["first"], row["second"]): float(row["dice"]) for row in rows if row["case"] == rows[0]["case"]}
    assert pairs["model", "anna"] == 1
    assert pairs["model", "bert"] == pairs["anna", "bert"] < 1
    assert "Williams" in (into / "report.html").read_text()
    capsys.readouterr()


def test_a_rater_without_a_case_is_refused_by_name(toy: Path, rated: dict[str, Path], tmp_path: Path, capsys) -> None:
    next(rated["bert"].iterdir()).unlink()
    assert main.run(["evaluate", str(rated["anna"]), str(toy), "--into", str(tmp_path / "s"), *words(rated)]) == 3
    assert "rater bert: 1 case of" in capsys.readouterr().err
    assert not (tmp_path / "s" / "scores.csv").exists()


def test_raters_need_a_folder_for_what_is_written(toy: Path, rated: dict[str, Path], capsys) -> None:
    assert main.run(["evaluate", str(rated["anna"]), str(toy), *words(rated)]) == 2
    assert "--raters: writes files. Name a folder with --into." in capsys.readouterr().err


def test_raters_have_names_of_their_own_and_folders(tmp_path: Path) -> None:
    for name in ("anna", "model"):
        (tmp_path / name).mkdir()
    with pytest.raises(UsageError, match=r"1 given\. Needed are 2 to 16"):
        read_rater_folders((str(tmp_path / "anna"),))
    with pytest.raises(UsageError, match="another one is called 'anna' already"):
        read_rater_folders((str(tmp_path / "anna"), f"anna={tmp_path / 'model'}"))
    with pytest.raises(UsageError, match="another one is called 'model' already"):
        read_rater_folders((str(tmp_path / "model"), str(tmp_path / "anna")))
    with pytest.raises(UsageError, match="nowhere is no folder"):
        read_rater_folders(("a=nowhere", str(tmp_path / "anna")))


def test_marked_cases_are_left_out_and_said_everywhere(toy: Path, tmp_path: Path, capsys) -> None:
    marks, into = tmp_path / "marks.json", tmp_path / "scores"
    marks.write_text(json.dumps({"format": "neuraxis-marks-1", "marks": {"sub-0": "bad", "sub-1": "good"}}))
    command = ["evaluate", str(toy / "labelsTr"), str(toy), "--into", str(into), "--exclude", str(marks)]
    said = "Left out on purpose: 1 of 6 cases (sub-0)."
    assert main.run(command) == 0
    assert said in capsys.readouterr().out
    assert said in (into / "report.html").read_text()
    assert json.loads((into / "summary.json").read_text())["left_out"] == ["sub-0"]
    assert "left_out" in (into / "scores.csv").read_text().splitlines()[0]
    shutil.rmtree(into)
    assert main.run([*command[:3], "--json", "--exclude", str(marks)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["left_out"] == ["sub-0"]
    assert said in content["notes"]
