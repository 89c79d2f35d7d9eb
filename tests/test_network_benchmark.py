"""The networks' comparison: rows that fail alone, tables and a figure that say what results hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from neuraxis.files import read_json

ROOT = Path(__file__).parents[1]
QUALITY = ROOT / "benchmarks" / "quality"
sys.path.insert(0, str(QUALITY))

from _data import open_cases  # noqa: E402
from _network_figure import draw  # noqa: E402
from _network_row import Ground, is_made, last_line, make_row, reason_to_leave_out, row_of  # noqa: E402
from _network_table import BEGIN, page_tables, read_results  # noqa: E402
from _table import END  # noqa: E402

RESULTS = ROOT / "docs" / "results"


def result(network: str, dice: list[float], dataset: str = "phantom", **changes: object) -> dict[str, object]:
    mean = sum(dice) / len(dice)
    cost = {"parameters": 4_000_000, "gflops_a_patch": 5.0, "train_cpu_s": 110.0, "train_gb": 1.5,
            "predict_s": 0.3, "predict_cpu_s": 0.5, "predict_gb": 0.4}  # fmt: skip
    return {
        "dataset": dataset,
        "network": network,
        "minutes": 1.0,
        "seed": 0,
        "fold": 0,
        "began": "2026-11-22T03:00:00+00:00",
        "commit": "abc1234",
        "machine": {"processor": "Abacus 3", "cores_used": 2, "memory_gb": 24.0},
        "versions": {"neuraxis": "0.1.0"},
        "warnings": [],
        "plan": "common patch",
        "patch": [32, 32, 32],
        "batch": 2,
        "steps": 40,
        "cost": cost,
        "settings": {"precision": "bf16"},
        "data": {"training": 24, "held_out": len(dice), "split_hash": "a56af0dfffff"},
        "scores": {"dice": {"mean": mean, "core": mean}, "hd95_mm": {"mean": 2.5, "core": 2.5}},
        "undefined": {"dice": 0, "hd95_mm": 0},
        "cases": {f"case-{n}": {"core": {"dice": value}} for n, value in enumerate(dice)},
        **changes,
    }


DICE = [0.5, 0.6, 0.7, 0.55, 0.65, 0.6]
BETTER, WORSE = [value + 0.1 for value in DICE], [value - 0.2 for value in DICE]
MIXED = [value + (0.1 if place % 2 else -0.1) for place, value in enumerate(DICE)]


def test_rows_stand_in_the_order_of_their_dice_with_what_they_cost() -> None:
    tables = page_tables([result("segformer3d", DICE), result("unet", BETTER)])
    first, second = [line for line in tables.splitlines() if line.startswith(("| unet", "| segformer3d"))]
    assert first == "| unet | 40 | **0.7000** | 2.50 | 4.0 | 5 | 0.50 | 1.5 | 0.4 | 110 |"
    assert second.startswith("| segformer3d | 40 | **0.6000** |")


def test_it_is_said_to_whom_the_small_transformer_loses_and_by_how_much() -> None:
    rows = [result("segformer3d", DICE), result("unet", BETTER), result("tiny", WORSE), result("odd", MIXED)]
    tables = page_tables(rows)
    assert "`segformer3d` takes place" in tables
    assert "It loses to 1 of 3 networks: `unet` (+0.100, +0.100 to +0.100)." in tables
    assert "No difference beyond what cases differ by: `odd` (+0.000," in tables
    assert "It is better than `tiny` (-0.200, -0.200 to -0.200)." in tables
    assert "| core | 0.6000 | 0.7000 | -0.1000 | 2.50 | 2.50 |" in tables
    assert "100% of its parameters" in tables


def test_a_patch_of_its_own_and_undefined_scores_stand_below_the_table() -> None:
    own = result("flat", WORSE, plan="slices", patch=[48, 48, 1], batch=12, undefined={"dice": 0, "hd95_mm": 3})
    tables = page_tables([result("unet", BETTER), own])
    assert "| flat [2] |" in tables
    assert "[2] slices: batches of 12 of 48 x 48 x 1 voxels; hd95_mm undefined 3 times." in tables
    assert "Batches of 2 patches of 32 x 32 x 32 voxels." in tables


def test_a_network_without_scores_stands_apart_with_its_reason() -> None:
    failed = {key: value for key, value in result("large", DICE).items() if key not in ("scores", "cases", "data")}
    tables = page_tables([result("unet", BETTER), {**failed, "problem": "no memory is left"}])
    assert tables.endswith("## Without a row\n\n* `large` (phantom): no memory is left")


def test_results_of_other_minutes_or_splits_are_not_put_into_one_table(tmp_path: Path) -> None:
    other = {"training": 24, "held_out": 6, "split_hash": "b"}
    for changes in ({"minutes": 2.0}, {"data": other}):
        for name, content in (("a", result("unet", DICE)), ("b", result("segresnet", DICE, **changes))):
            (tmp_path / f"{name}-1m-seed0.json").write_text(json.dumps(content))
        with pytest.raises(SystemExit, match="folders apart"):
            read_results(tmp_path)


def test_the_same_results_give_the_same_figure_that_names_every_network(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [result(name, DICE, dataset) for name in ("segformer3d", "unet", "tiny") for dataset in ("one", "two")]
    draw(rows, tmp_path / "first.svg")
    draw(rows, tmp_path / "second.svg")
    text = (tmp_path / "first.svg").read_text("utf-8")
    assert text == (tmp_path / "second.svg").read_text("utf-8")
    assert all(text.count(f">{name}</text>") == 2 for name in ("segformer3d", "unet", "tiny"))


def test_networks_that_begin_with_weights_from_elsewhere_are_left_out_with_the_reason(monkeypatch) -> None:
    from neuraxis.networks.catalog import NETWORKS
    from neuraxis.registry import Entry

    monkeypatch.setitem(NETWORKS.entries, "prompted", Entry("somewhere:Prompted", "a large one", "sam"))
    assert reason_to_leave_out("unet") == ""
    assert "needs the extra sam" in reason_to_leave_out("prompted")


@pytest.fixture
def ground(toy_dataset: Path, tmp_path: Path) -> Ground:
    return Ground("toy", open_cases(toy_dataset), (16, 16, 16), 2, tmp_path / "prepared")


def test_a_network_that_fails_says_why_in_its_row_and_is_tried_again(ground: Ground, tmp_path: Path) -> None:
    row = row_of(ground, "nonesuch", 0.01, 0, tmp_path)
    made = make_row(ground, "nonesuch", row, None)
    assert made["problem"].startswith("No network is called 'nonesuch'.")
    assert read_json(row.result) == made
    assert not is_made(row)


def test_the_last_thing_that_a_program_said_is_its_reason() -> None:
    assert last_line("python x.py ended with 1:\nTraceback\n  line\nValueError: no room\n\n") == "ValueError: no room"


@pytest.mark.long
def test_a_row_has_scores_of_every_held_out_case_and_what_it_cost(ground: Ground, tmp_path: Path) -> None:
    row = row_of(ground, "segformer3d", 0.02, 0, tmp_path)
    make_row(ground, "segformer3d", row, None)
    made = read_json(row.result)
    assert is_made(row)
    assert set(made["cases"]) == set(ground.cases.folds[0].validation)
    assert (made["patch"], made["batch"], made["plan"]) == ([16, 16, 16], 2, "common patch")
    assert made["steps"] >= 1
    assert all(made["cost"][key] > 0 for key in ("parameters", "gflops_a_patch", "predict_cpu_s", "train_gb"))
    assert not (row.folder / "run").exists()


def test_the_page_shows_the_tables_of_the_results_beside_it() -> None:
    page = (RESULTS / "networks.md").read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    results = read_results(RESULTS / "networks")
    assert shown == page_tables(results, "networks.svg")
    assert (RESULTS / "networks.svg").is_file() == bool(results)
