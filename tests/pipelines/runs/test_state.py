"""How runs stand, from what lies in their folders."""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import time

import pytest

from neuraxis.errors import ResourceError, Stopped, UsageError
from neuraxis.pipelines.runs.process import lives, own_process, process_noted, read_process, start_of
from neuraxis.pipelines.runs.state import choose_run, find_runs, read_run, size_of, training_place


@pytest.mark.parametrize(
    ("events", "who", "noted", "state"),
    [
        ((), "this", {}, "running"),
        ((), "dead", {}, "killed"),
        ((), "this", {"ended": "stopped"}, "stopped"),
        ((), "this", {"ended": "failed", "why": "no room"}, "failed"),
        (("finished",), "this", {"ended": "done"}, "finished"),
        (("finished",), "this", {"ended": "failed", "why": "no room"}, "failed"),
        ((), "far", {}, "running"),
        ((), "", {}, "stopped"),
        (("finished",), "", {}, "finished"),
    ],
)
def test_the_state_follows_from_who_works_there_and_how_it_ended(make_run, events, who, noted, state):
    run = read_run(make_run("a", events, who, **noted))

    assert run.state == state
    assert run.why == ("no room" if state == "failed" else "")


def test_a_run_elsewhere_that_was_not_heard_of_for_long_is_lost(make_run):
    folder = make_run("a", (), "far", step=3)
    for path in folder.iterdir():
        os.utime(path, (time.time() - 1000,) * 2)

    assert read_run(folder).state == "lost"
    (folder / "progress.json").touch()
    assert read_run(folder).state == "running"


def test_steps_pace_and_best_score_are_told(make_run):
    run = read_run(make_run("a", (), "this", rows=4, step=50))

    assert (run.step, run.steps, run.device) == (50, 100, "cpu")
    assert run.best == 1.0
    assert run.rate_s == pytest.approx((100 - 30) / 20)
    assert run.left_s == pytest.approx(50 * 3.5)
    assert run.size > 0
    assert math.isnan(run.score)


def test_the_score_of_a_finished_run_is_that_of_its_held_out_cases(make_run):
    folder = make_run("a", ("trained", "finished"), "this", ended="done")
    (folder / "summary.json").write_text(json.dumps({"foreground_mean": {"Dice": 0.75}}))

    run = read_run(folder)
    assert (run.score, run.step, run.steps) == (0.75, 100, 100)
    assert math.isnan(run.left_s)


def test_before_training_the_steps_of_the_recipe_are_told(make_run):
    folder = make_run("a", (), "this")
    (folder / "recipe.toml").write_text("[training]\nsteps = 77\n")

    assert (read_run(folder).step, read_run(folder).steps) == (0, 77)


@pytest.mark.parametrize("broken", ["", "[]", "{"])
def test_files_that_are_being_written_or_broken_are_borne(make_run, broken):
    folder = make_run("a", (), "this", rows=1)
    (folder / "progress.json").write_text(broken)
    (folder / "process.json").write_text(broken)

    assert read_run(folder).step == 10


def test_the_training_of_the_first_fold_under_way_is_meant_else_of_the_last(make_run):
    folder = make_run("a", (), "this")
    for number in (0, 1, 2, 10):
        (folder / f"fold-{number}").mkdir()
        (folder / f"fold-{number}" / "progress.json").write_text(json.dumps({"step": number + 1, "steps": 19}))
    (folder / "fold-0" / "report.html").touch()

    assert training_place(folder) == folder / "fold-1"
    assert (read_run(folder).fold, read_run(folder).step) == (1, 2)
    for number in (1, 2, 10):
        (folder / f"fold-{number}" / "report.html").touch()
    assert training_place(folder) == folder / "fold-10"


def test_the_time_left_counts_the_folds_to_come(make_run):
    folder = make_run("a", (), "this")
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**content, "request": {**content["request"], "folds": 3}}))
    (folder / "fold-0").mkdir()
    now = {"step": 20, "steps": 100, "seconds": 40.0}
    (folder / "fold-0" / "progress.json").write_text(json.dumps(now))

    assert read_run(folder).left_s == 2 * (80 + 2 * 100)


def test_runs_are_found_three_levels_down_the_newest_first(make_run, tmp_path):
    old, new = make_run("old"), make_run("site/b/new")
    os.utime(old / "run.json", (0, 0))
    make_run("one/two/three/deep")
    (tmp_path / "runs" / "notes").mkdir()

    assert find_runs(tmp_path / "runs") == [new, old]
    assert find_runs(old) == [old]


def test_without_a_name_the_newest_is_meant(make_run, tmp_path, monkeypatch):
    old, new = make_run("old"), make_run("new")
    os.utime(old / "run.json", (0, 0))
    monkeypatch.chdir(tmp_path)

    assert choose_run(None).absolute() == new
    assert choose_run(old) == old
    monkeypatch.chdir(old)
    assert choose_run(None).absolute() == old


def test_of_running_ones_none_is_guessed(make_run, tmp_path):
    make_run("done", ("finished",), "this", ended="done")
    with pytest.raises(UsageError, match="holds no run that is running"):
        choose_run(tmp_path / "runs", running=True)
    first = make_run("first", (), "this")
    assert choose_run(tmp_path / "runs", running=True) == first
    make_run("second", (), "this")
    with pytest.raises(UsageError, match="2 runs are running"):
        choose_run(tmp_path / "runs", running=True)


def test_a_folder_without_a_run_is_refused_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        choose_run(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        choose_run(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"holds no run \(no run.json\)"):
        read_run(tmp_path)


def test_links_do_not_count(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(bytes(100_000))
    alone = size_of(tmp_path / "a")
    (tmp_path / "a" / "link").symlink_to(tmp_path)

    assert size_of(tmp_path / "a") < alone + 10_000


def test_a_process_is_known_by_its_number_and_its_beginning():
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    about = {**own_process(), "pid": other.pid}
    assert not lives(about)
    about["start"] = start_of(other.pid)
    assert lives(about)
    other.communicate(b"\n")
    assert not lives(about)
    assert not lives({})


@pytest.mark.parametrize(
    ("error", "ended", "why"),
    [
        (None, "done", ""),
        (KeyboardInterrupt(), "stopped", ""),
        (Stopped("as asked"), "stopped", ""),
        (ResourceError("no room\nmore"), "failed", "no room"),
        (ZeroDivisionError(), "failed", "ZeroDivisionError"),
    ],
)
def test_how_a_process_left_is_noted(tmp_path, error, ended, why):
    (tmp_path / "stop").touch()
    with contextlib.suppress(BaseException), process_noted(tmp_path):
        assert lives(read_process(tmp_path))
        assert not (tmp_path / "stop").exists()
        if error:
            raise error

    noted = read_process(tmp_path)
    assert (noted["ended"], noted["why"]) == (ended, why)
