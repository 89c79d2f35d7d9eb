"""Further forms of what `segment` finds lie beside it; what cannot be had is refused before the work."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh

from neuraxis.errors import UnknownName, UsageError
from neuraxis.pipelines.segment import segment


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        values = np.random.default_rng(ord(name)).integers(0, 11, (13, 9, 11)) + 0.25
        (tmp_path / "in").mkdir(exist_ok=True)
        nib.save(
            nib.Nifti1Image(values.astype(np.float32), np.diag([2.0, 1, 1, 1])), tmp_path / "in" / f"{name}.nii.gz"
        )
    return tmp_path / "in"


def test_forms_lie_beside_the_nifti(threshold, options, scans: Path, tmp_path: Path) -> None:
    results = segment(scans, threshold(core=4.0, rim=8.0), tmp_path / "out", options(forms=("glb,nifti",)))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "segment-summary.json",
        *(f"{case}.{ending}" for case in "ab" for ending in ("glb", "json", "nii.gz")),
    }
    for result in results:
        assert result.more == (tmp_path / "out" / f"{result.case}.glb",)
        scene = trimesh.load(result.more[0])
        volumes = result.prediction["volumes_ml"]
        for name in ("core", "rim"):
            assert scene.geometry[name].volume / 1000 == pytest.approx(volumes[name], rel=0.01)


def test_one_file_may_be_named(threshold, options, scans: Path, tmp_path: Path) -> None:
    (result,) = segment(scans / "a.nii.gz", threshold(), tmp_path / "seg.nii", options(forms=("glb",)))
    assert result.path == tmp_path / "seg.nii"
    assert {path.name for path in tmp_path.glob("seg*")} == {"seg.nii", "seg.json", "seg.glb"}


def test_a_form_that_exists_or_is_unknown_is_refused_before_the_work(
    model, options, scans: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.glb").write_text("precious")
    with pytest.raises(UsageError, match=r"b\.glb exists already"):
        segment(scans, model, tmp_path / "out", options(forms=("glb",)))
    with pytest.raises(UsageError, match=r"x\.glb: is a file that is no scan. .* and the form with --as"):
        segment(scans, model, tmp_path / "x.glb", options(forms=("glb",)))
    with pytest.raises(UnknownName, match="No form is called 'gbl'"):
        segment(scans, model, tmp_path / "out", options(forms=("gbl",)))
    with pytest.raises(UsageError, match="--as nnunet: is for whole datasets"):
        segment(scans, model, tmp_path / "out", options(forms=("nnunet",)))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.glb"]
    segment(scans, model, tmp_path / "out", options(forms=("glb",), overwrite=True))
    assert (tmp_path / "out" / "b.glb").read_bytes()[:4] == b"glTF"
