from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.cli.segment import exit_code
from neuraxis.pipelines.segment import SegmentResult

MODEL = str(Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_folder_of_scans_becomes_a_folder_of_segmentations(toy: Path, tmp_path: Path, capsys) -> None:
    into = tmp_path / "out"
    assert (
        main.run(["segment", str(toy / "imagesTr"), "--model", MODEL, "--into", str(into), "--precision", "fp32"]) == 0
    )
    shown = capsys.readouterr().out
    for number in range(6):
        assert (into / f"sub-{number}.nii.gz").is_file()
        assert f"sub-{number}  {into}/sub-{number}.nii.gz" in shown
    assert json.loads((into / "sub-0.json").read_text())["precision"] == "fp32"
    assert " mL" in shown


def test_json_tells_each_case_and_the_number_of_failures(toy: Path, tmp_path: Path, capsys) -> None:
    (toy / "imagesTr" / "sub-2_0001.nii.gz").write_text("broken")
    (toy / "imagesTr" / "sub-4_0000.nii.gz").unlink()
    into = tmp_path / "out"
    assert main.run(["segment", str(toy / "imagesTr"), "--model", MODEL, "--into", str(into), "--json"]) == 3
    printed = capsys.readouterr()
    content = json.loads(printed.out)
    assert content["failed"] == 2
    assert [case["case"] for case in content["cases"] if case["error"]] == ["sub-2", "sub-4"]
    assert content["cases"][0]["prediction"]["volumes_ml"].keys() == {"lesion", "cord"}
    assert "neuraxis: 2 of 6 scans failed; the others are done." in printed.err
    assert not (into / "sub-2.nii.gz").exists()
    assert (into / "sub-5.nii.gz").exists()


def test_runtime_and_probabilities_are_passed_on(toy: Path, tmp_path: Path, capsys) -> None:
    scan = [f"FLAIR={toy}/imagesTr/sub-0_0000.nii.gz", f"T1={toy}/imagesTr/sub-0_0001.nii.gz"]
    into = tmp_path / "one.nii.gz"
    assert main.run(["segment", *scan, "--model", MODEL, "--into", str(into), "--probabilities"]) == 0
    assert (tmp_path / "one_prob.nii.gz").is_file()
    assert main.run(["segment", *scan, "--model", MODEL, "--into", str(into), "--runtime", "openvno"]) == 2
    assert (
        main.run(["segment", *scan, "--model", MODEL, "--into", str(into), "--runtime", "openvno", "--overwrite"]) == 2
    )
    assert "Did you mean 'openvino'?" in capsys.readouterr().err


def test_a_batch_is_fine_only_where_every_scan_is() -> None:
    fine, broken, lacking = SegmentResult("a"), SegmentResult("b", exit_code=3), SegmentResult("c", exit_code=5)
    assert exit_code((fine, fine)) == 0
    assert exit_code((fine, broken, lacking)) == 3
