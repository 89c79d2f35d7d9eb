from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from neuraxis.cli import main

MODEL = Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_a_model_shows_what_it_is_and_how_good_it_was(capsys) -> None:
    assert main.run(["bundle", "show", str(MODEL)]) == 0
    shown = capsys.readouterr().out
    assert "segments      lesion, cord" in shown
    assert "channels      FLAIR (MRI), T1 (MRI)" in shown
    assert "Research use only, not a medical device." in shown
    assert "lesion     dice    5  0.500  0.100   0.500  0.400 to 0.600" in shown


def test_json_is_the_whole_card(capsys) -> None:
    assert main.run(["bundle", "show", str(MODEL), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"]["names"]["cord"] == 2


def test_a_whole_bundle_is_verified_and_a_changed_one_refused(tmp_path: Path, capsys) -> None:
    assert main.run(["bundle", "verify", str(MODEL)]) == 0
    assert f"{MODEL}: whole, fixture, 1 fold(s)" in capsys.readouterr().out
    changed = tmp_path / "changed.nxb"
    shutil.copy(MODEL, changed)
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    assert main.run(["bundle", "verify", str(changed)]) == 4
    assert "changed.nxb" in capsys.readouterr().err
