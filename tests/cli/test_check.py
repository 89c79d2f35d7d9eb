from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli import main
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def relabel(path: Path, value: int) -> None:
    volume = nifti.read(path)
    array = np.array(volume.array)
    array[0, 0, 0, 0] = value
    nifti.write(path, volume.with_array(array))


def test_findings_are_listed_and_do_not_forbid_a_training(toy: Path, capsys) -> None:
    shutil.copy(toy / "labelsTr" / "sub-0.nii.gz", toy / "labelsTr" / "sub-1.nii.gz")
    assert main.run(["check", str(toy)]) == 0
    shown = capsys.readouterr().out
    assert "toy: 6 labelled cases, layout nnunet, channels FLAIR, T1, structures lesion, cord" in shown
    assert "  warning  sub-0: the label maps of sub-0 and sub-1 hold the same bytes." in shown
    assert "Fit for training." in shown


def test_an_error_exits_with_3_and_stands_in_the_json(toy: Path, capsys) -> None:
    relabel(toy / "labelsTr" / "sub-5.nii.gz", 7)
    assert main.run(["check", str(toy), "--json"]) == 3
    content = json.loads(capsys.readouterr().out)
    assert content[0]["errors"] >= 1
    first = content[0]["findings"][0]
    assert (first["case"], first["severity"]) == ("sub-5", "error")
    assert first["advice"]


def test_a_scan_that_two_datasets_hold_forbids_one_training(toy: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other"
    shutil.copytree(toy, other)
    assert main.run(["check", str(toy), str(other)]) == 3
    shown = capsys.readouterr().out
    assert "Fit for training." in shown
    assert "toy+other: 12 labelled cases together" in shown
    assert "  error    other_sub-0: the images of other_sub-0 and toy_sub-0 hold the same bytes." in shown
    assert shown.rstrip().endswith("Not fit for one training.")
    assert main.run(["check", str(toy), str(other), "--json"]) == 3
    assert [part["dataset"] for part in json.loads(capsys.readouterr().out)] == ["toy", "other", "toy+other"]


def test_several_datasets_must_fit_together(toy: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other"
    shutil.copytree(toy, other)
    rng = np.random.default_rng(3)
    for path in sorted(other.rglob("*.nii.gz")):
        volume = nifti.read(path)
        drawn = rng.permutation(volume.array.ravel()).reshape(volume.array.shape)
        nifti.write(path, volume.with_array(drawn))
    assert main.run(["check", str(toy), str(other)]) == 0
    shown = capsys.readouterr().out
    assert "other: 6 labelled cases" in shown
    assert shown.rstrip().endswith("0 errors, 0 warnings. Fit for one training.")
    description = json.loads((other / "dataset.json").read_text())
    description["labels"] = {"background": 0, "lesion": 2, "cord": 1}
    (other / "dataset.json").write_text(json.dumps(description))
    assert main.run(["check", str(toy), str(other)]) == 3
    printed = capsys.readouterr()
    assert "Needed are the same" in printed.err
    assert "other: 6 labelled cases" in printed.out


def test_a_repaired_copy_is_written_and_checked(toy: Path, tmp_path: Path, capsys) -> None:
    path = toy / "imagesTr" / "sub-1_0000.nii.gz"
    volume = nifti.read(path)
    array = volume.array.astype(np.float32)
    array[0, 0, 0, 0] = np.nan
    nifti.write(path, volume.with_array(array))
    assert main.run(["check", str(toy)]) == 3
    capsys.readouterr()
    assert main.run(["check", str(toy), "--fix", "nan,affine", "--into", str(tmp_path / "mended")]) == 0
    shown = capsys.readouterr().out
    assert "  repaired sub-1: imagesTr/sub-1_0000.nii.gz: NaN became 0" in shown
    assert "1 repair (nan,affine) in the copy" in shown
    assert "Fit for training." in shown
    assert np.isnan(nifti.read(path).array).sum() == 1
    assert main.run(["check", str(toy), "--fix", "nan"]) == 2
    assert "--into" in capsys.readouterr().err
    assert main.run(["check", str(toy), "--into", "x"]) == 2


def test_a_scan_is_checked_and_repaired_by_itself(toy: Path, tmp_path: Path, capsys) -> None:
    path = toy / "imagesTr" / "sub-1_0000.nii.gz"
    assert main.run(["check", str(path)]) == 0
    assert "Fit for a segmentation." in capsys.readouterr().out
    volume = nifti.read(path)
    array = volume.array.astype(np.float32)
    array[0, 0, 0, 0] = np.inf
    scan = tmp_path / "new.nii.gz"
    nifti.write(scan, volume.with_array(array))
    assert main.run(["check", str(scan), "--json"]) == 3
    content = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in content["scans"][0]["findings"]] == ["not_finite"]
    assert main.run(["check", str(scan), "--fix", "nan", "--into", str(tmp_path / "mended")]) == 0
    assert np.isfinite(nifti.read(tmp_path / "mended" / "new.nii.gz").array).all()
    assert main.run(["check", str(tmp_path / "none.nii.gz")]) == 3
    assert "no such file" in capsys.readouterr().err


def test_scans_are_checked_for_a_model(toy: Path, capsys) -> None:
    model = ["--model", str(Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb")]
    assert main.run(["check", str(toy / "imagesTr"), *model]) == 0
    assert "sub-5: " in capsys.readouterr().out
    path = toy / "imagesTr" / "sub-1_0000.nii.gz"
    volume = nifti.read(path)
    wide = Grid(volume.grid.shape, volume.grid.affine @ np.diag([5.0, 5, 5, 1]))
    for channel in range(2):
        nifti.write(toy / "imagesTr" / f"sub-1_{channel:04d}.nii.gz", Volume(volume.array, wide))
    (toy / "imagesTr" / "sub-2_0001.nii.gz").unlink()
    assert main.run(["check", str(toy / "imagesTr"), *model, "--json"]) == 3
    seen = {scan["case"]: scan["findings"] for scan in json.loads(capsys.readouterr().out)["scans"]}
    assert [finding["code"] for finding in seen["sub-1"]] == ["spacing_unlike"]
    assert [finding["code"] for finding in seen["sub-2"]] == ["channel_missing"]


@pytest.mark.data
def test_real_scans_are_checked_and_planned(shared_data: Path, capsys) -> None:
    hippocampus = str(shared_data / "hippocampus-msd")
    assert main.run(["check", hippocampus]) == 0
    assert "200 labelled cases, layout msd" in capsys.readouterr().out
    assert main.run(["plan", hippocampus, "--recipe", "hippocampus", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["preparation"]["spacing_mm"] == [1, 1, 1]


def test_label_maps_are_checked_as_the_recipe_reads_them(toy: Path, capsys) -> None:
    relabel(toy / "labelsTr" / "sub-5.nii.gz", 7)
    assert main.run(["check", str(toy), "--set", "labels.map.7=1"]) == 0
    assert main.run(["check", str(toy), "--set", "labels.map.7=1", "--set", 'labels.merge.all=["lesion", "cord"]']) == 0
    assert "structures all" in capsys.readouterr().out


def test_a_folder_is_understood_as_told(toy: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "table.csv").write_text("index,name\n1,plaque\n")
    told = ["--layout", "nnunet", "--subject", "^(sub-[0-9])$", "--label-table", str(tmp_path / "table.csv")]
    assert main.run(["check", str(toy), *told]) == 0
    assert "structures plaque, cord" in capsys.readouterr().out
    assert main.run(["check", str(toy), "--layout", "bids"]) == 3
    assert "is not of the layout 'bids'. Looked for" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("told", "code", "words"),
    [
        (["--subject", "sub-."], 2, "has 0 groups"),
        (["--subject", "^(p.)"], 3, "finds no patient in this name"),
        (["--layout", "nnunett"], 2, "Did you mean 'nnunet'?"),
        (["--volume", "first"], 2, "needed is mean, or a number"),
        (["--label-table", "nothing.txt"], 3, "cannot be read"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_line(
    told: list[str], code: int, words: str, toy: Path, capsys
) -> None:
    assert main.run(["check", str(toy), *told]) == code
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1
