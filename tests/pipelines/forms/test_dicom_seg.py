"""DICOM SEG from `segment` and from files: on the source's slices, with names, colours, terms and what made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from neuraxis.errors import MissingExtra, UsageError
from neuraxis.pipelines.forms import catalog
from neuraxis.pipelines.forms.convert import ConvertOptions, convert
from neuraxis.pipelines.segment import segment
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


@pytest.fixture(params=[0.0, 18.5])
def series(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A series of 12 slices with a bright and a brighter block; once of a tilted gantry."""
    array = np.full((1, 20, 22, 12), 1, np.int16)
    array[0, 4:12, 6:15, 3:9], array[0, 12:16, 6:15, 2:10] = 6, 9
    volume = Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 3.0, 1.0])))
    return write_series(tmp_path / "study" / "T1", volume, SeriesOptions("MR", "T1", tilt_degrees=request.param))


def test_a_series_is_segmented_onto_its_own_slices(threshold, options, series: Path, tmp_path: Path) -> None:
    (result,) = segment(series, threshold(edema=4.0, core=8.0), tmp_path / "out", options(forms=("dicom-seg",)))
    assert result.error is None
    (path,) = result.more
    seg = pydicom.dcmread(path)
    assert [one.SegmentLabel for one in seg.SegmentSequence] == ["edema", "core"]
    first = seg.SegmentSequence[0]
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "Edema"
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "threshold"
    assert first.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion.startswith("feed")
    assert "RecommendedDisplayCIELabValue" in first
    sources = [pydicom.dcmread(file) for file in series.iterdir()]
    assert seg.StudyInstanceUID == sources[0].StudyInstanceUID
    assert (seg.Rows, seg.Columns) == (sources[0].Rows, sources[0].Columns)
    found = any_format.read_label(path, series)
    np.testing.assert_array_equal(found.array, nifti.read(result.path).array)
    assert set(np.unique(found.array)) == {0, 1, 2}


def test_a_saved_segmentation_becomes_the_same(threshold, options, series: Path, tmp_path: Path) -> None:
    (result,) = segment(f"MRI={series}", threshold(edema=4.0, core=8.0), tmp_path / "out", options())
    assert result.path is not None
    (made,) = convert(result.path, tmp_path / "seg.dcm", "dicom-seg", ConvertOptions(scan=series))
    assert made.error is None
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [one.SegmentLabel for one in seg.SegmentSequence] == ["edema", "core"]
    assert seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "threshold"
    found = any_format.read_label(tmp_path / "seg.dcm", series)
    np.testing.assert_array_equal(found.array, nifti.read(result.path).array)


def test_a_label_map_of_another_grid_is_refused_in_words(series: Path, tmp_path: Path) -> None:
    volume = any_format.read(series)
    other = Volume(np.ones((1, 4, 4, 4), np.uint8), Grid((4, 4, 4), volume.grid.affine))
    nifti.write(tmp_path / "other.nii.gz", other)
    (made,) = convert(tmp_path / "other.nii.gz", tmp_path / "seg.dcm", "dicom-seg", ConvertOptions(scan=series))
    assert made.exit_code == 3
    assert "does not lie on its grid" in str(made.error)
    assert not (tmp_path / "seg.dcm").exists()


def test_without_a_dicom_series_it_is_refused_before_the_work(model, options, tmp_path: Path) -> None:
    nifti.write(tmp_path / "a.nii.gz", Volume(np.ones((1, 4, 4, 4), np.float32), Grid((4, 4, 4), np.eye(4))))
    with pytest.raises(
        UsageError, match=r"a: a DICOM SEG lies on .* but .*a\.nii\.gz is none. Segment the DICOM folder"
    ):
        segment(tmp_path / "a.nii.gz", model, tmp_path / "out", options(forms=("dicom-seg",)))
    with pytest.raises(UsageError, match="none was named\\. Name its folder with --source"):
        convert(tmp_path / "a.nii.gz", tmp_path / "out", "dicom-seg")
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_told_before_the_work(
    model, options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def need(package: str, extra: str) -> None:
        raise MissingExtra(package, extra)

    monkeypatch.setattr(catalog, "need", need)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[dicom\]'"):
        segment(tmp_path / "a.nii.gz", model, tmp_path / "out", options(forms=("dicom-seg",)))
    assert not (tmp_path / "out").exists()


def test_series_and_segmentations_are_converted_and_no_patient_is_named(threshold, options, tmp_path: Path) -> None:
    array = np.full((1, 16, 18, 6), 1, np.int16)
    array[0, 4:9, 4:9, 1:5] = 7
    volume = Volume(array, Grid(array.shape[1:], np.diag([1.0, 1.0, 3.0, 1.0])))
    study = tmp_path / "Doe_Jane"
    for number, name in enumerate(("T1", "T2"), 1):
        write_series(study / name, volume, SeriesOptions("MR", name, number, patient="Doe^Jane", study="one"))
    for file in study.rglob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.PatientIdentityRemoved = "NO"
        dataset.save_as(file)
    images = convert(study, tmp_path / "scans", "nifti")
    assert [result.error for result in images] == [None, None]
    for result in images:
        np.testing.assert_array_equal(nifti.read(result.path).array, array)
    (found,) = segment(f"MRI={study / 'T1'}", threshold(core=4.0), tmp_path / "out", options(forms=("dicom-seg",)))
    (model,) = convert(found.more[0], tmp_path / "models", "glb")
    (label,) = convert(found.more[0], tmp_path / "labels", "seg-nrrd", ConvertOptions(scan=study / "T1"))
    np.testing.assert_array_equal(any_format.read(label.path).array, array > 4)
    assert [one.name for one in any_format.segments_of(label.path)] == ["core"]
    told = " ".join(str(part) for result in (*images, model, label) for part in (result.source, result.path.name))
    assert "Jane" not in told
