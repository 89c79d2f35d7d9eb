from __future__ import annotations

import json
from pathlib import Path

from neuraxis.cli import main
from neuraxis.pipelines import steps


def test_a_dataset_is_prepared_into_a_store(toy: Path, tmp_path: Path, capsys) -> None:
    store = tmp_path / "prepared"
    assert main.run(["prepare", str(toy), "--into", str(store), "--set", "patches.batch=1"]) == 0
    shown = capsys.readouterr().out
    assert "6 cases are prepared." in shown
    assert f"neuraxis train {store} --into RUN" in shown
    assert (store / "store.json").is_file()
    assert main.run(["prepare", str(toy), "--into", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == [f"sub-{number}" for number in range(6)]


def test_every_option_reaches_the_training(tmp_path: Path, monkeypatch, capsys) -> None:
    calls = []

    def fake(store, into, fold, device, progress):
        calls.append((store, into, fold, device))
        return into / "model.nxb"

    monkeypatch.setattr(steps, "train_store", fake)
    assert main.run(["train", "prepared", "--into", "runs/a", "--fold", "3", "--device", "cuda:1"]) == 0
    assert calls == [(Path("prepared"), Path("runs/a"), 3, "cuda:1")]
    assert "model  runs/a/model.nxb" in capsys.readouterr().out
