from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats.metaimage import read, read_grid, remarks, write
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

VOXELS = np.arange(24, dtype="<i2").reshape(2, 3, 4)
BODY = VOXELS.tobytes(order="F")
TAGS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
    "Offset": "10 20 -30",
    "ElementSpacing": "2 1.5 3",
    "DimSize": "2 3 4",
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def make(path: Path, body: bytes = BODY, **changes: str | None) -> Path:
    tags = {**TAGS, **changes}
    tags["ElementDataFile"] = tags.pop("ElementDataFile")
    lines = "".join(f"{tag} = {value}\n" for tag, value in tags.items() if value is not None)
    path.write_bytes(lines.encode() + body)
    return path


def same_as_itk(path: Path) -> None:
    """Hold values and world positions against those that SimpleITK reads."""
    image, volume = sitk.ReadImage(str(path)), read(path)
    stored = volume.stored.from_canonical(volume.array)
    np.testing.assert_array_equal(stored[0], sitk.GetArrayFromImage(image).transpose(2, 1, 0))
    for index in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        there = np.array(image.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
        np.testing.assert_allclose((volume.stored.grid.affine @ (*index, 1))[:3], there, atol=1e-6)


def test_directions_spacing_and_offset_are_itks(tmp_path: Path) -> None:
    same_as_itk(make(tmp_path / "a.mha"))
    same_as_itk(make(tmp_path / "b.mha", zlib.compress(BODY), CompressedData="True", CompressedDataSize="40"))


@pytest.mark.parametrize(
    "pixel", [sitk.sitkInt8, sitk.sitkUInt8, sitk.sitkUInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64]
)
@pytest.mark.parametrize("ending", [".mha", ".mhd"])
def test_what_itk_writes_is_read(pixel: int, ending: str, tmp_path: Path) -> None:
    image = sitk.Cast(sitk.GetImageFromArray(VOXELS.transpose(2, 1, 0)), pixel)
    image.SetSpacing((0.5, 0.7, 2.5))
    image.SetOrigin((-3.25, 8, 100))
    image.SetDirection(sitk.VersorTransform((0, 0, 1), 0.3).GetMatrix())
    for compressed in (False, True):
        path = tmp_path / f"a{compressed}{ending}"
        sitk.WriteImage(image, str(path), compressed)
        same_as_itk(path)


def test_several_numbers_a_voxel_and_a_fourth_axis_become_channels(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).integers(0, 99, (4, 3, 2, 5)).astype("i2")  # (z, y, x, component)
    sitk.WriteImage(sitk.GetImageFromArray(vectors, isVector=True), str(tmp_path / "a.mha"))
    volume = read(tmp_path / "a.mha")
    np.testing.assert_array_equal(volume.stored.from_canonical(volume.array), vectors.transpose(3, 2, 1, 0))
    series = np.random.default_rng(0).integers(0, 99, (5, 4, 3, 2)).astype("i2")
    sitk.WriteImage(sitk.GetImageFromArray(series, isVector=False), str(tmp_path / "b.mha"))
    volume = read(tmp_path / "b.mha")
    np.testing.assert_array_equal(volume.stored.from_canonical(volume.array), series.transpose(0, 3, 2, 1))
    assert read_grid(tmp_path / "b.mha")[1] == 5


def test_what_is_written_is_read_alike_by_itk(tmp_path: Path) -> None:
    cosine, sine = np.cos(0.3), np.sin(0.3)
    affine = np.array([[cosine, -2 * sine, 0, 5], [sine, 2 * cosine, 0, -6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    write(tmp_path / "a.mha", Volume(np.random.default_rng(0).normal(size=(1, 4, 5, 6)), Grid((4, 5, 6), affine)))
    same_as_itk(tmp_path / "a.mha")


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "sub/a.raw", "", "LIST", "a%03d.raw 1 3 1"])
def test_voxels_elsewhere_or_in_many_files_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a.raw").write_bytes(BODY)
    with pytest.raises(DataError, match=r"same folder|several files"):
        read(make(tmp_path / "data" / "a.mhd", b"", ElementDataFile=name))


def test_voxels_of_their_own_file_may_begin_later(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"ab" + BODY)
    for size in ("2", "-1"):
        same_as_itk(make(tmp_path / "a.mhd", b"", ElementDataFile="a.raw", HeaderSize=size))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DimSize": "2 3 400000000"}, "more than the file can hold"),
        ({"DimSize": "2 3 0"}, "claims the shape"),
        ({"DimSize": "2 3"}, "'NDims'"),
        ({"DimSize": "2 x 4"}, "'DimSize'"),
        ({"DimSize": "2 3 5"}, "ends early|more than the file"),
        ({"ElementType": "MET_BIT"}, "'ElementType'"),
        ({"ElementType": None}, "'ElementType' in the MetaImage header is missing"),
        ({"ElementNumberOfChannels": "0"}, "'ElementNumberOfChannels'"),
        ({"BinaryData": "False"}, "written as text"),
        ({"CompressedData": "True"}, "corrupt"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "singular"),
        ({"TransformMatrix": "1 0 0 1"}, "'TransformMatrix'"),
        ({"ElementSpacing": "nan 1 1"}, "not finite"),
        ({"ElementSpacing": "a b c"}, "'ElementSpacing'"),
        ({"HeaderSize": "-7", "ElementDataFile": "a.mha"}, "'HeaderSize'"),
    ],
)
def test_a_header_that_cannot_be_is_refused_in_one_line(
    changes: dict[str, str | None], words: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        read(make(tmp_path / "a.mha", **changes))
    assert "\n" not in str(caught.value)


def test_what_is_no_metaimage_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\x00" * 9000, b"NDims = 3\n" * 20, b"NDims = 3\n\n"):
        (tmp_path / "a.mha").write_bytes(content)
        with pytest.raises(DataError, match="does not begin with a MetaImage header"):
            read(tmp_path / "a.mha")


def test_directions_that_are_not_told_are_remarked_on(tmp_path: Path) -> None:
    assert remarks(read(make(tmp_path / "a.mha"))) == ()
    assert "left and right are a guess" in remarks(read(make(tmp_path / "a.mha", TransformMatrix=None)))[0]


def test_only_one_file_with_everything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"written as \.mha"):
        write(tmp_path / "a.mhd", Volume(np.zeros((1, 2, 2, 2), "u1"), Grid((2, 2, 2), np.eye(4))))
