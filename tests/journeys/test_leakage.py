"""One scan under two patients: what each verb does with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import neuraxis as nx
from neuraxis.cli.main import run
from neuraxis.errors import DataError
from neuraxis.files import read_json


@pytest.fixture(scope="module")
def leaky(toy_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy with its first image mirrored and shifted in place of another."""
    folder = tmp_path_factory.mktemp("leaky") / "Dataset001_Toy"
    shutil.copytree(toy_dataset, folder)
    image = nib.load(folder / "imagesTr" / "toy_00_0000.nii.gz")
    moved = np.roll(np.asarray(image.dataobj), (1, 2), (0, 1))[:, ::-1].astype(np.float32)
    nib.save(nib.Nifti1Image(moved, image.affine), folder / "imagesTr" / "toy_06_0000.nii.gz")
    return folder


def test_fit_stops_and_plan_warns(leaky: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fit", str(leaky), "--into", str(tmp_path / "run"), "--device", "cpu"]) == 3
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert "toy_00 and toy_06 show one scan, mirrored along y and shifted by 1, 2, 0 voxels" in told.replace("-2", "2")
    assert "--allow-leak" in told
    assert not (tmp_path / "run").exists()
    assert run(["plan", str(leaky), "--json"]) == 0
    captured = capsys.readouterr()
    assert "toy_00 and toy_06 show one scan" in captured.err
    assert json.loads(captured.out)["recipe"]


def test_train_stops_unless_it_is_allowed(leaky: Path, toy_settings: tuple[str, ...], tmp_path: Path) -> None:
    store = nx.prepare(leaky, "auto", tmp_path / "auto")
    with pytest.raises(DataError, match="toy_00 and toy_06 show one scan"):
        nx.train(store, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_allowed_leak_is_on_record(leaky: Path, toy_settings: tuple[str, ...], tmp_path: Path) -> None:
    run = nx.fit(leaky, tmp_path / "run", settings=[*toy_settings, "training.steps=4"], device="cpu", allow_leak=True)
    content = read_json(tmp_path / "run" / "run.json")
    assert [leak["code"] for leak in content["leaks_allowed"]] == ["copied_scan"]
    assert content["request"]["allow_leak"] is True
    report = run.report.read_text()
    assert "1 allowed, so that scores may be too good" in report
    assert "too good" in " ".join(nx.open_bundle(run.bundle).card["limits"])
