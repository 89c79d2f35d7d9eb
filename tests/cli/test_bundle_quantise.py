"""`neuraxis bundle quantise` and what follows from it: `bundle show`, `segment --precision int8`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.inference.runtimes import openvino as runtime

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


@pytest.fixture(autouse=True)
def able(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches are the test's own, and every processor is taken for one that has int8."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(runtime, "processor_has_int8", lambda: True)


def test_a_model_is_quantised_shows_its_loss_and_segments_in_int8(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, scan = str(tmp_path / "small.nxb"), [f"FLAIR={toy}/imagesTr/sub-0_0000.nii.gz"]
    scan += [f"T1={toy}/imagesTr/sub-0_0001.nii.gz"]
    asked = ["--data", str(toy), "--into", model, "--patches", "2", "--cases", "sub-1", "sub-4", "--json"]
    assert main.run(["bundle", "quantise", str(MODEL), *asked]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["int8"]["cases"], told["int8"]["calibration_cases"]) == (model, 2, 4)
    assert main.run(["bundle", "verify", model]) == 0
    assert main.run(["bundle", "show", model]) == 0
    shown = capsys.readouterr().out
    assert "int8 (2 cases: on cases that the networks may have been trained on; windows were not mirrored)" in shown
    assert "structure  Dice in fp32" in shown
    loss = told["int8"]["dice_loss"]
    assert f"{loss:.4f}" in shown.splitlines()[-1]
    into = tmp_path / "seg.nii.gz"
    assert main.run(["segment", *scan, "--model", model, "--into", str(into), "--precision", "int8"]) == 0
    assert json.loads((tmp_path / "seg.json").read_text())["precision"] == "int8"


def test_a_model_that_was_not_quantised_is_refused_with_what_to_type(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = ["segment", str(toy / "imagesTr"), "--model", str(MODEL), "--into", str(tmp_path / "out")]
    assert main.run([*scans, "--precision", "int8"]) == 4
    (line,) = capsys.readouterr().err.splitlines()
    assert "fold 0 was not quantised" in line
    assert f"neuraxis bundle quantise {MODEL} --data DATASET" in line
    assert main.run([*scans, "--precision", "int8", "--runtime", "torch", "--overwrite"]) == 2
    assert main.run([*scans, "--precision", "int8", "--runtime", "onnx", "--overwrite"]) == 2
    torch, onnx = capsys.readouterr().err.splitlines()
    assert "'torch' does not compute in int8. Choose --runtime openvino" in torch
    assert "'onnx' computes in fp32 alone. Leave --precision int8 out" in onnx


def test_refusals_are_one_line_with_their_exit_code(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(shutil.copy(MODEL, tmp_path / "model.nxb"))
    quantise = ["bundle", "quantise", model, "--data"]
    assert main.run([*quantise, str(tmp_path / "nowhere")]) == 3
    assert main.run([*quantise, str(toy), "--cases", "sub-9"]) == 2
    assert main.run([*quantise, str(toy), "--patches", "0"]) == 2
    assert main.run([*quantise, str(toy), "--into", model]) == 2
    assert main.run([*quantise, str(toy), "--into", str(tmp_path / "model.zip")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_the_help_of_export_points_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["bundle", "export", "--help"]) == 0
    assert "neuraxis bundle quantise" in " ".join(capsys.readouterr().out.split())
