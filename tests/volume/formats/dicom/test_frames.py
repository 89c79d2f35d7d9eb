"""Frames of enhanced multi-frame files lie, and are scaled, as their functional groups say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
from pydicom import uid

from neuraxis.pipelines.scans import find_cases
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom.segmentation.writing import Segment, Source, write_segmentation
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def a_volume() -> Volume:
    array = np.random.default_rng(0).integers(0, 2000, (1, 9, 8, 12), dtype=np.int16)
    return Volume(array, Grid((9, 8, 12), np.diag([0.7, 0.8, 3.0, 1.0])))


def enhanced(path: Path, order: list[int], slopes: bool = False) -> np.ndarray:
    """Write an enhanced MR file whose frames lie in this order, and return the voxels."""
    volume = a_volume()
    write_series(path.parent / "single", volume, SeriesOptions("MR"))
    files = sorted((path.parent / "single").glob("*.dcm"))
    singles = [pydicom.dcmread(files[place]) for place in order]
    dataset = pydicom.dcmread(files[0])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = uid.EnhancedMRImageStorage
    dataset.NumberOfFrames = len(order)
    dataset.PixelData = b"".join(single.PixelData for single in singles)

    def item(**values: object) -> pydicom.Dataset:
        made = pydicom.Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    dataset.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=singles[0].ImageOrientationPatient)],
            PixelMeasuresSequence=[item(PixelSpacing=singles[0].PixelSpacing, SliceThickness=3)],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=single.ImagePositionPatient)],
            PixelValueTransformationSequence=[item(RescaleSlope=1 + place if slopes else 1, RescaleIntercept=0)],
        )
        for place, single in zip(order, singles, strict=True)
    ]
    dataset.save_as(path)
    for file in files:
        file.unlink()
    (path.parent / "single").rmdir()
    return volume.array


def test_an_enhanced_multi_frame_file_is_read_by_its_functional_groups(tmp_path: Path) -> None:
    order = [3, 1, 2, 0, 4, 5, 11, 10, 9, 8, 7, 6]
    array = enhanced(tmp_path / "mr.dcm", order)
    for path in (tmp_path, tmp_path / "mr.dcm"):
        found = any_format.read(path)
        assert np.array_equal(found.array, array)
        assert found.grid.matches(a_volume().grid)


def test_frames_of_an_enhanced_file_are_scaled_one_by_one(tmp_path: Path) -> None:
    array = enhanced(tmp_path / "mr.dcm", list(range(12)), slopes=True)
    assert np.allclose(any_format.read(tmp_path).array, array * (1.0 + np.arange(12)))


def test_a_segmentation_lies_on_the_frames_of_an_enhanced_file(tmp_path: Path) -> None:
    enhanced(tmp_path / "mr.dcm", [3, 1, 2, 0, 4, 5, 11, 10, 9, 8, 7, 6])
    image = any_format.read(tmp_path / "mr.dcm")
    labels = image.with_array((image.array > 1000).astype(np.uint8))
    path = write_segmentation(tmp_path / "seg.dcm", labels, Source(tmp_path / "mr.dcm"), [Segment(1, "bright")])
    assert np.array_equal(any_format.read_label(path, tmp_path / "mr.dcm").array, labels.array)
    (source,) = pydicom.dcmread(path).ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert source.ReferencedSOPInstanceUID == pydicom.dcmread(tmp_path / "mr.dcm").SOPInstanceUID


def test_an_enhanced_file_is_a_study_by_itself(tmp_path: Path) -> None:
    array = enhanced(tmp_path / "mr.dcm", list(range(12)))
    for scan in (tmp_path / "mr.dcm", f"MRI={tmp_path / 'mr.dcm'}"):
        (order,) = find_cases([scan], ("MRI",))
        assert order.id == "mr"
        assert order.case is not None
        assert np.array_equal(order.case.read_images().array, array)
