"""Real series are read as SimpleITK reads them, with what is odd said, and written segmentations come back."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.checks.examination import examine_case
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.formats.dicom.segmentation.writing import Author, Segment, Source, write_segmentation
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

pytestmark = pytest.mark.data
PGBM = "tumour-pgbm-dicom/PGBM-003/1995-03-29"
SERIES = (
    "11-T1post-18670",
    "26401-T1prereg-52906",
    "36468-FLAIRreg-58706",
    "37870-T2reg-78532",
    "5377-MaskTumor-78540",
)
GE = "dicom-misc/ct-head-ge"
TWO = [Segment(1, "bone"), Segment(2, "brain")]


def seen_by_simpleitk(folder: Path) -> tuple[Grid, np.ndarray]:
    """Return the canonical grid and voxels that SimpleITK's reader gives."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    stored = Stored.of(Grid(image.GetSize(), np.diag([-1, -1, 1, 1]) @ affine))
    array = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)[None]
    return stored.canonical_grid, stored.to_canonical(array)


@pytest.mark.parametrize(
    "name",
    [*(f"{PGBM}/{series}" for series in SERIES), "dicom-misc/dcmqi/ct-3slice",
     "dicom-misc/hippocrop/Study1/13_HCropVolume", "dicom-misc/hippocrop/Study2/14_HCropVolume"],
)  # fmt: skip
def test_a_series_as_nifti_is_what_simpleitk_reads(name: str, shared_data: Path, tmp_path: Path) -> None:
    grid, array = seen_by_simpleitk(shared_data / name)
    volume = any_format.read(shared_data / name)
    nifti.write(tmp_path / "scan.nii.gz", volume)
    for found in (volume, nifti.read(tmp_path / "scan.nii.gz")):
        assert found.grid.shape == grid.shape
        assert found.grid.corner_distance_mm(grid) < 1e-3
        assert np.array_equal(found.array, array)
    assert any_format.geometry_remarks(volume) == ()


def test_the_series_of_a_study_are_told_by_name_and_number(shared_data: Path) -> None:
    study = shared_data / "tumour-pgbm-dicom"
    with pytest.raises(DataError, match=r"holds 5 series: '11-T1post'.*'5377-Mask_Tumor'.*Name the one that is meant"):
        any_format.read(study)
    assert any_format.read(study, "5377").array.max() == 1
    assert any_format.read(study, "FLAIR_reg").array.max() > 1000


def test_a_mask_series_becomes_a_dicom_seg_and_comes_back(shared_data: Path, tmp_path: Path) -> None:
    mask, image = shared_data / PGBM / SERIES[4], shared_data / PGBM / SERIES[0]
    labels = any_format.read(mask)
    assert labels.array.any()
    author = Author("drawn by hand", "1", "MANUAL")
    for number, source in enumerate((mask, image)):
        path = tmp_path / f"{number}.dcm"
        write_segmentation(path, labels, Source(source), [Segment(1, "tumour")], author)
        found = any_format.read_label(path, source)
        assert found.grid.matches(labels.grid)
        assert np.array_equal(found.array, labels.array)
        assert_valid(path)


def test_a_tilted_head_of_mixed_slices_opens_and_says_so(shared_data: Path) -> None:
    volume = any_format.read(shared_data / GE)
    assert volume.grid.shape[2] == 37
    axes = volume.grid.affine[:3, :3] / np.array(volume.grid.exact_spacing_mm)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    case = Case("head", {"CT": ImageFile(shared_data / GE)})
    found = examine_case(case, Labels(names={"background": 0, "bone": 1})).findings
    told = [finding.message for finding in found if finding.code == "header_geometry"]
    assert told == [
        "the gantry was tilted by 18.5 degrees; the slices are moved onto a straight grid",
        "the slices lie 1.08, 4, 7 mm apart; they are interpolated to an even 4 mm",
    ]
    assert not any(finding.code == "sheared" for finding in found)


def test_a_tilted_head_is_where_its_headers_say(shared_data: Path) -> None:
    """Every pixel of a source slice has its value at its own place in space on the straight grid."""
    volume = any_format.read(shared_data / GE)
    source = pydicom.dcmread(shared_data / GE / "07.dcm")
    rows, columns = np.meshgrid(np.arange(100, 400, 7), np.arange(100, 400, 7), indexing="ij")
    right, down = np.array(source.ImageOrientationPatient, float).reshape(2, 3)
    world = np.array(source.ImagePositionPatient, float) + 0.4882812 * (
        rows[..., None] * down + columns[..., None] * right
    )
    world = np.concatenate([world * (-1, -1, 1), np.ones((*rows.shape, 1))], axis=-1)
    index = np.rint(world @ np.linalg.inv(volume.grid.affine).T)[..., :3].astype(int)
    found = volume.array[0][tuple(np.moveaxis(index, -1, 0))]
    expected = source.pixel_array[rows, columns].astype(float)
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.97
    assert np.median(np.abs(found - expected)) < 10


def test_a_segmentation_of_the_tilted_head_lies_on_its_slices(shared_data: Path, tmp_path: Path) -> None:
    image = any_format.read(shared_data / GE)
    labels = image.with_array(np.select([image.array > 250, image.array > 0], [1, 2], 0).astype(np.uint8))
    path = write_segmentation(tmp_path / "seg.dcm", labels, Source(shared_data / GE), TWO)
    written = pydicom.dcmread(path)
    assert (written.Rows, written.Columns) == (512, 512)
    sources = [pydicom.dcmread(file) for file in sorted((shared_data / GE).glob("*.dcm"))]
    values = {str(source.ImagePositionPatient): source.pixel_array for source in sources}
    bone = [
        values[str(group.PlanePositionSequence[0].ImagePositionPatient)][frame > 0]
        for frame, group in zip(written.pixel_array, written.PerFrameFunctionalGroupsSequence, strict=True)
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
    ]
    assert len(bone) == 28
    assert np.mean(np.concatenate(bone) > 200) > 0.85  # drawn on the interpolated grid, found on the slices
    again = any_format.read_label(path, shared_data / GE)
    twice = write_segmentation(tmp_path / "twice.dcm", again, Source(shared_data / GE), TWO)
    assert np.array_equal(pydicom.dcmread(twice).pixel_array, written.pixel_array)
    assert_valid(path)


def test_two_patients_of_a_folder_are_not_mixed(shared_data: Path) -> None:
    with pytest.raises(DataError, match="holds series of 2 patients") as told:
        any_format.read(shared_data / "dicom-misc" / "hippocrop")
    assert "Avasarala" not in str(told.value)


def assert_valid(path: Path) -> None:
    """Hold a file against DICOM's own checker, where it is installed."""
    if shutil.which("dciodvfy"):
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in told
        assert "Segmentation" in told


def test_dicoms_own_checker_finds_no_error(shared_data: Path, tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("no dciodvfy: apt-get install dicom3tools")
    for name in (f"{PGBM}/{SERIES[2]}", "dicom-misc/hippocrop/Study1/13_HCropVolume", "dicom-misc/dcmqi/ct-3slice"):
        image: Volume = any_format.read(shared_data / name)
        labels = image.with_array((image.array > np.quantile(image.array, 0.9)).astype(np.uint8))
        path = write_segmentation(tmp_path / f"{Path(name).name}.dcm", labels, Source(shared_data / name), TWO)
        assert np.array_equal(any_format.read_label(path, shared_data / name).array, labels.array)
        assert_valid(path)
