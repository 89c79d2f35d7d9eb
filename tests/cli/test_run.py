from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from neuraxis.cli import main, run_watch
from neuraxis.cli.run_watch import line, picture, plot
from neuraxis.pipelines.runs.process import own_process
from neuraxis.pipelines.runs.state import read_run
from neuraxis.training.curves import write_curves


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A running, a failed and a finished run in `runs`, the last one the oldest; the working folder holds them."""
    monkeypatch.chdir(tmp_path)
    for age, (name, noted) in enumerate(
        {"a": {}, "b": {"ended": "failed", "why": "no room"}, "c": {"ended": "done"}}.items()
    ):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        content = {"created": "2026-01-02T03:04:05+00:00", "events": [], "request": {"datasets": [str(tmp_path)]}}
        (folder / "run.json").write_text(json.dumps(content))
        os.utime(folder / "run.json", (1000 - age, 1000 - age))
        (folder / "process.json").write_text(json.dumps({**own_process(), **noted}))
        write_curves(folder / "curves.csv", [row(step) for step in range(10, 60, 10)])
        (folder / "log.txt").write_text("one\ntwo\n")
        (folder / "checkpoint.pt").write_bytes(bytes(50_000))
    now = {"step": 55, "steps": 100, "seconds": 110.0, "device": "cpu", "precision": "32-true", "loss": 0.4}
    (tmp_path / "runs" / "a" / "progress.json").write_text(json.dumps(now))
    return tmp_path / "runs"


def row(step: int) -> dict[str, float]:
    return {"step": step, "seconds": 2 * step, "learning_rate": 0.1, "loss": 10 / step, "validation_dice": step / 100}


def test_runs_are_listed_the_newest_first(runs: Path, capsys) -> None:
    assert main.run(["run", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["run", "state", "step", "best", "Dice", "age", "size", "device"]
    assert lines[1].split()[:7] == ["a", "running", "55", "of", "100", "0.500", "-"]
    assert lines[1].split()[-3:-1] == ["cpu", "on"]
    assert [text.split()[:2] for text in lines[2:4]] == [["b", "failed"], ["c", "finished"]]
    assert lines[4] == "b: no room"


def test_the_list_for_programs_has_plain_numbers(runs: Path, capsys) -> None:
    assert main.run(["run", "list", str(runs), "--json"]) == 0
    first, *_, last = json.loads(capsys.readouterr().out)
    assert (first["path"], first["state"], first["step"], first["steps"]) == (str(runs / "a"), "running", 55, 100)
    assert first["left_s"] == pytest.approx(45 * 2, abs=1)
    assert (first["best"], first["score"]) == (0.5, None)
    assert last["left_s"] is None


def test_a_folder_without_runs_says_so(tmp_path: Path, capsys) -> None:
    assert main.run(["run", "list", str(tmp_path)]) == 0
    assert "holds no run. Begin one with: neuraxis fit DATASET" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["list", "watch", "stop", "clean"])
def test_a_folder_that_is_not_there_is_refused_in_one_line(tmp_path: Path, capsys, verb: str) -> None:
    assert main.run(["run", verb, str(tmp_path / "nowhere")]) == 2
    said = capsys.readouterr().err
    assert "no such folder" in said
    assert said.count("\n") == 1


def test_one_look_without_a_terminal_is_a_line_and_curves_of_dots(runs: Path, capsys) -> None:
    assert main.run(["run", "watch", "--once"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("runs/a: running, step 55 of 100, loss 0.200, Dice 0.500 at step 50, ")
    assert " left\nloss\n  1.000 ┤" in shown
    assert "Dice on held-out patches\n  0.500 ┤" in shown


def test_a_run_that_ended_is_shown_and_left(runs: Path, capsys) -> None:
    assert main.run(["run", "watch", "runs/b"]) == 0
    assert capsys.readouterr().out == ("runs/b: failed, loss 0.200, Dice 0.500 at step 50. no room\n")


def test_watching_without_a_terminal_prints_news_until_the_run_ends(runs: Path, capsys, monkeypatch) -> None:
    def later(seconds: float) -> None:
        place = runs / "a" / "progress.json"
        content = json.loads(place.read_text())
        if content["step"] >= 57:
            (runs / "a" / "process.json").write_text(json.dumps({**own_process(), "ended": "done"}))
        place.write_text(json.dumps(content | {"step": content["step"] + 1}))

    monkeypatch.setattr(run_watch.time, "sleep", later)
    assert main.run(["run", "watch", "runs/a", "--every", "1s"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [text.split(",")[1] for text in lines] == [f" step {step} of 100" for step in (55, 56, 57, 58)]
    assert lines[-1].startswith("runs/a: finished")


def test_on_a_terminal_the_curves_are_drawn_beside_each_other(runs: Path) -> None:
    from rich.console import Console

    for width, beside in ((110, True), (60, False)):
        console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
        console.print(picture(read_run(runs / "a"), width))
        text = console.export_text()
        assert max(len(shown) for shown in text.splitlines()) <= width
        assert "running" in text
        assert "step 55 of 100" in text
        assert "two" in text
        titles = [shown for shown in text.splitlines() if "loss 0.200" in shown]
        assert ("Dice on held-out patches 0.500" in titles[0]) is beside


def test_before_the_first_validation_there_is_something_to_see(runs: Path) -> None:
    from rich.console import Console

    for name in ("curves.csv", "progress.json", "log.txt"):
        (runs / "a" / name).unlink()
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(picture(read_run(runs / "a"), 80))
    assert "no validation yet" in console.export_text()
    assert line(read_run(runs / "a")).endswith("a: running")


@pytest.mark.parametrize("values", [[(5, 1.0)], [(0, 2.0), (9, 2.0)], [(0, -1.0), (1, 1e6)]])
def test_any_curve_can_be_drawn(values: list[tuple[float, float]]) -> None:
    lines = plot(values, 20, 4)
    assert len(lines) == 5
    assert len({len(text) for text in lines}) == 1
    assert any(0x2800 < ord(character) <= 0x28FF for character in "".join(lines))


def test_a_falling_curve_falls() -> None:
    lines = plot([(step, math.exp(-step)) for step in range(9)], 10, 4)
    assert lines[0][9] != "\u2800" == lines[0][-1]
    assert lines[3][-1] != "\u2800" == lines[3][9]


def test_json_shows_the_curves_once(runs: Path, capsys) -> None:
    assert main.run(["run", "watch", "runs/a", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [entry["step"] for entry in content["curves"]] == [10, 20, 30, 40, 50]
    assert content["state"] == "running"


def test_stopping_what_does_not_run_is_refused(runs: Path, capsys) -> None:
    assert main.run(["run", "stop", "runs/c"]) == 2
    assert "runs/c: is not running (finished), so there is nothing to stop." in capsys.readouterr().err


def test_a_run_that_does_not_end_in_time_is_told(runs: Path, capsys) -> None:
    assert main.run(["run", "stop", "--wait", "0.1s"]) == 5
    assert "runs/a: was asked by file and has not ended after 0.1s." in capsys.readouterr().out
    assert (runs / "a" / "stop").is_file()


def test_a_run_that_ends_is_told_and_how_to_resume_it(runs: Path, capsys, monkeypatch) -> None:
    def end(path: Path, wait_s: float):
        (path / "process.json").write_text(json.dumps({**own_process(), "ended": "stopped"}))
        return StopResult(path, "signal", True, read_run(path))

    from neuraxis.pipelines.runs import stop
    from neuraxis.pipelines.runs.stop import StopResult

    monkeypatch.setattr(stop, "stop_run", end)
    assert main.run(["run", "stop"]) == 0
    shown = capsys.readouterr().out
    assert shown == "runs/a: stopped after step 55 of 100. The same command again resumes it.\n"


def test_nothing_is_removed_unless_told_so(runs: Path, capsys, monkeypatch) -> None:
    from neuraxis.pipelines.runs import clean

    monkeypatch.setattr(clean, "_problem_of_model", lambda run: "")
    for asked in ([], ["--dry-run"], ["--dry-run", "--yes"]):
        assert main.run(["run", "clean", *asked]) == 0
        shown = capsys.readouterr().out
        assert "a: it runs" in shown
        assert "b: it is failed and can be resumed" in shown
        assert "c:\n  checkpoint.pt  0.1 MB  the checkpoint" in shown
        assert "0.1 MB could be removed; nothing was." in shown
        assert (runs / "c" / "checkpoint.pt").exists()
    assert main.run(["run", "clean", "runs/c", "--yes", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["removed"] is True
    assert content["bytes"] >= 50_000
    assert [Path(gone["path"]).name for gone in content["runs"][0]["removals"]] == ["checkpoint.pt"]
    assert not (runs / "c" / "checkpoint.pt").exists()
    assert (runs / "a" / "checkpoint.pt").exists()
