"""A learning curve from the records of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.errors import DataError, UsageError
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.pipelines.comparison.learning_curve import CurveOptions, learning_curve


def record(folder: Path, cases: int, lift: float, **about: object) -> Path:
    """Write what a run leaves behind, with six held-out cases."""
    folder.mkdir(parents=True)
    data = {"datasets": ["Toy <b>"], "cases": cases, "patients": cases}
    content = {"request": {"fold": about.get("fold", 0)}, "seed": about.get("seed", 0), "data_hash": "d",
               "card": {"training_data": data}}  # fmt: skip
    (folder / "run.json").write_text(json.dumps(content | dict(about.get("changes", {}))))
    steps = about.get("steps", 100)
    (folder / "recipe.toml").write_text(f"seed = {cases}\n[splits]\nshare = 0.5\n[training]\nsteps = {steps}\n")
    rows = []
    for place in range(6):
        for structure in ("ball", "shell"):
            value = round(0.4 + 0.02 * place + lift, 3)
            rows.append(Score(f"c{place}", f"p{place}", "", structure, {"dice": value, "hd95_mm": 5 - value}))
    Scores.of(rows).write_csv(folder / "scores.csv")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [record(tmp_path / f"on-{cases}", cases, lift) for cases, lift in ((16, 0.3), (4, 0.0), (8, 0.2))]


def test_runs_are_laid_along_the_cases_that_trained_them(runs: list[Path], tmp_path: Path, capsys) -> None:
    into = tmp_path / "curve"
    assert main.run(["compare", "--learning-curve", *map(str, runs), "--into", str(into)]) == 0

    shown = capsys.readouterr().out
    lines = [line.split() for line in shown.splitlines() if " dice " in line]
    assert [line[0] for line in lines[:3]] == ["4", "8", "16"]
    assert lines[3][:5] == ["4", "cases", "->", "8", "cases"]
    assert sorted(path.name for path in into.iterdir()) == ["cases.csv", "curve.csv", "curve.json", "report.html"]
    content = json.loads((into / "curve.json").read_text())
    assert [run["training_cases"] for run in content["runs"]] == [4, 8, 16]
    page = (into / "report.html").read_text()
    assert "Learning curve of Toy &lt;b&gt;" in page
    assert "over training cases" in page
    assert "<b>" not in page


def test_json_holds_points_gains_and_runs(runs: list[Path], capsys) -> None:
    assert main.run(["compare", "--learning-curve", *map(str, runs), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    whole = [one for one in content["points"] if (one["metric"], one["structure"]) == ("dice", "all (mean)")]
    assert [one["mean"] for one in whole] == [pytest.approx(0.45), pytest.approx(0.65), pytest.approx(0.75)]
    assert content["gains"][0]["difference"]["mean"] == pytest.approx(0.2)


def test_each_fold_of_a_run_of_all_folds_counts_by_itself(tmp_path: Path) -> None:
    whole = tmp_path / "half"
    for fold in range(2):
        record(whole / f"fold-{fold}", 4 * 1, 0.1 * fold, fold=fold)
    (whole / "run.json").write_text("{}")
    found = learning_curve([whole, record(tmp_path / "all", 8, 0.2)])

    assert [run.name for run in found.points[0].runs] == ["half/fold-0", "half/fold-1"]
    assert found.points[0].scores.values("dice", "ball")["c0"] == pytest.approx(0.45)


def test_what_else_differs_between_the_runs_is_said(tmp_path: Path) -> None:
    few = record(tmp_path / "few", 4, 0.0)
    longer = record(tmp_path / "many", 8, 0.1, steps=900, changes={"data_hash": "other"})
    notes = learning_curve([few, longer]).notes

    assert any("differ in training.steps:" in note for note in notes)
    assert any(note.startswith("The runs are of different data") for note in notes)


def test_what_is_no_finished_run_is_refused_in_a_line(runs: list[Path], tmp_path: Path, capsys) -> None:
    plain = tmp_path / "maps"
    plain.mkdir()
    with pytest.raises(UsageError):
        learning_curve([*runs, plain])
    (runs[0] / "scores.csv").unlink()
    with pytest.raises(DataError, match=r"on-16: .*no scores\.csv"):
        learning_curve(runs)
    (runs[0] / "run.json").write_text("{}")
    with pytest.raises(DataError, match=r"on-16: .*does not tell how many cases"):
        learning_curve(runs)
    for words, said in ((["--oracle", "on-4"], "--oracle"), (["--metrics", "dice"], "--metrics")):
        assert main.run(["compare", "--learning-curve", *map(str, runs), *words]) == 2
        assert said in capsys.readouterr().err


def test_results_that_are_there_stay_unless_told(runs: list[Path], tmp_path: Path) -> None:
    learning_curve(runs, tmp_path / "curve")
    with pytest.raises(UsageError, match=r"curve\.csv"):
        learning_curve(runs, tmp_path / "curve")
    learning_curve(runs, tmp_path / "curve", CurveOptions(overwrite=True))
    with pytest.raises(UsageError, match="is the folder of the entry"):
        learning_curve(runs, runs[0])
