"""Scans and label maps in other file formats: the same voxels at the same place, with names where there is room."""

from __future__ import annotations

import json
from pathlib import Path

import nrrd
import numpy as np
import pydicom
import pytest
from PIL import Image

from neuraxis.dataset.opening import Opening
from neuraxis.errors import UsageError
from neuraxis.pipelines.forms.convert import ConvertOptions, convert
from neuraxis.pipelines.segment import SegmentOptions, segment
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

OBLIQUE = np.array([[0.9, 0.1, 0.0, 10], [-0.1, 0.8, 0.9, -20], [0.0, -0.3, 2.6, 5], [0, 0, 0, 1]])


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    array = np.zeros((1, 8, 9, 7), np.uint8)
    array[0, 1:4, 2:7, 2:5], array[0, 5:7, 2:5, 3:6] = 3, 300 - 200
    nifti.write(tmp_path / "a.nii.gz", Volume(array, Grid(array.shape[1:], OBLIQUE)))
    return tmp_path / "a.nii.gz"


@pytest.mark.parametrize(("form", "ending"), [("nrrd", ".nrrd"), ("mha", ".mha"), ("nifti", ".nii.gz")])
def test_every_voxel_stays_where_it_is(label_map: Path, tmp_path: Path, form: str, ending: str) -> None:
    (result,) = convert(label_map, tmp_path / "out", form)
    assert result.path == tmp_path / "out" / f"a{ending}"
    before, after = any_format.read(label_map), any_format.read(result.path)
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_allclose(after.grid.affine, before.grid.affine, atol=1e-5)


def test_a_segmentation_of_slicer_has_the_tables_names_and_colours(label_map: Path, tmp_path: Path) -> None:
    table = tmp_path / "labels.txt"
    table.write_text('0 0 0 0 0 0 0 "Clear Label"\n3 255 0 0 1 1 1 "left part"\n100 0 128 255 1 1 1 "rest"\n')
    options = ConvertOptions(opening=Opening(label_table=table))
    (result,) = convert(label_map, tmp_path / "a.seg.nrrd", "seg-nrrd", options)
    data, header = nrrd.read(str(result.path))
    assert [header[f"Segment{place}_Name"] for place in (0, 1)] == ["left part", "rest"]
    assert [header[f"Segment{place}_LabelValue"] for place in (0, 1)] == ["3", "100"]
    assert [float(part) for part in header["Segment1_Color"].split()] == pytest.approx([0, 128 / 255, 1], abs=1e-5)
    np.testing.assert_array_equal(np.unique(data), [0, 3, 100])
    (back,) = convert(tmp_path / "a.seg.nrrd", tmp_path / "b.seg.nrrd", "seg-nrrd")
    assert any_format.segments_of(back.path) == any_format.segments_of(result.path)


def test_a_prediction_is_saved_so_by_its_ending_and_by_segment(threshold, options, label_map: Path, tmp_path: Path):
    model = threshold(low=2.0, high=50.0)
    (result,) = segment(label_map, model, tmp_path / "one.seg.nrrd", options())
    assert [segment.name for segment in any_format.segments_of(result.path)] == ["low", "high"]
    assert json.loads((tmp_path / "one.json").read_text())["labels"]["names"]["high"] == 2
    (result,) = segment(label_map, model, tmp_path / "two.nii.gz", options(forms=("seg-nrrd", "nrrd,mha")))
    assert [path.name for path in result.more] == ["two.seg.nrrd", "two.nrrd", "two.mha"]
    expected = nifti.read(result.path)
    for path in (tmp_path / "one.seg.nrrd", *result.more):
        np.testing.assert_array_equal(any_format.read(path).array, expected.array)


@pytest.mark.parametrize(("lowest", "modality"), [(-1000, "CT"), (0, "MR")])
def test_an_image_becomes_a_folder_of_slices_that_names_nobody(
    model, tmp_path: Path, lowest: int, modality: str
) -> None:
    array = np.random.default_rng(0).integers(lowest, 900, (1, 8, 9, 5)).astype(np.int16)
    for name in ("a", "b"):
        volume = Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 2.5, 1.0])))
        nifti.write(tmp_path / "in" / f"{name}.nii.gz", volume)
    results = convert(tmp_path / "in", tmp_path / "out", "dicom")
    assert [result.path for result in results] == [tmp_path / "out" / "a", tmp_path / "out" / "b"]
    np.testing.assert_array_equal(any_format.read(results[0].path).array, array)
    header = pydicom.dcmread(next(results[0].path.iterdir()))
    assert (header.Modality, str(header.PatientName)) == (modality, "ANONYMOUS")
    (one,) = convert(tmp_path / "in" / "a.nii.gz", tmp_path / "one", "dicom")
    assert len(list(one.path.glob("*.dcm"))) == 5
    with pytest.raises(UsageError, match="exists already"):
        convert(tmp_path / "in" / "a.nii.gz", tmp_path / "one", "dicom")
    with pytest.raises(UsageError, match="--as dicom: is for images"):
        segment(tmp_path / "in", model, tmp_path / "seg", SegmentOptions(forms=("dicom",)))


def test_a_pictures_labels_are_a_picture_of_numbers_on_its_own_pixels(threshold, options, tmp_path: Path) -> None:
    pixels = np.full((12, 17), 1, np.uint8)
    pixels[2:5, 3:9], pixels[7:10, 10:15] = 4, 200
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    model = threshold(low=2.0, high=50.0)
    segment(tmp_path / "scan.png", model, tmp_path / "out", options(forms=("png", "overlay")))
    mask = np.asarray(Image.open(tmp_path / "out" / "scan.png"))
    np.testing.assert_array_equal(mask, np.select([pixels > 50, pixels > 2], [2, 1], 0))
    assert mask.dtype == np.uint8
    overlay = np.asarray(Image.open(tmp_path / "out" / "scan_overlay.png"))
    assert overlay.shape[2] == 3


def test_a_volume_is_no_picture_which_is_told_before_the_work(model, options, label_map: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a PNG holds one slice, but the scan has 8 x 9 x 7 voxels"):
        segment(label_map, model, tmp_path / "out", options(forms=("png",)))
    assert not (tmp_path / "out").exists()
    (result,) = convert(label_map, tmp_path / "out.png", "png")
    assert result.exit_code == 2
    assert not (tmp_path / "out.png").exists()
