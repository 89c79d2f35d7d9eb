from __future__ import annotations

import json
import shutil
from pathlib import Path

from neuraxis.cli import main
from neuraxis.pipelines import steps
from neuraxis.preparation.store import Store
from neuraxis.training.devices.options import Devices


def test_a_dataset_is_prepared_into_a_store(toy: Path, tmp_path: Path, capsys) -> None:
    store = tmp_path / "prepared"
    assert main.run(["prepare", str(toy), "--into", str(store), "--set", "patches.batch=1"]) == 0
    shown = capsys.readouterr().out
    assert "6 cases are prepared." in shown
    assert f"neuraxis train {store} --into RUN" in shown
    assert (store / "store.json").is_file()
    again = ["prepare", str(toy), "--into", str(store), "--set", "patches.batch=1", "--json"]
    assert main.run(again) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == [f"sub-{number}" for number in range(6)]


def test_a_store_of_other_decisions_is_replaced_only_when_told_to(toy: Path, tmp_path: Path, capsys) -> None:
    store = tmp_path / "prepared"
    asked = ["prepare", str(toy), "--into", str(store), "--set"]
    assert main.run([*asked, "training.steps=7"]) == 0
    before = (store / "recipe.toml").read_bytes()
    assert main.run([*asked, "training.steps=9"]) == 2
    assert "training.steps = 7, asked is 9" in capsys.readouterr().err
    assert (store / "recipe.toml").read_bytes() == before
    assert main.run([*asked, "training.steps=9", "--overwrite"]) == 0
    assert (store / "recipe.toml").read_bytes() != before


def test_replacing_a_store_by_one_of_other_data_leaves_no_case_of_the_old(toy: Path, tmp_path: Path, capsys) -> None:
    store, fewer = tmp_path / "prepared", tmp_path / "fewer"
    shutil.copytree(toy, fewer)
    for path in [*fewer.rglob("sub-5*")]:
        path.unlink()
    assert main.run(["prepare", str(toy), "--into", str(store)]) == 0
    assert main.run(["prepare", str(fewer), "--into", str(store)]) == 2
    assert "holds the store of other data or splits" in capsys.readouterr().err
    assert main.run(["prepare", str(fewer), "--into", str(store), "--overwrite"]) == 0
    assert Store(store).ids() == tuple(f"sub-{number}" for number in range(5))


def test_every_option_reaches_the_training(tmp_path: Path, monkeypatch, capsys) -> None:
    calls = []

    def fake(store, into, fold, device, progress, options):
        calls.append((store, into, fold, device, options))
        return into / "model.nxb"

    monkeypatch.setattr(steps, "train_store", fake)
    asked = "train prepared --into runs/a --fold 3 --device cuda --profile --devices 2 --deterministic"
    assert main.run([*asked.split(), "--preview", "a.nii.gz", "T1=b.nii.gz"]) == 0
    options = steps.TrainOptions(
        profile=True, previews=("a.nii.gz", "T1=b.nii.gz"), devices=Devices(2), deterministic=True
    )
    assert calls == [(Path("prepared"), Path("runs/a"), 3, "cuda", options)]
    assert "model  runs/a/model.nxb" in capsys.readouterr().out
