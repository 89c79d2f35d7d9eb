from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import nrrd as pynrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.format import Segment
from neuraxis.volume.formats.nrrd import read, read_grid, remarks, segments, write, write_segments
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

VOXELS = np.arange(24, dtype="<i2").reshape(2, 3, 4)
FIELDS = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "2 3 4",
    "space directions": "(-2,0,0) (0,1.5,0) (0,0,3)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(10,20,-30)",
}
BODY = VOXELS.tobytes(order="F")


def make(path: Path, body: bytes = BODY, **changes: str | None) -> Path:
    """Write an NRRD file with some fields changed (`space_origin` for "space origin"), or left out where None."""
    fields = {**FIELDS, **{key.replace("_", " "): value for key, value in changes.items()}}
    lines = ["NRRD0004", *(f"{key}: {value}" for key, value in fields.items() if value is not None)]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + body)
    return path


def same_as_itk(path: Path) -> None:
    """Hold values and world positions against those that SimpleITK reads."""
    image, volume = sitk.ReadImage(str(path)), read(path)
    stored = volume.stored.from_canonical(volume.array)
    theirs = sitk.GetArrayFromImage(image)
    np.testing.assert_array_equal(stored[0], theirs.transpose(2, 1, 0))
    for index in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), tuple(size - 1 for size in image.GetSize())):
        there = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        here = (volume.stored.grid.affine @ (*index, 1))[:3]
        np.testing.assert_allclose(here, there, atol=1e-6)


@pytest.mark.parametrize("space", ["left-posterior-superior", "right-anterior-superior", "LAS", "RAS", None])
def test_every_space_is_read_as_itk_reads_it(space: str | None, tmp_path: Path) -> None:
    path = make(tmp_path / "a.nrrd", space=space)
    if space is None:
        make(
            path,
            space=None,
            space_directions=None,
            space_origin=None,
            kinds=None,
            spacings="2 1.5 3",
            axis_mins="1 2 3",
        )
    same_as_itk(path)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("raw", bytes), ("gzip", gzip.compress), ("gz", gzip.compress), ("bzip2", bz2.compress)]
)
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_encoding_and_byte_order_gives_the_same_voxels(encoding: str, pack, order: str, tmp_path: Path) -> None:
    body = VOXELS.astype("<i2" if order == "little" else ">i2").tobytes(order="F")
    volume = read(make(tmp_path / "a.nrrd", pack(body), encoding=encoding, endian=order))
    np.testing.assert_array_equal(volume.stored.from_canonical(volume.array)[0], VOXELS)
    assert volume.array.dtype == np.int16


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
)
def test_what_pynrrd_writes_is_read_with_its_type(dtype: str, tmp_path: Path) -> None:
    pynrrd.write(str(tmp_path / "a.nrrd"), VOXELS.astype(dtype), {"space": "RAS", "space directions": np.eye(3)})
    volume = read(tmp_path / "a.nrrd")
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array[0], VOXELS)


def test_what_is_written_is_read_alike_by_others(tmp_path: Path) -> None:
    affine = np.array([[2.0, 0.1, 0, 5], [-0.1, 1.0, 0.2, -6], [0, 0.1, 3, 7], [0, 0, 0, 1.0]])
    volume = Volume(np.random.default_rng(0).normal(size=(1, 4, 5, 6)).astype("f4"), Grid((4, 5, 6), affine))
    write(tmp_path / "a.nrrd", volume)
    array, header = pynrrd.read(str(tmp_path / "a.nrrd"))
    np.testing.assert_array_equal(array, volume.array[0])
    assert header["space"] == "left-posterior-superior"
    assert header["space origin"].tolist() == [-5, 6, 7]
    np.testing.assert_array_equal(read(tmp_path / "a.nrrd").grid.affine, affine)


def test_voxels_of_their_own_file_are_found_beside_the_header(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"a line\nab" + BODY)
    path = make(tmp_path / "a.nhdr", b"", data_file="a.raw", line_skip="1", byte_skip="2")
    same_as_itk(path)
    np.testing.assert_array_equal(read(make(path, b"", data_file="a.raw", byte_skip="-1")).array, read(path).array)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "sub/a.raw", "sub\\a.raw", "..", "", "a\0b"])
def test_voxels_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a.raw").write_bytes(BODY)
    with pytest.raises(DataError, match=r"same folder|cannot be used"):
        read(make(tmp_path / "data" / "a.nhdr", b"", data_file=name))


@pytest.mark.parametrize("name", ["LIST", "slice%03d.raw 1 10 1"])
def test_voxels_in_many_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="spread over several files"):
        read(make(tmp_path / "a.nhdr", b"", data_file=name))


def test_axes_that_do_not_lie_in_space_become_channels(tmp_path: Path) -> None:
    body = np.arange(48, dtype="<i2").reshape(2, 2, 3, 4)
    changes = {"dimension": "4", "sizes": "2 2 3 4", "kinds": "list domain domain domain"}
    path = make(
        tmp_path / "a.nrrd",
        body.tobytes(order="F"),
        space_directions="none (1,0,0) (0,1,0) (0,0,1)",
        space="RAS",
        **changes,
    )
    np.testing.assert_array_equal(read(path).array, body)
    assert read_grid(path)[1] == 2
    last = make(
        tmp_path / "b.nrrd", body.transpose(1, 2, 3, 0).tobytes(order="F"), dimension="4", sizes="2 3 4 2",
        kinds="domain domain domain list", space_directions="(1,0,0) (0,1,0) (0,0,1) none", space="RAS",
    )  # fmt: skip
    np.testing.assert_array_equal(read(last).array, body)


def test_a_slice_in_space_gets_a_thickness_of_1_mm(tmp_path: Path) -> None:
    path = make(
        tmp_path / "a.nrrd", VOXELS[..., 0].tobytes(order="F"), dimension="2", sizes="2 3", kinds="domain domain",
        space_directions="(2,0,0) (0,2,0)", space="RAS",
    )  # fmt: skip
    assert read(path).grid.spacing_mm == (2, 2, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sizes": "2 3 4000000000"}, "claims the shape"),
        ({"sizes": "2 3 400000000"}, "more than the file can hold"),
        ({"sizes": "2 3 0"}, "claims the shape"),
        ({"sizes": "2 3 -4"}, "'sizes'"),
        ({"sizes": "2 3"}, "'dimension'"),
        ({"sizes": "2 3 5"}, "ends early|more than the file can hold"),
        ({"type": "block"}, "'type'"),
        ({"type": None}, "'type' in the NRRD header is missing"),
        ({"endian": None}, "'endian'"),
        ({"encoding": "hex"}, "raw, gzip and bzip2 are read"),
        ({"encoding": "gzip"}, "corrupt"),
        ({"encoding": "bzip2"}, "corrupt"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "singular"),
        ({"space_directions": "(nan,0,0) (0,1,0) (0,0,1)"}, "singular or not finite"),
        ({"space_directions": "(a,0,0) (0,1,0) (0,0,1)"}, "'spacedirections'"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "'spacedirections'"),
        ({"byte_skip": "-2"}, "'byteskip'"),
        ({"byte_skip": "999999999"}, "ends early"),
        ({"line_skip": "x"}, "'lineskip'"),
    ],
)
def test_a_header_that_cannot_be_is_refused_in_one_line(
    changes: dict[str, str | None], words: str, tmp_path: Path
) -> None:
    path = make(tmp_path / "a.nrrd", **changes)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_packed_file_that_claims_terabytes_is_refused_without_taking_them(tmp_path: Path) -> None:
    path = make(tmp_path / "a.nrrd", gzip.compress(BODY), encoding="gzip", sizes="2000 3000 1000")
    with pytest.raises(DataError, match="ends early"):
        read(path)
    with pytest.raises(DataError, match="more than the file can hold"):
        read(make(path, gzip.compress(BODY), encoding="gzip", sizes="20000 30000 100000"))


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n" + b"# nothing\n" * 200_000)
    with pytest.raises(DataError, match="longer than 1024 KiB"):
        read(tmp_path / "a.nrrd")


def test_a_space_that_is_not_told_is_remarked_on(tmp_path: Path) -> None:
    assert remarks(read(make(tmp_path / "a.nrrd"))) == ()
    assert "names no space" in remarks(read(make(tmp_path / "a.nrrd", space=None)))[0]
    assert "taken as RAS" in remarks(read(make(tmp_path / "a.nrrd", space="scanner-xyz")))[0]


def test_segments_come_back_with_names_colours_and_layers(tmp_path: Path) -> None:
    array = np.zeros((2, 3, 3, 3), np.uint8)
    array[0, 1], array[1, 1, 1] = 1, 2
    told = (Segment("whole tumour", 1, 0, "#ff0000"), Segment("core\n: =", 2, 1, "#00ff00"))
    write_segments(tmp_path / "a.seg.nrrd", Volume(array, Grid((3, 3, 3), np.eye(4))), told)
    np.testing.assert_array_equal(any_format.read(tmp_path / "a.seg.nrrd").array, array)
    assert segments(tmp_path / "a.seg.nrrd") == (told[0], Segment("core : =", 2, 1, "#00ff00"))
    _, header = pynrrd.read(str(tmp_path / "a.seg.nrrd"))
    assert (header["Segment0_Name"], header["Segment1_Layer"], header["Segment0_Color"]) == (
        "whole tumour",
        "1",
        "1 0 0",
    )
    assert any_format.stem(tmp_path / "a.seg.nrrd") == "a"


def test_a_label_map_without_names_describes_its_numbers(tmp_path: Path) -> None:
    array = np.zeros((1, 3, 3, 3), np.int16)
    array[0, 1], array[0, 2] = 20, 300
    any_format.write(tmp_path / "a.seg.nrrd", Volume(array, Grid((3, 3, 3), np.eye(4))))
    assert [(one.name, one.value) for one in any_format.segments_of(tmp_path / "a.seg.nrrd")] == [
        ("label 20", 20),
        ("label 300", 300),
    ]
    np.testing.assert_array_equal(read(tmp_path / "a.seg.nrrd").array, array)


def test_segments_of_older_slicers_are_a_layer_each(tmp_path: Path) -> None:
    path = make(tmp_path / "a.seg.nrrd", dimension="4", sizes="2 2 3 4")
    text = path.read_bytes().replace(b"\n\n", b"\nSegment0_Name:=one\nSegment1_Name:=two\n\n", 1)
    path.write_bytes(text)
    assert segments(path) == (Segment("one", 1, 0), Segment("two", 1, 1))


@pytest.mark.parametrize("name", ["a.nhdr", "a.raw"])
def test_only_one_file_with_everything_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.nrrd"):
        write(tmp_path / name, Volume(np.zeros((1, 2, 2, 2), "u1"), Grid((2, 2, 2), np.eye(4))))


@pytest.mark.data
def test_the_real_tumour_is_read_as_itk_reads_it(shared_data: Path) -> None:
    for name in ("brain1_image.nrrd", "brain1_label.nrrd"):
        same_as_itk(shared_data / "tumour-pyradiomics-nrrd" / name)
