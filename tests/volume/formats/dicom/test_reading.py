"""A DICOM series is read by what its headers say, and what is odd about it is said."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid

from neuraxis.errors import DataError, MissingExtra
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SHAPE = (9, 8, 12)
Change = Callable[[pydicom.Dataset, int], None]


def a_volume(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> Volume:
    array = np.random.default_rng(seed).integers(0, 2000, (1, *shape), dtype=np.int16)
    return Volume(array, Grid(shape, np.diag([0.7, 0.8, 3.0, 1.0])))


def a_series(folder: Path, change: Change | None = None, shape: tuple[int, int, int] = SHAPE, **options) -> np.ndarray:
    """Write a CT series, change each slice's header (it gets its place from 0), and return the voxels."""
    volume = a_volume(options.get("number", 1), shape)
    write_series(folder, volume, SeriesOptions(**options))
    edit(folder, change)
    return volume.array


def edit(folder: Path, change: Change | None) -> None:
    for place, file in enumerate(sorted(folder.glob("*.dcm"))):
        if change is not None:
            dataset = pydicom.dcmread(file)
            change(dataset, place)
            dataset.save_as(file)


def remarks(folder: Path) -> str:
    return "; ".join(any_format.geometry_remarks(any_format.read(folder)))


def test_slices_are_sorted_by_their_place_whatever_their_names_and_numbers_say(tmp_path: Path) -> None:
    def number_backwards(dataset: pydicom.Dataset, place: int) -> None:
        dataset.InstanceNumber = (5 * place) % 12

    array = a_series(tmp_path / "ct", number_backwards)
    for place, file in enumerate(sorted((tmp_path / "ct").iterdir())):
        file.rename(tmp_path / "ct" / f"IM{(7 * place) % 12:03}")
    found = any_format.read(tmp_path / "ct")
    assert np.array_equal(found.array, array)
    assert found.grid.matches(a_volume().grid)


def test_values_become_hounsfield_units(tmp_path: Path) -> None:
    def rescale(dataset: pydicom.Dataset, place: int) -> None:
        dataset.RescaleIntercept = -1024

    array = a_series(tmp_path / "ct", rescale)
    found = any_format.read(tmp_path / "ct").array
    assert found.dtype == np.int16
    assert np.array_equal(found, array - 1024)


def test_each_slice_has_a_slope_of_its_own(tmp_path: Path) -> None:
    def rescale(dataset: pydicom.Dataset, place: int) -> None:
        dataset.RescaleSlope, dataset.Modality = 0.5 + place, "PT"

    array = a_series(tmp_path / "pet", rescale)
    found = any_format.read(tmp_path / "pet").array
    assert found.dtype == np.float32
    assert np.allclose(found, array * (0.5 + np.arange(12)))


def test_values_that_need_more_than_16_bits_stay_whole(tmp_path: Path) -> None:
    def rescale(dataset: pydicom.Dataset, place: int) -> None:
        dataset.RescaleSlope = 100

    array = a_series(tmp_path / "ct", rescale)
    found = any_format.read(tmp_path / "ct").array
    assert found.dtype == np.int32
    assert np.array_equal(found, array.astype(np.int32) * 100)


def test_dark_for_high_is_inverted_and_said(tmp_path: Path) -> None:
    def invert(dataset: pydicom.Dataset, place: int) -> None:
        dataset.PhotometricInterpretation, dataset.Modality = "MONOCHROME1", "OT"
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = 0, 12, 11

    array = a_series(tmp_path / "x", invert)
    assert np.array_equal(any_format.read(tmp_path / "x").array, 4095 - array)
    assert "MONOCHROME1); they are inverted" in remarks(tmp_path / "x")


def test_hounsfield_units_are_never_inverted(tmp_path: Path) -> None:
    def mark(dataset: pydicom.Dataset, place: int) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"

    array = a_series(tmp_path / "x", mark)
    assert np.array_equal(any_format.read(tmp_path / "x").array, array)
    assert "they are kept" in remarks(tmp_path / "x")


@pytest.mark.parametrize(
    ("syntax", "changes"),
    [
        (uid.RLELossless, {}),
        (uid.JPEG2000Lossless, {}),
        (uid.JPEGLSLossless, {}),
        (uid.DeflatedExplicitVRLittleEndian, {"refused": "deflated"}),
    ],
)
def test_compressed_slices_are_the_same(tmp_path: Path, syntax: uid.UID, changes: dict[str, str]) -> None:
    array = a_series(tmp_path / "ct", shape=(48, 40, 3))
    for file in (tmp_path / "ct").iterdir():
        dataset = pydicom.dcmread(file)
        if changes:
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.compress(syntax)
        dataset.save_as(file)
    if changes:
        with pytest.raises(DataError, match=changes["refused"]):
            any_format.read(tmp_path / "ct")
    else:
        assert np.array_equal(any_format.read(tmp_path / "ct").array, array)


def test_old_lossless_jpeg_is_the_same(tmp_path: Path) -> None:
    import gdcm

    array = a_series(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(file))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    assert pydicom.dcmread(file).file_meta.TransferSyntaxUID == uid.JPEGLosslessSV1
    assert np.array_equal(any_format.read(tmp_path / "ct").array, array)


def test_big_endian_and_files_without_a_preamble_are_read(tmp_path: Path) -> None:
    array = a_series(tmp_path / "ct")
    for place, file in enumerate(sorted((tmp_path / "ct").iterdir())):
        dataset = pydicom.dcmread(file)
        if place % 2:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<i2").astype(">i2").tobytes()
            dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
            pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=False)
        else:
            del dataset.file_meta
            pydicom.dcmwrite(file, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert np.array_equal(any_format.read(tmp_path / "ct").array, array)


def test_a_missing_decoder_is_answered_with_the_line_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_series(tmp_path / "ct", shape=(48, 40, 3))
    for file in (tmp_path / "ct").iterdir():
        dataset = pydicom.dcmread(file)
        dataset.compress(uid.JPEG2000Lossless)
        dataset.save_as(file)
    decoder = pydicom.pixels.get_decoder(uid.JPEG2000Lossless)
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(MissingExtra, match=r"'pylibjpeg-openjpeg'.*pip install 'neuraxis\[dicom\]'"):
        any_format.read(tmp_path / "ct")


def test_without_pydicom_the_line_to_type_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_series(tmp_path / "ct")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pydicom" else there(name))
    for ask in (any_format.read, any_format.read_grid):
        with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[dicom\]'"):
            ask(tmp_path / "ct")


# --- which series -----------------------------------------------------------------------------------------------------


def test_a_folder_of_several_series_lists_them_and_takes_the_one_that_is_named(tmp_path: Path) -> None:
    first = a_series(tmp_path / "study" / "a", description="T1 mprage", number=1, study="s", modality="MR")
    second = a_series(tmp_path / "study" / "b", description="T2", number=2, study="s", modality="MR")
    with pytest.raises(DataError, match=r"holds 2 series: '1-T1_mprage' \(MR, 12 of 9 x 8\), '2-T2'.*Name the one"):
        any_format.read(tmp_path / "study")
    for name in ("1-T1_mprage", "1", "t1 MPRAGE"):
        assert np.array_equal(any_format.read(tmp_path / "study", name).array, first)
    assert np.array_equal(any_format.read(tmp_path / "study", "T2").array, second)
    with pytest.raises(DataError, match="'T3' names no series"):
        any_format.read_grid(tmp_path / "study", "T3")


def test_one_series_of_two_orientations_and_spacings_has_parts(tmp_path: Path) -> None:
    def split(dataset: pydicom.Dataset, place: int) -> None:
        if place >= 8:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            dataset.ImagePositionPatient = [0, 3 * place, 0]
        elif place >= 4:
            dataset.PixelSpacing = [0.5, 0.5]

    a_series(tmp_path / "ct", split, description="mixed")
    with pytest.raises(DataError, match=r"'1-mixed\.1'.*'1-mixed\.2'.*'1-mixed\.3'"):
        any_format.read(tmp_path / "ct")
    shapes = {any_format.read(tmp_path / "ct", f"1-mixed.{part}").array.shape for part in (1, 2, 3)}
    assert shapes == {(1, 9, 8, 4), (1, 9, 4, 8)}


def test_a_localiser_is_set_aside_and_said(tmp_path: Path) -> None:
    def locate(dataset: pydicom.Dataset, place: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    a_series(tmp_path / "study" / "a", locate, description="scan 1", number=1)
    array = a_series(tmp_path / "study" / "b", description="head", number=2)
    assert np.array_equal(any_format.read(tmp_path / "study").array, array)
    assert "left aside as localisers or too few slices: 1-scan_1" in remarks(tmp_path / "study")


def test_two_patients_in_a_folder_are_refused(tmp_path: Path) -> None:
    a_series(tmp_path / "all" / "a", patient="one", number=1)
    a_series(tmp_path / "all" / "b", patient="two", number=2)
    with pytest.raises(DataError, match="series of 2 patients"):
        any_format.read(tmp_path / "all")


def test_two_patients_in_a_series_are_refused(tmp_path: Path) -> None:
    def swap(dataset: pydicom.Dataset, place: int) -> None:
        dataset.PatientID = "one" if place < 6 else "two"

    a_series(tmp_path / "ct", swap)
    with pytest.raises(DataError, match="2 patients"):
        any_format.read(tmp_path / "ct", "1")


# --- where slices lie -------------------------------------------------------------------------------------------------


def test_missing_slices_are_filled_between_their_neighbours_and_said(tmp_path: Path) -> None:
    array = a_series(tmp_path / "ct")
    (tmp_path / "ct" / "0005.dcm").unlink()
    found = any_format.read(tmp_path / "ct")
    there = [place for place in range(12) if place != 4]
    assert np.allclose(found.array[..., there], array[..., there])
    assert np.allclose(found.array[..., 4], (array[..., 3] + array[..., 5]) / 2)
    assert found.grid.matches(a_volume().grid)
    assert remarks(tmp_path / "ct") == "1 slice is missing (after slice 4); neighbours are interpolated in its place"


def test_a_wide_gap_is_refused(tmp_path: Path) -> None:
    a_series(tmp_path / "ct")
    for number in range(3, 12):
        (tmp_path / "ct" / f"{number:04}.dcm").unlink()
    with pytest.raises(DataError, match="30 mm lie between two neighbouring slices, 3 mm between others"):
        any_format.read(tmp_path / "ct")


def test_doubled_slices_are_left_out_and_said(tmp_path: Path) -> None:
    array = a_series(tmp_path / "ct")
    copy = pydicom.dcmread(tmp_path / "ct" / "0003.dcm")
    copy.save_as(tmp_path / "ct" / "copy.dcm")
    assert "copies of slices that are there: 1 file" in remarks(tmp_path / "ct")
    copy.SOPInstanceUID, copy.InstanceNumber = uid.generate_uid(), 99
    copy.save_as(tmp_path / "ct" / "copy.dcm")
    assert "1 of 12 places hold more than one slice" in remarks(tmp_path / "ct")
    assert np.array_equal(any_format.read(tmp_path / "ct").array, array)


def test_mixed_distances_become_even_at_the_finer_one(tmp_path: Path) -> None:
    places = np.array([0, 4, 8, 12, 16, 20, 27, 34, 41, 48, 55, 62.0])

    def move(dataset: pydicom.Dataset, place: int) -> None:
        dataset.ImagePositionPatient = [0, 0, places[place]]
        dataset.PixelData = np.full((8, 9), 10 * places[place], "<i2").tobytes()

    a_series(tmp_path / "ct", move)
    found = any_format.read(tmp_path / "ct")
    assert remarks(tmp_path / "ct") == "the slices lie 4, 7 mm apart; they are interpolated to an even 4 mm"
    assert found.grid.spacing_mm == (0.7, 0.8, 4.0)
    profile = found.array[0].mean(axis=(0, 1))
    assert np.allclose(profile[:-1], 40 * np.arange(16), atol=1e-3)
    assert profile[-1] == pytest.approx(620)


def test_a_tilted_stack_is_moved_slice_by_slice(tmp_path: Path) -> None:
    """Each slice shows a ramp across the place in space; on the straight grid the ramp is the same for all slices."""
    angle = np.radians(15)
    down = np.array([0, np.cos(angle), -np.sin(angle)])

    def tilt(dataset: pydicom.Dataset, place: int) -> None:
        corner = np.array([0, 0, 3.0 * place])
        dataset.ImagePositionPatient = [f"{part:.10g}" for part in corner]
        dataset.ImageOrientationPatient = ["1", "0", "0", *(f"{part:.10g}" for part in down)]
        along = corner @ down + 0.8 * np.arange(8)
        dataset.PixelData = np.rint(1000 + 100 * along[:, None] + np.zeros(9)).astype("<i2").tobytes()

    a_series(tmp_path / "ct", tilt)
    found = any_format.read(tmp_path / "ct")
    axes = found.grid.affine[:3, :3] / np.array(found.grid.exact_spacing_mm)
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-6)
    assert found.grid.spacing_mm[2] == pytest.approx(3 * np.cos(angle), abs=1e-4)
    index = np.argwhere(found.array[0] > found.array.min() + 1)
    world = (found.grid.affine @ np.c_[index, np.ones(len(index))].T)[:3].T * (-1, -1, 1)
    inside = found.array[0][tuple(index.T)]
    off = np.abs(inside - (1000 + 100 * world @ down))
    assert np.quantile(off, 0.8) < 2
    assert off.max() < 45  # half a pixel at the edges, which takes the nearest
    assert "tilted by 15.0 degrees" in remarks(tmp_path / "ct")


def test_repeated_stacks_are_channels_in_their_order(tmp_path: Path) -> None:
    first = a_series(tmp_path / "a", modality="MR", study="s")
    second = a_series(tmp_path / "b", modality="MR", study="s", number=2)

    def join(dataset: pydicom.Dataset, place: int) -> None:
        dataset.SeriesInstanceUID, dataset.SeriesNumber, dataset.SeriesDescription = "1.2.3.4.5.6", 1, "bold"
        dataset.TemporalPositionIdentifier = 2 if dataset.InstanceNumber == place + 1 else 1

    edit(tmp_path / "a", join)
    edit(tmp_path / "b", lambda dataset, place: join(dataset, -5))
    (tmp_path / "b").rename(tmp_path / "a" / "b")
    found = any_format.read(tmp_path / "a")
    assert any_format.read_grid(tmp_path / "a")[1] == 2
    assert np.array_equal(found.array, np.concatenate([second, first]))


def test_a_slice_without_a_place_is_a_picture_and_says_so(tmp_path: Path) -> None:
    def forget(dataset: pydicom.Dataset, place: int) -> None:
        del dataset.ImagePositionPatient

    a_series(tmp_path / "ct", forget)
    found = any_format.read(tmp_path / "ct" / "0001.dcm")
    assert found.array.shape == (1, 9, 8, 1)
    assert "left and right are a guess" in any_format.geometry_remarks(found)[0]
    with pytest.raises(DataError, match="do not say where they lie"):
        any_format.read(tmp_path / "ct")


# --- what is refused --------------------------------------------------------------------------------------------------


def _colour(dataset: pydicom.Dataset, place: int) -> None:
    dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = bytes(9 * 8 * 3)


def _table(dataset: pydicom.Dataset, place: int) -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor, item.LUTExplanation = [1, 0, 16], "x"
    dataset.ModalityLUTSequence = [item]


def _mosaic(dataset: pydicom.Dataset, place: int) -> None:
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]


def _no_pixels(dataset: pydicom.Dataset, place: int) -> None:
    del dataset.PixelData


def _many_frames(dataset: pydicom.Dataset, place: int) -> None:
    dataset.NumberOfFrames, dataset.PixelData = 3, dataset.PixelData * 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_colour, r"colour picture \(RGB\)"),
        (_table, "values in a table"),
        (_mosaic, "is a mosaic"),
        (_no_pixels, "holds no pixels|more than the file can hold"),
        (_many_frames, "3 frames and does not say where they lie"),
    ],
)
def test_what_is_no_scan_is_refused_in_one_line(tmp_path: Path, change: Change, message: str) -> None:
    a_series(tmp_path / "x", change)
    with pytest.raises(DataError, match=message) as told:
        any_format.read(tmp_path / "x")
    assert "\n" not in str(told.value)


def test_files_that_are_something_else_do_not_disturb(tmp_path: Path) -> None:
    array = a_series(tmp_path / "ct")
    (tmp_path / "ct" / "LICENSE").write_text("free " * 100)
    (tmp_path / "ct" / ".DS_Store").write_bytes(bytes(200))
    (tmp_path / "ct" / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00ZZ" + bytes(80))
    assert np.array_equal(any_format.read(tmp_path / "ct").array, array)
    assert "1 file of its folder cannot be read, the first: broken.dcm" in remarks(tmp_path / "ct")
