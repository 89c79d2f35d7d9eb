from __future__ import annotations

import json
import re

import pytest

from neuraxis.cli import main


def test_all_kinds_are_listed_with_what_each_name_is(capsys) -> None:
    assert main.run(["catalog"]) == 0
    shown = capsys.readouterr().out
    for kind in ("networks", "losses", "layouts", "phantoms", "recipes", "metrics", "runtimes", "augmentations"):
        assert f"{kind}\n  " in shown
    assert re.search(r"^  unet +plain U-Net", shown, re.MULTILINE)
    assert "(needs neuraxis[train])" in shown


def test_one_kind_alone_as_json(capsys) -> None:
    assert main.run(["catalog", "recipes", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content) == ["recipes"]
    assert content["recipes"]["hippocampus"]


def test_the_augmentations_are_drawn_from_a_scan(toy_dataset, tmp_path, capsys) -> None:
    picture = tmp_path / "sheet.png"
    scan, label = toy_dataset / "imagesTr" / "toy_00_0000.nii.gz", toy_dataset / "labelsTr" / "toy_00.nii.gz"
    command = ["catalog", "augmentations", "--picture", str(picture), "--scan", str(scan), "--label", str(label)]

    assert main.run([*command, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["picture"] == str(picture)
    assert "elastic" in content["augmentations"]
    assert picture.read_bytes()[:4] == b"\x89PNG"

    assert main.run(command) == 2
    assert "exists already. Name another file with --picture" in capsys.readouterr().err
    assert main.run([*command, "--overwrite", "--preset", "picture", "--quiet"]) == 0
    assert f"picture  {picture}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["recipes", "--picture", "a.png"], "draw augmentations: neuraxis catalog augmentations"),
        (["augmentations", "--preset", "light"], "Needed is --picture with the name of a PNG file"),
        (["augmentations", "--picture", "a.jpg"], "Needed is --picture with the name of a PNG file"),
        (["augmentations", "--picture", "a.png", "--label", "b.nii"], "--label b.nii: belongs to a scan"),
        (["augmentations", "--picture", "a.png", "--preset", "pictur"], "Did you mean 'picture'?"),
    ],
)
def test_options_of_the_picture_that_do_not_go_together_are_refused(options, message, capsys) -> None:
    assert main.run(["catalog", *options]) == 2
    assert message in capsys.readouterr().err
