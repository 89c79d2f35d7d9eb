"""The benchmark of exactness: files that lie otherwise hold the same voxels, and the table says what was found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from _agreement import Case, Row, Structure, compare, crop_around, cropped, store  # noqa: E402
from _agreement_table import BEGIN, END, Result, goals, in_page, read_results, show  # noqa: E402
from _peer import Peer  # noqa: E402
from _trained import set_window  # noqa: E402

GRID = Grid((3, 4, 5), np.array([[2.0, 0, 0, -7], [0, 1, 0, 3], [0, 0, 1.5, 11], [0, 0, 0, 1]]))


def scan(array: np.ndarray | None = None) -> Volume:
    content = np.arange(60, dtype=np.int16).reshape(1, 3, 4, 5) if array is None else array
    return Volume(content, Grid((content.shape[1], content.shape[2], content.shape[3]), GRID.affine))


# --- how files lie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["RAS", "LAS", "PIR"])
def test_a_file_that_lies_otherwise_holds_the_same_voxels_in_the_same_places(how: str, tmp_path: Path) -> None:
    nifti.write(tmp_path / "scan.nii.gz", store(scan(), how))
    back = nifti.read(tmp_path / "scan.nii.gz")
    assert back.stored is not None
    assert back.stored.grid.axis_codes == how
    assert np.array_equal(back.array, scan().array)
    assert back.grid.matches(GRID)


def test_an_oblique_file_is_tilted_by_fifteen_degrees_and_keeps_its_voxels(tmp_path: Path) -> None:
    nifti.write(tmp_path / "scan.nii.gz", store(scan(), "oblique"))
    back = nifti.read(tmp_path / "scan.nii.gz")
    up = back.grid.affine[:3, 2] / back.grid.spacing_mm[2]
    assert np.rad2deg(np.arccos(up[2])) == pytest.approx(15, abs=1e-4)
    assert back.grid.spacing_mm == pytest.approx(GRID.spacing_mm, abs=1e-5)
    assert np.array_equal(back.array, scan().array)


def test_a_crop_around_what_is_labelled_stays_within_the_volume_and_where_it_lay() -> None:
    label = np.zeros((1, 3, 4, 5), np.uint8)
    label[0, 2, 0, 3] = 1
    box = crop_around(label, (2, 2, 2))
    part = cropped(scan(label), box)
    assert part.array.shape == (1, 2, 2, 2)
    assert part.array.sum() == 1
    place = np.argwhere(part.array[0])[0]
    assert part.grid.affine @ [*place, 1] == pytest.approx(GRID.affine @ [2, 0, 3, 1])


# --- the comparison --------------------------------------------------------------------------------------------------


def written(folder: Path, name: str, numbers: list[int]) -> Path:
    array = np.zeros((1, 3, 4, 5), np.uint8)
    array[0].flat[: len(numbers)] = numbers
    nifti.write(folder / name / "a-RAS.nii.gz", scan(array))
    return folder / name / "a-RAS.nii.gz"


def test_two_results_are_compared_with_each_other_and_with_the_manual_label(tmp_path: Path) -> None:
    paths = [
        written(tmp_path, name, numbers)
        for name, numbers in (("ours", [1, 1, 2]), ("theirs", [1, 1, 1, 2]), ("manual", [1, 0, 0, 2, 3]))
    ]
    case = compare(*paths)
    assert (case.id, case.equal, case.voxels) == ("a-RAS", 58, 60)
    first, second, third = case.structures
    assert first == Structure(1, 0.009, 0.8, 0.666667, 0.5)
    assert second == Structure(2, 0.003, 0.0, 0.0, 1.0)
    assert third == Structure(3, 0.0, None, 0.0, 0.0)
    assert case.dice == pytest.approx(0.4)


def test_a_result_that_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    manual = written(tmp_path, "manual", [1])
    moved = tmp_path / "moved.nii.gz"
    nifti.write(moved, store(nifti.read(manual), "oblique"))
    with pytest.raises(SystemExit, match="does not lie where"):
        compare(moved, manual, manual)


# --- tables and goals ------------------------------------------------------------------------------------------------


def row(precision: str = "fp32", equal: int = 1_000_000, dice: float = 1.0, ours: float = 0.85, ml: float = 6.0) -> Row:
    structures = (Structure(1, ml, dice, ours, 0.85), Structure(2, 1.0, dice, 0.85, 0.85))
    return Row("PIR", False, precision, (Case("a-PIR", equal, 1_000_000, structures),))


def said(*rows: Row, name: str = "hippocampus-3d") -> list[str]:
    return list(goals(Result(name, (), rows)))


def test_a_row_is_read_back_as_it_was_kept() -> None:
    kept = row("default", 999_900, 0.9991)
    assert Row.from_json(json.loads(json.dumps(kept.as_json()))) == kept


def test_every_goal_is_said_to_be_reached_where_the_results_are_the_same() -> None:
    lines = said(row(), row("default"), name="brain") + said(row(), row("default"))
    assert len(lines) == 10
    assert all(line.endswith(", reached") for line in lines)


@pytest.mark.parametrize(
    ("rows", "goal"),
    [
        ((row(equal=999_899), row("default")), "fp32: voxels equal"),
        ((row(), row(dice=0.9998), row("default")), "fp32: mean Dice"),
        ((row(), row("default", dice=0.9984, ml=4.9)), "default: mean Dice to nnU-Net"),
        ((row(), row("default", dice=0.9989)), "structures above 5 mL"),
        ((row(), row("default", ours=0.8488)), "Dice to the manual labels"),
    ],
)
def test_the_worst_row_decides_whether_a_goal_is_missed(rows: tuple[Row, ...], goal: str) -> None:
    missed = [line for line in said(*rows) if line.endswith(", missed")]
    assert [goal in line for line in missed] == [True]


def test_a_model_that_scores_too_low_itself_proves_nothing() -> None:
    poor = Row("as they are", False, "fp32", (Case("a-x", 9, 9, (Structure(1, 6.0, 1.0, 0.59, 0.59),)),))
    assert said(poor, row("default"), name="brain")[-1].endswith("0.5900, missed")


def test_the_plan_gets_another_window_and_halves_it_at_every_stage(tmp_path: Path) -> None:
    peer = Peer(tmp_path, tmp_path)
    path = tmp_path / "preprocessed" / peer.name / "nnUNetPlans.json"
    path.parent.mkdir(parents=True)
    network = {"arch_kwargs": {"strides": [[1, 1, 1], [2, 2, 2], [2, 2, 1]]}}
    plan = {"patch_size": [128, 160, 112], "architecture": network}
    path.write_text(json.dumps({"configurations": {"3d_fullres": plan}}))
    set_window(peer, (128, 128, 128))
    set_plan = json.loads(path.read_text())["configurations"]["3d_fullres"]
    assert set_plan["patch_size"] == [128, 128, 128]
    assert set_plan["architecture"]["arch_kwargs"]["strides"] == [[1, 1, 1], [2, 2, 2], [2, 2, 2]]


def test_the_page_shows_the_tables_of_the_results_beside_it() -> None:
    page = (ROOT / "docs" / "results" / "exactness.md").read_text("utf-8")
    shown = page.partition(BEGIN)[2].partition(END)[0].strip()
    assert shown == in_page(show(read_results(ROOT / "docs" / "results" / "exactness")))
