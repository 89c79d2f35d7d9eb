"""A DICOM SEG lies on the source frames, says what each segment is, and is the same labels when it is read again."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom.segmentation.codes import Code, code_of
from neuraxis.volume.formats.dicom.segmentation.reading import segments_of
from neuraxis.volume.formats.dicom.segmentation.writing import Author, Segment, Source, write_segmentation
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SEGMENTS = (Segment(3, "C3", (10, 200, 30)), Segment(7, "a thing nobody coded"))


def a_series(folder: Path, tilt: float = 0.0, lacking: tuple[int, ...] = (), number: int = 1) -> Volume:
    """Write a CT series with two blocks in it, take slices out, and read it."""
    array = np.full((1, 24, 26, 12), -1000, np.int16)
    array[0, 4:12, 8:17, 3:9], array[0, 12:18, 8:17, 2:10] = 300, 700
    array += np.random.default_rng(0).integers(0, 50, array.shape, dtype=np.int16)
    volume = Volume(array, Grid((24, 26, 12), np.diag([1.0, 1.0, 3.0, 1.0])))
    write_series(folder, volume, SeriesOptions(number=number, tilt_degrees=tilt))
    for number in lacking:
        (folder / f"{number:04}.dcm").unlink()
    return any_format.read(folder)


def labels_of(image: Volume) -> Volume:
    array = image.array
    return image.with_array(np.select([array > 500, array > 100], [7, 3], 0).astype(np.uint8))


@pytest.mark.parametrize("tilt", [0.0, 18.5, -7.0])
def test_what_is_written_is_read_again_equal_to_the_voxel(tmp_path: Path, tilt: float) -> None:
    image = a_series(tmp_path / "ct", tilt)
    labels = labels_of(image)
    path = write_segmentation(tmp_path / "seg.dcm", labels, Source(tmp_path / "ct"), SEGMENTS)
    found = any_format.read_label(path, tmp_path / "ct")
    assert found.grid.matches(image.grid)
    assert np.array_equal(found.array, labels.array)
    assert set(np.unique(found.array)) == {0, 3, 7}
    assert segments_of(path) == {"C3": 3, "a thing nobody coded": 7}


def test_frames_of_a_tilted_series_lie_on_the_tilted_slices(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct", 18.5)
    path = write_segmentation(tmp_path / "seg.dcm", labels_of(image), Source(tmp_path / "ct"), SEGMENTS)
    seg = pydicom.dcmread(path)
    sources = [pydicom.dcmread(file) for file in (tmp_path / "ct").iterdir()]
    places = {tuple(float(part) for part in source.ImagePositionPatient) for source in sources}
    for group in seg.PerFrameFunctionalGroupsSequence:
        assert tuple(float(part) for part in group.PlanePositionSequence[0].ImagePositionPatient) in places
    (shared,) = seg.SharedFunctionalGroupsSequence
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == sources[0].ImageOrientationPatient
    assert (seg.Rows, seg.Columns) == (sources[0].Rows, sources[0].Columns)
    frame, group = seg.pixel_array[0], seg.PerFrameFunctionalGroupsSequence[0]
    (source,) = (
        one for one in sources if one.ImagePositionPatient == group.PlanePositionSequence[0].ImagePositionPatient
    )
    assert group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1
    values = source.pixel_array[frame > 0]
    assert ((values > 0) & (values < 600)).mean() > 0.8  # the block that was labelled 3, moved by half a pixel at most


def test_where_slices_are_missing_those_that_are_there_keep_their_labels(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct", lacking=(4, 8))
    assert "2 slices are missing" in any_format.geometry_remarks(image)[0]
    labels = labels_of(image)
    path = write_segmentation(tmp_path / "seg.dcm", labels, Source(tmp_path / "ct"), SEGMENTS)
    found = any_format.read_label(path, tmp_path / "ct")
    there = [index for index in range(12) if index not in (3, 7)]
    assert np.array_equal(found.array[..., there], labels.array[..., there])
    assert (
        len({str(group.PlanePositionSequence) for group in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence}) < 10
    )


def test_the_file_says_what_each_segment_is_and_what_made_it(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    author = Author("ms-lesions", "2.1", description="Lesions. Research use only, not a medical device")
    path = write_segmentation(tmp_path / "seg.dcm", labels_of(image), Source(tmp_path / "ct"), SEGMENTS, author)
    seg = pydicom.dcmread(path)
    assert seg.SeriesDescription == "Lesions. Research use only, not a medical device"
    assert seg.StudyInstanceUID == pydicom.dcmread(tmp_path / "ct" / "0001.dcm").StudyInstanceUID
    first, second = seg.SegmentSequence
    assert [first.SegmentLabel, second.SegmentLabel] == ["C3", "a thing nobody coded"]
    assert first.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "C3 vertebra"
    assert first.SegmentAlgorithmType == "AUTOMATIC"
    (made,) = first.SegmentationAlgorithmIdentificationSequence
    assert (made.AlgorithmName, made.AlgorithmVersion) == ("ms-lesions", "2.1")
    light, red, _ = first.RecommendedDisplayCIELabValue
    assert light > 40000
    assert red < 32896  # green


def test_a_drawing_by_hand_names_no_algorithm(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    source, author = Source(tmp_path / "ct"), Author(kind="MANUAL")
    seg = pydicom.dcmread(write_segmentation(tmp_path / "s.dcm", labels_of(image), source, SEGMENTS, author))
    assert {segment.SegmentAlgorithmType for segment in seg.SegmentSequence} == {"MANUAL"}
    assert "SegmentationAlgorithmIdentificationSequence" not in seg.SegmentSequence[0]


def test_names_of_any_letters_and_headers_with_faults_are_written(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    for file in (tmp_path / "ct").glob("*.dcm"):
        dataset = pydicom.dcmread(file)
        dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 100", "Müller^Änne"
        dataset.PatientSex, dataset.StudyTime, dataset.StudyDate = "U", "99", "20260231"
        del dataset.AccessionNumber
        dataset.save_as(file)
    segments = (Segment(3, "Läsion ∅"), SEGMENTS[1])
    path = write_segmentation(tmp_path / "seg.dcm", labels_of(image), Source(tmp_path / "ct"), segments)
    seg = pydicom.dcmread(path)
    assert (seg.PatientName, seg.PatientSex, seg.StudyTime) == ("Müller^Änne", "", "")
    assert seg.SegmentSequence[0].SegmentLabel == "Läsion ∅"
    assert list(segments_of(path)) == ["Läsion ∅", "a thing nobody coded"]


def test_an_empty_segmentation_can_be_written(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    empty = image.with_array(np.zeros(image.array.shape, np.uint8))
    path = write_segmentation(tmp_path / "seg.dcm", empty, Source(tmp_path / "ct"), SEGMENTS)
    assert not any_format.read_label(path, tmp_path / "ct").array.any()


def test_the_series_is_found_by_the_grid_of_the_labels(tmp_path: Path) -> None:
    a_series(tmp_path / "study" / "one")
    image = a_series(tmp_path / "study" / "two", lacking=(11, 12), number=2)
    path = write_segmentation(tmp_path / "seg.dcm", labels_of(image), Source(tmp_path / "study"), SEGMENTS)
    assert np.array_equal(any_format.read_label(path, tmp_path / "study" / "two").array, labels_of(image).array)


def test_labels_without_a_segment_or_on_another_grid_are_refused(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    labels, source = labels_of(image), Source(tmp_path / "ct")
    with pytest.raises(DataError, match="holds 7, which no segment names"):
        write_segmentation(tmp_path / "seg.dcm", labels, source, SEGMENTS[:1])
    small = Volume(labels.array[..., 1:], labels.grid.cropped((0, 0, 1), (24, 26, 11)))
    with pytest.raises(DataError, match="does not lie on its grid: 24 x 26 x 11"):
        write_segmentation(tmp_path / "seg.dcm", small, source, SEGMENTS)
    with pytest.raises(DataError, match="different numbers"):
        write_segmentation(tmp_path / "seg.dcm", labels, source, [SEGMENTS[0], SEGMENTS[0]])
    assert not (tmp_path / "seg.dcm").exists()
    (tmp_path / "seg.dcm").touch()
    with pytest.raises(UsageError, match="exists already"):
        write_segmentation(tmp_path / "seg.dcm", labels, source, SEGMENTS)


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("hippocampus_anterior", "Tissue"),
        ("anterior hippocampus", "Hippocampus"),
        ("C1", "C1 vertebra"),
        ("vertebrae_L5", "L5 vertebra"),
        ("T13", "Tissue"),
        ("MS lesion", "Lesion"),
        ("non-enhancing tumor core", "Non-Enhancing Lesion"),
        ("enhancing tumour", "Enhancing Lesion"),
        ("oedema", "Edema"),
        ("spinal_cord", "Spinal cord"),
        ("Läsion", "Tissue"),
    ],
)
def test_known_structures_have_terms_and_others_are_tissue(name: str, meaning: str) -> None:
    assert code_of(name).type[2] == meaning


def test_every_term_of_the_table_is_one_of_the_dictionary() -> None:
    from neuraxis.volume.formats.dicom.segmentation import codes

    for _, category, term in codes._TERMS:
        for keyword in (category, term):
            value, scheme, text = codes._term(keyword)
            assert value
            assert scheme in ("SCT", "DCM", "NCIt")
            assert text


def test_a_term_of_ones_own_goes_before_the_table(tmp_path: Path) -> None:
    image = a_series(tmp_path / "ct")
    own = Code(("49755003", "SCT", "Morphologically Abnormal Structure"), ("41647002", "SCT", "Meningioma"))
    segments = (Segment(3, "C3", code=own), SEGMENTS[1])
    seg = pydicom.dcmread(write_segmentation(tmp_path / "s.dcm", labels_of(image), Source(tmp_path / "ct"), segments))
    assert seg.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0].CodeValue == "41647002"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="no dciodvfy: apt-get install dicom3tools")
@pytest.mark.parametrize("tilt", [0.0, 18.5])
def test_dicoms_own_checker_finds_no_error(tmp_path: Path, tilt: float) -> None:
    image = a_series(tmp_path / "ct", tilt)
    path = write_segmentation(tmp_path / "seg.dcm", labels_of(image), Source(tmp_path / "ct"), SEGMENTS)
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert "Error" not in told
    assert "Segmentation" in told
