"""What a user sees who gets it wrong: one line that says what to do, the right exit code, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


def files_in(folder: Path) -> list[str]:
    caches = {".cache"}
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if caches.isdisjoint(path.parts))


@pytest.mark.parametrize(
    ("arguments", "code", "answer"),
    [
        ("fti toy", 2, 'Unknown command "fti". Did you mean "fit"?'),
        ("fit toy --set traning.steps=3", 2, "No recipe has the key 'traning'. Did you mean 'training'?"),
        ("fit toy --set training.step=3", 2, "Did you mean 'training.steps'?"),
        ("fit toy --set network.name=unett", 2, "No network is called 'unett'. Did you mean 'unet'?"),
        ("fit toy --set training.steps", 2, "--set training.steps: needed is key=value"),
        ("fit toy --recipe hipocampus", 2, "No recipe is called 'hipocampus'. Did you mean 'hippocampus'?"),
        ("fit toy --recipe lost.toml", 2, "lost.toml: cannot be read"),
        ("fit toy --budget 20", 2, "--budget 20: has no unit."),
        ("fit toy --repeat lost", 2, "--repeat lost: is not the folder of a run"),
        ("fit lost --into runs/a", 3, "lost: no such folder."),
        ("check lost", 3, "lost: no such folder."),
        ("plan lost --into plan.toml", 3, "lost: no such folder."),
        ("plan toy --into toy/dataset.json", 2, "toy/dataset.json exists already."),
        ("prepare lost --into prepared", 3, "lost: no such folder."),
        ("prepare toy --into toy", 2, "toy: holds files that are not of a store."),
        ("segment toy/imagesTr --model lost.nxb --into out", 4, "lost.nxb: no such bundle."),
        ("segment toy/imagesTr --model toy/dataset.json --into out", 4, "is not a readable bundle file"),
        ("segment lost.nii.gz --model MODEL --into out", 3, "lost.nii.gz"),
        ("segment FLIAR=toy/imagesTr/sub-0_0000.nii.gz --model MODEL --into out", 3, "Did you mean 'FLAIR'?"),
        ("segment toy/imagesTr --model MODEL --into toy/dataset.json", 2, "is a file that is no scan"),
        ("evaluate lost toy", 3, "lost: no such file or folder."),
        ("evaluate toy/labelsTr toy --into toy/dataset.json", 2, "is a file. Name a folder with --into."),
        ("bundle verify lost.nxb", 4, "lost.nxb: no such bundle."),
        ("catalog netwoks", 2, "Did you mean 'networks'?"),
    ],
)
def test_a_mistake_is_answered_in_one_line_and_leaves_nothing_behind(
    arguments: str, code: int, answer: str, toy: Path, tmp_path: Path, neuraxis
) -> None:
    before = files_in(tmp_path)
    done = neuraxis(*arguments.replace("MODEL", str(MODEL)).split())
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("neuraxis: ")
    assert answer in done.stderr
    assert done.stderr.count("\n") == 1
    assert files_in(tmp_path) == before


def test_a_result_that_exists_is_replaced_only_where_that_is_allowed(toy: Path, tmp_path: Path, neuraxis) -> None:
    scan = ["FLAIR=toy/imagesTr/sub-0_0000.nii.gz", "T1=toy/imagesTr/sub-0_0001.nii.gz"]
    (tmp_path / "out.nii.gz").write_text("mine")
    refused = neuraxis("segment", *scan, "--model", MODEL, "--into", "out.nii.gz")
    assert refused.returncode == 2
    assert "out.nii.gz exists already" in refused.stderr
    assert "--overwrite" in refused.stderr
    assert (tmp_path / "out.nii.gz").read_text() == "mine"
    allowed = neuraxis("segment", *scan, "--model", MODEL, "--into", "out.nii.gz", "--overwrite")
    assert allowed.returncode == 0, allowed.stderr
    assert (tmp_path / "out.nii.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_scores_that_exist_are_refused_before_anything_is_scored(toy: Path, tmp_path: Path, neuraxis) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "report.html").write_text("mine")
    refused = neuraxis("evaluate", "toy/labelsTr", "toy", "--into", "scores")
    assert refused.returncode == 2
    assert files_in(tmp_path / "scores") == ["report.html"]
    allowed = neuraxis("evaluate", "toy/labelsTr", "toy", "--into", "scores", "--overwrite")
    assert allowed.returncode == 0, allowed.stderr
    assert files_in(tmp_path / "scores") == ["report.html", "scores.csv", "summary.json"]


def test_a_broken_dataset_is_refused_with_the_case_and_the_advice(toy: Path, neuraxis) -> None:
    (toy / "labelsTr" / "sub-3.nii.gz").write_bytes(b"\x1f\x8b broken")
    checked = neuraxis("check", "toy")
    assert checked.returncode == 3
    assert "error" in checked.stdout
    assert "sub-3" in checked.stdout
    assert "Not fit for training." in checked.stdout
    planned = neuraxis("plan", "toy")
    assert planned.returncode == 3
    assert "sub-3" in planned.stderr
    assert planned.stderr.count("\n") == 1
