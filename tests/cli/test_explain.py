from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from neuraxis.cli import main
from neuraxis.volume.formats import nifti

MODEL = str(Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def pair(toy: Path) -> list[str]:
    return [f"FLAIR={toy}/imagesTr/sub-0_0000.nii.gz", f"T1={toy}/imagesTr/sub-0_0001.nii.gz"]


def test_the_maps_are_named_and_the_page_is_there(pair: list[str], toy: Path, tmp_path: Path, capsys) -> None:
    into = tmp_path / "why"

    assert main.run(["explain", MODEL, *pair, "--into", str(into), "--label", "lesion"]) == 0

    shown = capsys.readouterr().out
    assert "sub-0_0000_gradcam-lesion.nii.gz" in shown
    assert f"page  {into}/explanation.html" in shown
    found = nifti.read(into / "sub-0_0000_gradcam-lesion.nii.gz")
    assert found.grid.matches(nifti.read(toy / "imagesTr" / "sub-0_0000.nii.gz").grid)
    assert not (into / "sub-0_0000_gradcam-cord.nii.gz").exists()


def test_json_tells_what_every_map_is(pair: list[str], tmp_path: Path, capsys) -> None:
    layer = "decoder.0"
    arguments = ["explain", MODEL, *pair, "--into", str(tmp_path / "why"), "--layer", layer, "--fold", "0", "--json"]

    assert main.run(arguments) == 0

    (case,) = json.loads(capsys.readouterr().out)["cases"]
    assert [one["label"] for one in case["maps"]["gradcam"]] == ["lesion", "cord"]
    assert {one["networks"][0]["layer"] for one in case["maps"]["gradcam"]} == {layer}


@pytest.mark.parametrize(
    ("more", "code", "text"),
    [
        (["--label", "lesoin"], 2, "Did you mean 'lesion'"),
        (["--layer", "decoder.9"], 2, "no layer of this network"),
        (["--kind", "experts"], 2, "has no experts"),
        (["--fold", "7"], 4, "has no fold 7"),
        (["--device", "cuda:99"], 2, "is not there"),
    ],
)
def test_what_cannot_be_is_answered_in_one_line(pair, tmp_path, capsys, more, code, text) -> None:
    assert main.run(["explain", MODEL, *pair, "--into", str(tmp_path / "why"), *more]) == code

    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("neuraxis:")]
    assert len(lines) == 1
    assert text in lines[0]
    assert not (tmp_path / "why").exists()


def test_a_missing_model_and_a_missing_scan_have_codes_of_their_own(pair, tmp_path, capsys) -> None:
    into = ["--into", str(tmp_path / "why")]

    assert main.run(["explain", str(tmp_path / "none.nxb"), *pair, *into]) == 4
    assert main.run(["explain", MODEL, pair[0], *into]) == 3
    assert "T1" in capsys.readouterr().err


def test_its_help_imports_no_torch() -> None:
    script = "import sys\nfrom neuraxis.cli import main\nmain.run(['explain', '--help'])\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("False\n")
