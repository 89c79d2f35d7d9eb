from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from neuraxis.cli import main
from neuraxis.volume.formats import nifti


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


def test_several_datasets_must_fit_together(toy: Path, tmp_path: Path, capsys) -> None:
    other = tmp_path / "other"
    shutil.copytree(toy, other)
    assert main.run(["check", str(toy), str(other)]) == 0
    assert "other: 6 labelled cases" in capsys.readouterr().out
    description = json.loads((other / "dataset.json").read_text())
    description["labels"] = {"background": 0, "lesion": 2, "cord": 1}
    (other / "dataset.json").write_text(json.dumps(description))
    assert main.run(["check", str(toy), str(other)]) == 3
    printed = capsys.readouterr()
    assert "Needed are the same" in printed.err
    assert "other: 6 labelled cases" in printed.out


@pytest.mark.data
def test_real_scans_are_checked_and_planned(shared_data: Path, capsys) -> None:
    hippocampus = str(shared_data / "hippocampus-msd")
    assert main.run(["check", hippocampus]) == 0
    assert "200 labelled cases, layout msd" in capsys.readouterr().out
    assert main.run(["plan", hippocampus, "--recipe", "hippocampus", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["preparation"]["spacing_mm"] == [1, 1, 1]
