"""The quality benchmark: rows that can be killed, one fold for both programs, tables that say what results hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = "benchmarks/quality/hippocampus.py"
QUALITY = (ROOT / PROGRAM).parent
sys.path.insert(0, str(QUALITY))

from _data import open_cases, subset  # noqa: E402
from _nnunet import Length, Speed, fix_length  # noqa: E402
from _parts import MARK, Parts, marked  # noqa: E402
from _table import BEGIN, END, holm, page_tables, read_results, verdict  # noqa: E402


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


# --- the length of nnU-Net's training --------------------------------------------------------------------------------


def test_epochs_of_the_default_length_are_taken_where_ten_of_them_fit() -> None:
    epoch = 250 * 1.0 + 50 * 0.4 + 1.0
    assert fix_length(Speed(10, 1.0, 0.4, 1.0), 10 + 12.5 * epoch) == Length(epochs=12, iterations=250)


@pytest.mark.parametrize("minutes", [10, 30, 60])
def test_shorter_epochs_fill_the_budget_so_that_the_learning_rate_falls_in_time(minutes: int) -> None:
    speed = Speed(start_s=10, iteration_s=6.0, validation_s=2.0, epoch_end_s=1.0)
    length = fix_length(speed, 60 * minutes)
    took = 10 + length.epochs * speed.epoch_s(length.iterations)
    assert 10 <= length.epochs <= 30
    assert 0.95 * 60 * minutes < took <= 60 * minutes


def test_a_budget_too_short_for_ten_epochs_still_trains() -> None:
    speed = Speed(start_s=10, iteration_s=6.0, validation_s=2.0, epoch_end_s=1.0)
    assert fix_length(speed, 10 + 3 * 9.0) == Length(epochs=1, iterations=4)
    assert fix_length(speed, 5) == Length(epochs=1, iterations=1)


# --- rows that may be killed -----------------------------------------------------------------------------------------


def test_a_phase_that_ended_is_known_as_done_with_what_it_took(tmp_path: Path) -> None:
    said = Parts(tmp_path).run("count", python("print(sum(range(4_000_000)))"))
    again = Parts(tmp_path)
    assert said.strip() == "7999998000000"
    assert again.done("count")
    assert 0 < again.spent("count").cpu_s < 10
    assert again.spent("count").parts == 1


def test_a_phase_that_failed_tells_why_and_its_next_part_is_added_to_it(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such luck"):
        Parts(tmp_path).run("try", python("raise SystemExit('no such luck')"))
    assert not Parts(tmp_path).done("try")
    Parts(tmp_path).run("try", python("pass"))
    assert Parts(tmp_path).done("try")
    assert Parts(tmp_path).spent("try").parts == 2


def test_parts_of_a_phase_that_starts_anew_are_not_counted(tmp_path: Path) -> None:
    Parts(tmp_path).run("plan", python("pass"), anew=True)
    Parts(tmp_path).run("plan", python("pass"), anew=True)
    assert Parts(tmp_path).spent("plan").parts == 1


def test_a_killed_row_takes_its_command_along_and_has_written_what_it_took(tmp_path: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(QUALITY)!r}); import _parts; _parts.WRITE_EVERY_S = 0.1; "
    script += f"from pathlib import Path; _parts.Parts(Path({str(tmp_path)!r})).run('fit', ['sleep', '60'])"
    row = subprocess.Popen(python(script))
    until(lambda: (tmp_path / "parts.json").is_file() and marked(str(tmp_path)))
    os.kill(row.pid, signal.SIGKILL)
    row.wait()
    until(lambda: not marked(str(tmp_path)))
    (part,) = json.loads((tmp_path / "parts.json").read_text())
    assert part["ended"] is None
    assert 0 < part["wall_s"] < 30


def test_what_outlived_a_killed_row_is_ended_before_the_row_goes_on(tmp_path: Path) -> None:
    orphan = subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: str(tmp_path)})
    until(lambda: marked(str(tmp_path)) == [orphan.pid])
    Parts(tmp_path).run("fit", python("pass"))
    assert orphan.wait(timeout=5) == -signal.SIGTERM


def until(holds: object, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


# --- the cases -------------------------------------------------------------------------------------------------------


@pytest.fixture
def decathlon(tmp_path: Path) -> Path:
    """Twenty cases in the Decathlon's layout; nothing reads their voxels."""
    folder, pairs = tmp_path / "set", []
    for number in range(20):
        pair = {"image": f"./imagesTr/hip_{number:02}.nii.gz", "label": f"./labelsTr/hip_{number:02}.nii.gz"}
        for place in pair.values():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).touch()
        pairs.append(pair)
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    card = {"modality": {"0": "MRI"}, "labels": labels, "numTraining": 20, "training": pairs}
    (folder / "dataset.json").write_text(json.dumps(card))
    return folder


def test_settings_are_tried_on_cases_among_which_no_held_out_one_is(decathlon: Path, tmp_path: Path) -> None:
    outer = open_cases(decathlon)
    inner = subset(outer, outer.folds[0].training, tmp_path / "inner")
    held_out = set(outer.folds[0].validation)
    files = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "inner").rglob("*.nii.gz")}
    assert (len(held_out), len(inner.ids)) == (4, 16)
    assert not held_out & set(inner.ids)
    assert not held_out & files


def test_a_folder_with_other_cases_is_refused(decathlon: Path, tmp_path: Path) -> None:
    outer = open_cases(decathlon)
    subset(outer, outer.ids[:10], tmp_path / "some")
    with pytest.raises(SystemExit, match="other cases"):
        subset(outer, outer.ids[:12], tmp_path / "some")


def test_nnunet_is_given_the_fold_that_neuraxis_deals(decathlon: Path, tmp_path: Path) -> None:
    cases = open_cases(decathlon)
    cases.write_splits(tmp_path / "splits_final.json")
    first = json.loads((tmp_path / "splits_final.json").read_text())[0]
    assert first == {"train": list(cases.folds[0].training), "val": list(cases.folds[0].validation)}


# --- the tables ------------------------------------------------------------------------------------------------------


def result(who: str, minutes: int, seed: int, dice: list[float], **changes: object) -> dict[str, object]:
    cases = {
        f"hip_{n:02}": {"Anterior": {"dice": x + 0.01}, "Posterior": {"dice": x - 0.01}} for n, x in enumerate(dice)
    }
    mean = sum(dice) / len(dice)
    return {
        "who": who,
        "minutes": minutes,
        "seed": seed,
        "fold": 0,
        "command": f"python {PROGRAM} run --who {who} --minutes {minutes} --seed {seed} --into r",
        "machine": {"processor": "Abacus 3", "cores_used": 2, "memory_gb": 23.5},
        "warnings": [],
        "wall_s": 60.0 * minutes,
        "cpu_s": 100.0 * minutes,
        "parts": [{"phase": "fit"}],
        "data": {"held_out": len(dice), "split_hash": "a56af0dfffff"},
        "version": f"{who} 1.0",
        "training": {"steps": 100 * minutes},
        "settings": {"batch": "2" if who == "neuraxis" else "7", "steps": "1"},
        "scores": {
            "dice": {"mean": mean, "Anterior": mean + 0.01, "Posterior": mean - 0.01},
            "hd95_mm": {"mean": 1.25},
        },
        "undefined": {"dice": 0, "hd95_mm": 0},
        "cases": cases,
        **changes,
    }


DICE = [0.86, 0.87, 0.88, 0.89, 0.90]


def test_a_row_says_who_how_long_how_good_and_how_to_get_it_again() -> None:
    tables = page_tables([result("neuraxis", 10, 3, DICE)])
    row = "| neuraxis | Abacus 3 | 10 | 3 | 600 | 1000 | 1000 | **0.8800** | 0.8900 | 0.8700 | 1.25 | neuraxis 1.0 |"
    assert f"{row} `run --who neuraxis --minutes 10 --seed 3 --into r` |" in tables
    assert "n = 5 held-out cases of fold 0, split `a56af0df`" in tables
    assert "Abacus 3, 2 cores" in tables


def test_doubts_about_a_row_stand_below_the_table() -> None:
    parts = [{"phase": "fit"}, {"phase": "fit"}]
    doubtful = result("neuraxis", 10, 0, DICE, warnings=["the machine was busy"], parts=parts)
    tables = page_tables([result("neuraxis", 10, 1, DICE), doubtful])
    assert "| neuraxis [2] |" in tables
    assert "| neuraxis [1] |" not in tables
    assert "[2] the machine was busy; was interrupted: its times are the sum of its parts." in tables


def test_a_verdict_holds_the_margin_against_the_spread_of_seeds() -> None:
    better = [value + 0.02 for value in DICE]
    seeds = [result("neuraxis", 30, 0, better), result("neuraxis", 30, 1, [value + 0.01 for value in better])]
    theirs = [result("nnunet", 30, 0, DICE), result("nnunet", 30, 1, DICE)]
    tables = page_tables([*seeds, *theirs])
    assert (
        "| Abacus 3 | 30 | 0.9050 | 0.8800 | 2, 2 | 0.0100 | +0.0250 | +0.0250 to +0.0250 | 0.062 | neuraxis leads |"
        in tables
    )
    assert "Goal: mean Dice of at least 0.89 within 30 minutes: reached (lowest seed 0.9000)." in tables


def test_rows_of_different_processors_are_never_compared(tmp_path: Path) -> None:
    other = {"processor": "Abacus(R) 4 Processor", "cores_used": 2, "memory_gb": 23.5}
    rows = [result("neuraxis", 10, 0, DICE, machine=other), result("nnunet", 10, 0, DICE)]
    for place, row in zip(("a", "b"), rows, strict=True):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{row['who']}-10m-seed0.json").write_text(json.dumps(row))

    tables = page_tables(read_results(tmp_path))

    assert "| neuraxis | Abacus 4 | 10 |" in tables
    assert "| nnU-Net | Abacus 3 | 10 |" in tables
    assert "verdict" not in tables


@pytest.mark.parametrize(
    ("margin", "spread", "said"),
    [
        (0.02, 0.01, "neuraxis leads"),
        (-0.02, 0.01, "nnU-Net leads"),
        (0.01, 0.02, "no difference beyond the spread of seeds"),
        (0.02, None, "neuraxis leads; one seed tells no spread"),
    ],
)
def test_the_verdict_in_words(margin: float, spread: float | None, said: str) -> None:
    assert verdict(margin, spread) == said


def test_levels_are_corrected_for_their_number() -> None:
    assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]


def test_settings_that_differ_stand_side_by_side_without_the_steps() -> None:
    tables = page_tables([result("neuraxis", 10, 0, DICE), result("nnunet", 10, 0, DICE)])
    assert tables.endswith("| setting | neuraxis | nnU-Net |\n| --- | --- | --- |\n| batch | 2 | 7 |")


def test_results_of_different_splits_are_not_put_into_one_table(tmp_path: Path) -> None:
    other = {"held_out": 5, "split_hash": "b"}
    for content in (result("neuraxis", 10, 0, DICE), result("nnunet", 10, 0, DICE, data=other)):
        (tmp_path / f"{content['who']}-10m-seed0.json").write_text(json.dumps(content))
    with pytest.raises(SystemExit, match="2 splits"):
        read_results(tmp_path)


def test_the_page_shows_the_table_of_the_results_beside_it() -> None:
    page = (ROOT / "docs" / "results" / "hippocampus.md").read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == page_tables(read_results(ROOT / "docs" / "results" / "hippocampus"))
