"""DICOM SEG of every kind becomes labels on the grid of its image; what overlaps is refused with a line."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format, nifti
from neuraxis.volume.formats.dicom.segmentation.codes import code_of
from neuraxis.volume.formats.dicom.segmentation.reading import segments_of
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

SHAPE = (12, 10, 8)


def an_image(folder: Path) -> Volume:
    array = np.random.default_rng(0).integers(0, 2000, (1, *SHAPE), dtype=np.int16)
    write_series(folder, Volume(array, Grid(SHAPE, np.diag([1.0, 1.0, 2.5, 1.0]))), SeriesOptions("MR"))
    return any_format.read(folder)


def write(path: Path, folder: Path, kind: str, masks: np.ndarray, names: tuple[str, ...] = ("liver", "spleen")) -> Path:
    """Write (slices, rows, columns) numbers, or (slices, rows, columns, segments) parts, as another program would."""
    files = [pydicom.dcmread(file) for file in sorted(folder.glob("*.dcm"))]
    code = [code_of(name) for name in names]
    made = highdicom.seg.Segmentation(
        source_images=files,
        pixel_array=masks,
        segmentation_type=kind,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                place,
                name,
                highdicom.sr.CodedConcept(*term.category),
                highdicom.sr.CodedConcept(*term.type),
                "MANUAL",
            )
            for place, (name, term) in enumerate(zip(names, code, strict=True), 1)
        ],
        series_instance_uid=highdicom.UID(),
        series_number=2,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="another",
        manufacturer_model_name="program",
        software_versions="1",
        device_serial_number="1",
    )
    made.save_as(path)
    return path


def some_labels() -> np.ndarray:
    """Return labels (slices, rows, columns); the first and last slices are empty."""
    labels = np.zeros(SHAPE[::-1], np.uint8)
    labels[2:5, 1:6, 2:7], labels[3:6, 7:9, 3:9] = 1, 2
    return labels


def on_the_grid(labels: np.ndarray) -> np.ndarray:
    return labels.transpose(2, 1, 0)[None]


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_sparse_frames_find_their_slices(kind: str, tmp_path: Path) -> None:
    image = an_image(tmp_path / "mr")
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", kind, some_labels())
    assert segments_of(path) == {"liver": 1, "spleen": 2}
    found = any_format.read_label(path, tmp_path / "mr")
    assert found.grid.matches(image.grid)
    assert np.array_equal(found.array, on_the_grid(some_labels()))
    alone = any_format.read(path)
    assert alone.grid.shape == (12, 10, 4)
    assert any_format.read_grid(path)[0].matches(alone.grid)
    assert np.array_equal(alone.array, on_the_grid(some_labels())[..., 2:6])


def test_a_gap_between_labelled_slices_stays_empty(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    labels = np.zeros(SHAPE[::-1], np.uint8)
    labels[1, 2:4, 2:4] = labels[5, 2:4, 2:4] = 1
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "BINARY", labels)
    alone = any_format.read(path)
    assert alone.grid.shape == (12, 10, 5)
    assert alone.array.any(axis=(0, 1, 2)).tolist() == [True, False, False, False, True]


def test_fractions_become_the_label_that_holds_most_of_the_voxel(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    parts = np.zeros((*SHAPE[::-1], 2), np.float32)
    parts[2:5, 1:6, 2:7, 0], parts[3:6, 4:9, 3:9, 1] = 0.7, 0.9
    parts[6, 1:3, 1:3, 0] = 0.3
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "FRACTIONAL", parts)
    expected = np.zeros(SHAPE[::-1], np.uint8)
    expected[2:5, 1:6, 2:7], expected[3:6, 4:9, 3:9] = 1, 2
    assert np.array_equal(any_format.read_label(path, tmp_path / "mr").array, on_the_grid(expected))


def test_overlap_is_refused_and_each_segment_can_be_read_alone(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    parts = np.zeros((*SHAPE[::-1], 2), np.uint8)
    parts[2:5, 1:6, 2:7, 0], parts[3:6, 4:9, 3:9, 1] = 1, 1
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "BINARY", parts)
    with pytest.raises(DataError, match=r"'liver' and 'spleen' overlap in 16 voxels.*Read one segment at a time"):
        any_format.read(path)
    for place, name in enumerate(("liver", "spleen")):
        found = any_format.read_label(path, tmp_path / "mr", segment=name)
        assert np.array_equal(found.array, on_the_grid(parts[..., place]) * (place + 1))
    with pytest.raises(DataError, match=r"no such segment\. There are 1 liver, 2 spleen"):
        any_format.read(path, "heart")


def test_an_image_that_was_converted_finds_the_segmentation_of_its_series(tmp_path: Path) -> None:
    image = an_image(tmp_path / "mr")
    nifti.write(tmp_path / "mr.nii.gz", image)
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "BINARY", some_labels())
    case = Case("one", {"MR": ImageFile(tmp_path / "mr.nii.gz")}, path)
    assert np.array_equal(case.read_label().array, on_the_grid(some_labels()))
    turned = Stored.of(Grid(SHAPE, np.diag([-1.0, 1.0, 2.5, 1.0])))
    nifti.write(tmp_path / "other.nii.gz", Volume(image.array, turned.canonical_grid, turned))
    with pytest.raises(DataError, match=r"seg\.dcm: a frame reaches out of its image"):
        Case("one", {"MR": ImageFile(tmp_path / "other.nii.gz")}, path).read_label()


def test_a_case_reads_a_sparse_segmentation_onto_its_dicom_image(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "LABELMAP", some_labels())
    found = Case("one", {"MR": ImageFile(tmp_path / "mr")}, path).read_label()
    assert np.array_equal(found.array, on_the_grid(some_labels()))


def test_a_segmentation_of_another_series_is_refused(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    path = write(tmp_path / "seg.dcm", tmp_path / "mr", "BINARY", some_labels())
    array = np.zeros((1, *SHAPE), np.int16)
    array[0, 0, 0, 0] = 1
    write_series(tmp_path / "finer", Volume(array, Grid(SHAPE, np.diag([0.5, 0.5, 2.5, 1.0]))))
    with pytest.raises(DataError, match="another orientation or spacing"):
        any_format.read_label(path, tmp_path / "finer")
    write_series(tmp_path / "far", Volume(array, Grid(SHAPE, np.diag([1.0, 1.0, 2.5, 1.0])).cropped((0, 0, 40), SHAPE)))
    with pytest.raises(DataError, match="lies outside of its image"):
        any_format.read_label(path, tmp_path / "far")


def test_a_folder_of_two_segmentations_asks_for_one(tmp_path: Path) -> None:
    an_image(tmp_path / "mr")
    (tmp_path / "seg").mkdir()
    for name in "ab":
        write(tmp_path / "seg" / f"{name}.dcm", tmp_path / "mr", "BINARY", some_labels())
    with pytest.raises(DataError, match="holds 2 segmentations"):
        any_format.read(tmp_path / "seg")


@pytest.mark.data
def test_real_segmentations_lie_on_their_image(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "dicom-misc" / "dcmqi"
    image = any_format.read(folder / "ct-3slice")
    liver = any_format.read_label(folder / "liver.dcm", folder / "ct-3slice")
    assert liver.grid.matches(image.grid)
    assert segments_of(folder / "liver.dcm") == {"Liver": 1}
    nifti.write(tmp_path / "ct.nii", image)
    assert np.array_equal(any_format.read_label(folder / "liver.dcm", tmp_path / "ct.nii").array, liver.array)
    stored = pydicom.dcmread(folder / "liver.dcm").pixel_array  # its frames run from the lowest slice up
    assert np.array_equal(Stored.of(liver.grid).to_canonical(liver.array)[0].sum(axis=(0, 1)), stored.sum(axis=(1, 2)))
    inside = image.array[0][liver.array[0] > 0]
    assert 40 < np.median(inside) < 200  # Hounsfield units of a liver with contrast


@pytest.mark.data
def test_real_overlaps_and_sparse_label_maps_are_handled(shared_data: Path) -> None:
    folder = shared_data / "dicom-misc" / "dcmqi"
    with pytest.raises(DataError, match=r"partial_overlaps\.dcm: 'GREEN' and 'ORANGE' overlap in 3017 voxels"):
        any_format.read_label(folder / "partial_overlaps.dcm", folder / "ct-3slice")
    alone = any_format.read_label(folder / "partial_overlaps.dcm", folder / "ct-3slice", segment="PURPLE")
    assert alone.grid.shape == (512, 512, 3)
    assert set(np.unique(alone.array)) == {0, 3}
    for name in ("noppv", "ppv5"):
        found = any_format.read(folder / f"sparse-labelmap-{name}.dcm")
        assert found.grid.shape == (24, 38, 3)
        assert found.array.any(axis=(0, 1, 2)).tolist() == [True, False, True]
