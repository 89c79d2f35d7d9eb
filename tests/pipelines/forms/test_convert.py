"""From files to files: what goes out lies where it lay, nothing is replaced, a bad file stops no other."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import trimesh

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.opening import Opening
from neuraxis.dataset.prediction import Prediction
from neuraxis.errors import DataError, UnknownName, UsageError
from neuraxis.pipelines.forms.convert import ConvertOptions, convert
from neuraxis.pipelines.segment import segment
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

OBLIQUE = np.array([[-0.9, 0.1, 0.0, 40], [-0.1, 0.0, 2.1, -20], [0.0, 0.8, -0.3, 5], [0, 0, 0, 1]])


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    """A cuboid of label 1 and one of label 4, stored as floats on an oblique grid."""
    array = np.zeros((16, 18, 14), np.float32)
    array[3:8, 4:12, 2:9], array[10:13, 4:9, 3:6] = 1, 4
    path = tmp_path / "in" / "sub-7_label.nii.gz"
    path.parent.mkdir()
    nib.save(nib.Nifti1Image(array, OBLIQUE), path)
    return path


def test_a_label_map_becomes_a_model_whose_names_its_sidecar_gives(label_map: Path, tmp_path: Path) -> None:
    sidecar = {"model": "m", "model_hash": "feed", "labels": {"names": {"background": 0, "core": 4, "rim": 1}}}
    label_map.with_name("sub-7_label.json").write_text(json.dumps(sidecar))
    (result,) = convert(label_map, tmp_path / "out.glb", "glb")
    assert result.path == tmp_path / "out.glb"
    scene = trimesh.load(result.path)
    assert set(scene.geometry) == {"rim", "core"}
    voxel = abs(np.linalg.det(OBLIQUE[:3, :3]))
    assert scene.geometry["core"].volume == pytest.approx(45 * voxel, rel=0.005)
    places = np.argwhere(np.asarray(nib.load(label_map).dataobj) == 4) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
    np.testing.assert_allclose(scene.geometry["core"].center_mass, places.mean(axis=0), atol=0.01)


def test_a_table_names_and_colours_the_surfaces(label_map: Path, tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("index\tname\tcolor\n4\tcore\t#ff0000\n1\trim\t#0000ff\n")
    options = ConvertOptions(opening=Opening(label_table=tmp_path / "table.tsv"))
    (result,) = convert(label_map, tmp_path / "out.glb", "glb", options)
    scene = trimesh.load(result.path)
    colours = {name: mesh.visual.material.baseColorFactor[:3].tolist() for name, mesh in scene.geometry.items()}
    assert colours == {"rim": [0, 0, 255], "core": [255, 0, 0]}


def test_numbers_without_names_are_called_by_their_number(label_map: Path, tmp_path: Path) -> None:
    convert(label_map, tmp_path / "out", "glb")
    assert set(trimesh.load(tmp_path / "out" / "sub-7_label.glb").geometry) == {"label 1", "label 4"}


def test_a_folder_keeps_its_folders_and_a_bad_file_stops_no_other(label_map: Path, tmp_path: Path) -> None:
    inner = label_map.parent / "deep" / "b.nii"
    inner.parent.mkdir()
    nib.save(nib.load(label_map), inner)
    nib.save(nib.Nifti1Image(np.full((4, 4, 4), 0.3, np.float32), np.eye(4)), label_map.parent / "fraction.nii.gz")
    (label_map.parent / "broken.nii.gz").write_text("no scan")
    (label_map.parent / "notes.txt").write_text("")
    results = convert(label_map.parent, tmp_path / "out", "glb")
    assert [result.source.name for result in results] == ["broken.nii.gz", "b.nii", "fraction.nii.gz", label_map.name]
    assert [result.exit_code for result in results] == [3, 0, 3, 0]
    assert "holds fractions" in str(results[2].error)
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["deep/b.glb", "sub-7_label.glb"]


def test_an_image_is_not_taken_for_a_label_map(tmp_path: Path) -> None:
    array = np.arange(8 * 9 * 10, dtype=np.int16).reshape(8, 9, 10)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "scan.nii.gz")
    (result,) = convert(tmp_path / "scan.nii.gz", tmp_path / "out", "glb")
    assert result.exit_code == 3
    assert "holds 719 numbers that nothing names: is it an image" in str(result.error)


def test_nifti_keeps_every_voxel_and_the_grid(label_map: Path, tmp_path: Path) -> None:
    convert(label_map, tmp_path / "copy.nii.gz", "nifti")
    before, after = nib.load(label_map), nib.load(tmp_path / "copy.nii.gz")
    np.testing.assert_array_equal(after.get_fdata(), before.get_fdata())
    np.testing.assert_array_equal(after.affine, before.affine)


def test_names_come_from_the_dataset_around_a_label_map(toy_dataset: Path, tmp_path: Path) -> None:
    convert(toy_dataset / "labelsTr" / "toy_00.nii.gz", tmp_path / "toy.glb", "glb")
    assert set(trimesh.load(tmp_path / "toy.glb").geometry) == {"ball", "shell"}


def test_a_folder_that_segment_wrote_is_converted_without_its_probabilities(
    threshold, options, label_map: Path, tmp_path: Path
) -> None:
    segment(
        label_map, threshold(rim=0.5, core=3.0), tmp_path / "found", options(probabilities=True, forms=("overlay",))
    )
    (result,) = convert(tmp_path / "found", tmp_path / "models", "glb")
    assert set(trimesh.load(result.path).geometry) == {"rim", "core"}
    assert len(convert(tmp_path / "found", tmp_path / "nrrd", "nrrd")) == 2


def test_label_maps_become_bids_derivatives(toy_dataset: Path, tmp_path: Path) -> None:
    results = convert(toy_dataset / "labelsTr", tmp_path / "bids", "bids")
    assert len(results) == 8
    table = (tmp_path / "bids/sub-toy03/anat/sub-toy03_dseg.tsv").read_text().splitlines()
    assert [line.split("\t")[:2] for line in table[1:]] == [["1", "ball"], ["2", "shell"]]
    sidecar = json.loads((tmp_path / "bids/sub-toy03/anat/sub-toy03_dseg.json").read_text())
    assert "Manual" not in sidecar
    assert "ModelHash" not in json.loads((tmp_path / "bids/dataset_description.json").read_text())["GeneratedBy"][0]


def test_what_cannot_be_done_is_refused_before_anything_is_written(label_map: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UnknownName, match="Did you mean 'glb'"):
        convert(label_map, out, "gltb")
    with pytest.raises(UnknownName, match="Did you mean 'nnunet'"):
        convert(label_map, out, "nnunt")
    with pytest.raises(DataError, match="nothing: no such file or folder"):
        convert(tmp_path / "nothing", out, "glb")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no scan that is known"):
        convert(tmp_path / "empty", out, "glb")
    with pytest.raises(UsageError, match=r"needed is a folder, or a name that ends in \.glb"):
        convert(label_map, tmp_path / "x.nii.gz", "glb")
    with pytest.raises(UsageError, match=r"needed is a folder, or a name that ends in \.nii\.gz or \.nii"):
        convert(label_map, tmp_path / "x.dcm", "nifti")
    with pytest.raises(UsageError, match="is what is converted and would be replaced"):
        convert(label_map, label_map, "nifti", ConvertOptions(overwrite=True))
    nib.save(nib.load(label_map), label_map.with_name("sub-7_label.nii"))
    with pytest.raises(UsageError, match="would both become"):
        convert(label_map.parent, out, "glb")
    with pytest.raises(UsageError, match="is one file, but 2 were found"):
        convert(label_map.parent, tmp_path / "x.glb", "glb")
    assert not out.exists()
    (tmp_path / "there.glb").write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        convert(label_map, tmp_path / "there.glb", "glb")
    assert (tmp_path / "there.glb").read_text() == "precious"


def test_a_prediction_in_memory_goes_into_one_file(tmp_path: Path) -> None:
    array = np.zeros((1, 6, 6, 6), np.uint8)
    array[0, 1:4, 1:4, 1:4] = 2
    labels = Labels(names={"background": 0, "one": 1, "two": 2})
    found = Prediction(Volume(array, Grid((6, 6, 6), np.eye(4))), labels, provenance={"model": "m"})
    (result,) = convert(found, tmp_path / "x.glb", "glb")
    assert set(trimesh.load(result.path).geometry) == {"two"}
    with pytest.raises(UsageError, match=r"needed is a name that ends in \.glb"):
        convert(found, tmp_path / "out", "glb")
    with pytest.raises(UsageError, match="exists already"):
        convert(found, tmp_path / "x.glb", "glb")
