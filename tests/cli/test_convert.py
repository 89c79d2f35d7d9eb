"""`neuraxis convert`, and the forms of `neuraxis segment`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main

MODEL = str(Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_it_tells_what_it_wrote_and_what_failed(toy: Path, tmp_path: Path, capsys) -> None:
    (toy / "labelsTr" / "sub-2.nii.gz").write_text("broken")
    into = tmp_path / "out"
    assert main.run(["convert", str(toy / "labelsTr"), "--as", "glb", "--into", str(into)]) == 3
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"{into}/sub-{number}.glb" for number in (0, 1, 3, 4, 5)]
    assert "neuraxis: 1 of 6 files failed; the others are done." in printed.err
    assert main.run(["convert", str(toy / "labelsTr/sub-0.nii.gz"), "--as", "glb", "--into", str(into)]) == 2
    assert "sub-0.glb exists already" in capsys.readouterr().err


def test_json_tells_each_file(toy: Path, tmp_path: Path, capsys) -> None:
    source, into = toy / "labelsTr" / "sub-1.nii.gz", tmp_path / "one.nii"
    assert main.run(["convert", str(source), "--as", "nifti", "--into", str(into), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["files"] == [{"source": str(source), "path": str(into), "error": None, "exit_code": 0}]
    assert content["failed"] == 0


def test_segment_writes_further_forms_and_tells_them(toy: Path, tmp_path: Path, capsys) -> None:
    scan = [f"FLAIR={toy}/imagesTr/sub-0_0000.nii.gz", f"T1={toy}/imagesTr/sub-0_0001.nii.gz"]
    into = tmp_path / "one.nii.gz"
    assert main.run(["segment", *scan, "--model", MODEL, "--into", str(into), "--as", "glb"]) == 0
    assert f"  also {tmp_path}/one.glb" in capsys.readouterr().out
    assert (tmp_path / "one.glb").is_file()
    into = tmp_path / "two.nii.gz"
    assert main.run(["segment", *scan, "--model", MODEL, "--into", str(into), "--as", "dicom-sag"]) == 2
    assert not into.exists()
