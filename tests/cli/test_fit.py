from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.cli.fit import default_run
from neuraxis.dataset.opening import Place
from neuraxis.evaluation.scores import Score, Scores
from neuraxis.pipelines import fit as pipeline
from neuraxis.pipelines.fit import FitOptions, FitResult
from neuraxis.training.devices.options import Devices


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Path, ...], FitOptions]]:
    """What `fit` was asked for; nothing is trained."""
    calls = []

    def fake(datasets, options, progress):
        calls.append((datasets, options))
        with progress.stage("train", 1) as stage:
            stage.advance()
        scores = Scores.of([Score(f"case-{n}", "", "", "lesion", {"dice": 0.5 + n / 10}) for n in range(3)])
        return FitResult(options.into, options.into / "model.nxb", options.into / "report.html", scores)

    monkeypatch.setattr(pipeline, "fit", fake)
    return calls


def test_every_option_reaches_the_fit(asked) -> None:
    arguments = (
        "a b --recipe r.toml --set training.steps=5 --set seed=3 --into runs/x --budget 1h30m --fold 2 --device cpu "
        "--devices 2 --deterministic --profile --preview scans/ x.nii.gz"
    )
    assert main.run(["fit", *arguments.split()]) == 0
    datasets, options = asked[0]
    assert datasets == (Place(Path("a")), Place(Path("b")))
    assert options == FitOptions(
        into=Path("runs/x"),
        recipe="r.toml",
        settings=("training.steps=5", "seed=3"),
        budget_s=5400.0,
        fold=2,
        device="cpu",
        devices=Devices(2),
        deterministic=True,
        profile=True,
        previews=("scans/", "x.nii.gz"),
    )


def test_without_options_the_fit_plans_for_itself(asked) -> None:
    assert main.run(["fit", "data/ms-brain"]) == 0
    assert asked[0][1] == FitOptions(into=Path("runs/ms-brain"))


def test_a_repeat_names_the_earlier_run(asked) -> None:
    assert main.run(["fit", "data", "--repeat", "runs/a"]) == 0
    assert asked[0][1].repeat == Path("runs/a")
    assert asked[0][1].into == Path("runs/a-repeat").resolve()


def test_the_same_command_finds_its_run_again_and_another_fold_another() -> None:
    assert default_run((Path("x/a"), Path("y/b/"))) == Path("runs/a+b")
    assert default_run((Path("x/a"),), fold=1) == Path("runs/a-fold-1")


def test_a_wrong_budget_is_refused_before_anything_starts(asked, capsys) -> None:
    assert main.run(["fit", "data", "--budget", "20"]) == 2
    assert "Did you mean 20m?" in capsys.readouterr().err
    assert asked == []


def test_the_result_says_how_good_the_model_is_and_where(asked, capsys) -> None:
    assert main.run(["fit", "data", "--into", "runs/x"]) == 0
    shown = capsys.readouterr().out
    assert "lesion     dice    3  0.600  0.100   0.600  -" in shown
    assert "mean foreground Dice 0.600" in shown
    assert "model   runs/x/model.nxb\nreport  runs/x/report.html" in shown
    assert "Next: neuraxis segment SCAN --model runs/x/model.nxb --into OUT" in shown


def test_json_alone_stands_on_stdout(asked, capsys) -> None:
    assert main.run(["fit", "data", "--into", "runs/x", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["bundle"] == "runs/x/model.nxb"
    assert content["scores"]["mean_foreground_dice"] == pytest.approx(0.6)
    assert [row["case"] for row in content["scores"]["cases"]] == ["case-0", "case-1", "case-2"]
    assert content["scores"]["summary"]["lesion"]["dice"]["ci_low"] is None
