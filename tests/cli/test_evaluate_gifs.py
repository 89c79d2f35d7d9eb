from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from neuraxis.cli import main
from neuraxis.files import write_json
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def test_the_worst_case_is_written_as_a_moving_picture(toy: Path, tmp_path: Path, capsys) -> None:
    predictions, into = tmp_path / "predictions", tmp_path / "scores"
    predictions.mkdir()
    for path in (toy / "labelsTr").glob("*.nii.gz"):
        volume = nifti.read(path)
        worse = np.roll(volume.array, 2, axis=1) if path.name.startswith("sub-3.") else volume.array
        nifti.write(predictions / path.name, volume.with_array(worse))
    assert main.run(["evaluate", str(predictions), str(toy), "--into", str(into), "--gif", "worst", "sub-1"]) == 0
    assert sorted(path.name for path in (into / "gifs").iterdir()) == ["sub-1.gif", "sub-3.gif"]
    assert Image.open(io.BytesIO((into / "gifs" / "sub-3.gif").read_bytes())).n_frames > 1
    capsys.readouterr()


def test_a_scan_of_several_volumes_is_shown_through_time_too(tmp_path: Path, capsys) -> None:
    data, into = tmp_path / "data", tmp_path / "scores"
    (data / "imagesTr").mkdir(parents=True)
    (data / "labelsTr").mkdir()
    series = np.random.default_rng(0).normal(100, 20, (6, 12, 12, 5)).astype(np.float32)
    label = np.zeros((1, 12, 12, 5), np.uint8)
    label[0, 4:7, 4:7, 2] = 1
    nifti.write(data / "imagesTr" / "run.nii.gz", Volume(series, Grid((12, 12, 5), np.eye(4))))
    nifti.write(data / "labelsTr" / "run.nii.gz", Volume(label, Grid((12, 12, 5), np.eye(4))))
    description = {"name": "epi", "tensorImageSize": "4D", "modality": {"0": "EPI"}, "numTraining": 1}
    files = {"image": "./imagesTr/run.nii.gz", "label": "./labelsTr/run.nii.gz"}
    labels = {"0": "background", "1": "cord"}
    write_json(data / "dataset.json", {**description, "labels": labels, "training": [files]})
    assert main.run(["evaluate", str(data / "labelsTr"), str(data), "--into", str(into), "--gif", "run"]) == 0
    assert sorted(path.name for path in (into / "gifs").iterdir()) == ["run.gif", "run_time.gif"]
    assert Image.open(into / "gifs" / "run_time.gif").n_frames == 6
    capsys.readouterr()


def test_a_case_that_was_not_scored_is_answered_with_the_nearest(toy: Path, tmp_path: Path, capsys) -> None:
    command = ["evaluate", str(toy / "labelsTr"), str(toy), "--gif", "sub-l"]
    assert main.run([*command, "--into", str(tmp_path / "s")]) == 2
    assert "--gif sub-l: no such case was scored. Did you mean 'sub-" in capsys.readouterr().err
    assert main.run(command) == 2
    assert "--gif: writes files" in capsys.readouterr().err
