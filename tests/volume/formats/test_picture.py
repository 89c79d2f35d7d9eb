from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuraxis.errors import DataError, MissingExtra, UsageError
from neuraxis.volume.formats import any_format, picture
from neuraxis.volume.formats.picture import read, read_grid, write
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

GREY = np.array([[0, 10, 20], [30, 40, 50]], np.uint8)  # two rows, three columns


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)
    return path


def test_columns_run_to_the_right_and_rows_downward(tmp_path: Path) -> None:
    volume = read(save(tmp_path / "a.png", GREY))
    assert volume.grid.shape == (3, 2, 1)
    assert volume.grid.axis_codes == "RAS"
    assert volume.array[0, :, 1, 0].tolist() == [0, 10, 20]  # the upper row lies to the front
    assert volume.array[0, :, 0, 0].tolist() == [30, 40, 50]
    np.testing.assert_array_equal(volume.stored.from_canonical(volume.array)[0, :, :, 0].T, GREY)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff"])
def test_every_kind_without_loss_gives_the_same_values(ending: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"a{ending}", GREY)
    np.testing.assert_array_equal(read(path).array, read(save(tmp_path / "b.png", GREY)).array)
    assert read_grid(path)[1] == 1


def test_colours_are_three_channels_and_transparency_none(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    pixels[..., 0], pixels[..., 3] = 200, 255
    for name, mode in (("a.png", None), ("b.png", "RGB"), ("c.png", "P")):
        volume = read(save(tmp_path / name, pixels, mode))
        assert volume.channels == 3
        assert volume.array[:, 0, 0, 0].tolist() == [200, 0, 0]
        assert read_grid(tmp_path / name)[1] == 3
    assert read(save(tmp_path / "d.png", pixels, "LA")).channels == 1


def test_sixteen_bits_and_floats_keep_their_values(tmp_path: Path) -> None:
    assert read(save(tmp_path / "a.png", GREY.astype(np.uint16) * 1000)).array.max() == 50_000
    assert read(save(tmp_path / "a.tif", GREY.astype(np.float32) / 8)).array.max() == 6.25


def test_a_mask_of_one_bit_is_0_and_255(tmp_path: Path) -> None:
    assert set(np.unique(read(save(tmp_path / "a.png", GREY > 25, "1")).array)) == {0, 255}


def test_a_jpeg_is_read(tmp_path: Path) -> None:
    flat = np.full((16, 16), 77, np.uint8)
    assert np.abs(read(save(tmp_path / "a.jpg", flat)).array.astype(int) - 77).max() <= 1


def claim(path: Path, columns: int, rows: int) -> Path:
    """Write a PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize(("columns", "rows"), [(20_000, 20_000), (2**31 - 1, 2**31 - 1), (9000, 9000), (0, 5)])
def test_a_header_that_claims_too_much_is_refused(columns: int, rows: int, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"claims|no whole PNG") as caught:
        read(claim(tmp_path / "a.png", columns, rows))
    assert "\n" not in str(caught.value)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"GIF89a" + bytes(50), bytes(100), b"%PDF-1.4"):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(DataError, match="no whole PNG, JPG, BMP or TIFF"):
            read(tmp_path / "a.png")


def test_several_pictures_in_one_file_are_refused(tmp_path: Path) -> None:
    first = Image.fromarray(GREY)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[first, first])
    with pytest.raises(DataError, match="holds 3 pictures where one is needed"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("a.jpg", np.zeros((1, 2, 2, 1), "u1")),
        ("a.png", np.zeros((1, 2, 2, 2), "u1")),
        ("a.png", np.zeros((2, 2, 2, 1), "u1")),
        ("a.png", np.full((1, 2, 2, 1), -1)),
        ("a.png", np.full((1, 2, 2, 1), 70_000)),
        ("a.png", np.full((1, 2, 2, 1), 0.5)),
    ],
)
def test_what_a_png_cannot_hold_is_not_written(name: str, array: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        write(tmp_path / name, Volume(array, Grid(array.shape[1:], np.eye(4))))
    assert not list(tmp_path.iterdir())


def test_without_pillow_the_line_to_type_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", GREY)

    def absent(module: str, extra: str) -> None:
        raise MissingExtra(module, extra)

    monkeypatch.setattr(picture, "import_extra", absent)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[report\]'"):
        read(path)


def test_pictures_beside_scans_are_no_scans(tmp_path: Path) -> None:
    names = ["b.nii.gz", "a.png", "c.txt"]
    paths = [tmp_path / name for name in names]
    assert any_format.scans_among(paths) == [tmp_path / "b.nii.gz"]
    assert any_format.scans_among(paths[1:]) == [tmp_path / "a.png"]
