"""`neuraxis bundle export`: what it writes, and what each refusal exits with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuraxis.cli import main

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def export(form: str, into: Path, *more: str) -> int:
    return main.run(["bundle", "export", str(MODEL), "--to", form, "--into", str(into), *more])


def test_it_tells_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out"
    assert export("onnx", place) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(str(place))
    assert all(f"  {name} " in shown for name in ("fold-0.onnx", "model.json"))


def test_json_names_every_file_and_its_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out"
    assert export("monai", place, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["path"], told["to"]) == (str(place), "monai")
    assert {name: (place / name).stat().st_size for name in told["files"]} == told["files"]
    assert {"configs/metadata.json", "models/model.ts"} <= set(told["files"])


def test_what_it_writes_as_a_folder_is_a_whole_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("folder", tmp_path / "out") == 0
    assert main.run(["bundle", "verify", str(tmp_path / "out")]) == 0


def test_refusals_are_one_line_with_their_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "broken.nxb").write_bytes(b"no zip")
    broken = ["bundle", "export", str(tmp_path / "broken.nxb"), "--to", "folder", "--into", str(tmp_path / "new")]
    assert export("folder", tmp_path / "out") == 2
    assert export("folders", tmp_path / "new") == 2
    assert main.run(broken) == 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert "exists already" in said[0]
    assert "Did you mean 'folder'?" in said[1]
    assert not (tmp_path / "new").exists()
