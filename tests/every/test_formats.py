"""Every format of the catalog that can be written: what is written is read again, voxels, dtype and affine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.catalog import ENDINGS, FORMATS
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume

# The grids that a format can keep where it is not every one: pictures lie flat, with pixels of 1 mm.
FLAT = {"picture"}
# Formats that hold no image of any numbers, and are tried where they are.
ELSEWHERE = {"dicom", "dicom-seg", "mesh"}
TYPES = ("u1", "i2", "u2", "i4", "f4", "f8")


def written() -> list[tuple[str, str]]:
    """Return each format and an ending under which it can be written."""
    found = {}
    for ending, name in ENDINGS.items():
        if name not in ELSEWHERE and FORMATS.load(name).write is not None:
            found.setdefault(name, []).append(ending)
    return [(name, ending) for name, endings in found.items() for ending in endings if can_write(name, ending)]


def can_write(name: str, ending: str) -> bool:
    return ending not in {".nhdr", ".mhd"} and (name != "picture" or ending == ".png") and ending != ".seg.nrrd"


def volume(name: str, dtype: str, channels: int = 1) -> Volume:
    """Make a volume of numbers that all differ, as stored on an oblique grid with axes in another order."""
    if name in FLAT:
        stored = Stored.of(Grid((5, 4, 1), np.diag([1.0, -1.0, 1.0, 1.0])))
    else:
        turn = np.array([[0.02, -1.99, 0.1], [0.98, 0.01, 0.3], [-0.1, 0.12, 3.1]])
        stored = Stored.of(Grid((5, 4, 3), np.vstack([np.column_stack([turn, [-7.5, 81.25, 1000.125]]), [0, 0, 0, 1]])))
    numbers = np.arange(channels * np.prod(stored.grid.shape)).reshape(channels, *stored.grid.shape)
    return Volume(stored.to_canonical(numbers.astype(dtype)), stored.canonical_grid, stored)


@pytest.mark.parametrize(("name", "ending"), written())
@pytest.mark.parametrize("dtype", TYPES)
def test_write_and_read_keep_voxels_and_affine(name: str, ending: str, dtype: str, tmp_path: Path) -> None:
    path, source = tmp_path / f"scan{ending}", volume(name, dtype)
    if name in FLAT and dtype in ("f4", "f8"):
        with pytest.raises(UsageError, match="whole numbers"):
            any_format.write(path, source)
        assert not path.exists()
        return
    any_format.write(path, source)
    found = any_format.read(path)
    if name not in FLAT:
        assert found.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(found.array, source.array)
    np.testing.assert_allclose(found.grid.affine, source.grid.affine, atol=1e-4)
    assert found.stored is not None
    assert found.stored.grid.shape == source.stored.grid.shape
    np.testing.assert_allclose(found.stored.grid.affine, source.stored.grid.affine, atol=1e-4)
    grid, channels = any_format.read_grid(path)
    assert (grid.shape, channels) == (source.grid.shape, 1)
    np.testing.assert_array_equal(grid.affine, found.grid.affine)


@pytest.mark.parametrize(("name", "ending"), written())
def test_channels_come_back_in_their_order(name: str, ending: str, tmp_path: Path) -> None:
    source = volume(name, "u1", channels=3)
    any_format.write(tmp_path / f"scan{ending}", source)
    found = any_format.read(tmp_path / f"scan{ending}")
    np.testing.assert_array_equal(found.array, source.array)
    assert any_format.read_grid(tmp_path / f"scan{ending}")[1] == 3


@pytest.mark.parametrize(("name", "ending"), written())
def test_a_result_goes_back_onto_the_scan_it_came_from(name: str, ending: str, tmp_path: Path) -> None:
    any_format.write(tmp_path / f"scan{ending}", volume(name, "u1"))
    scan = any_format.read(tmp_path / f"scan{ending}")
    mask = scan.with_array((scan.array % 2).astype(np.uint8))
    any_format.write(tmp_path / f"mask{ending}", mask)
    found = any_format.read(tmp_path / f"mask{ending}")
    np.testing.assert_array_equal(found.array, mask.array)
    np.testing.assert_array_equal(found.stored.grid.affine, scan.stored.grid.affine)
    any_format.write(tmp_path / "mask.nii.gz", mask)
    np.testing.assert_array_equal(any_format.read(tmp_path / "mask.nii.gz").array, mask.array)


@pytest.mark.parametrize(("name", "ending"), written())
def test_an_existing_file_is_replaced_only_when_told(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{ending}"
    any_format.write(path, volume(name, "u1"))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        any_format.write(path, volume(name, "u1"), overwrite=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "ending"), written())
def test_a_file_that_is_cut_anywhere_is_refused_in_one_line(name: str, ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"scan{ending}"
    any_format.write(path, volume(name, "i2"))
    whole = path.read_bytes()
    late = set() if name in FLAT else {60, len(whole) - 5}  # pillow does without the last checksums
    for length in {0, 1, 4, 9, len(whole) // 3, len(whole) // 2, *late}:
        path.write_bytes(whole[:length])
        with pytest.raises(DataError) as caught:
            any_format.read(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
