"""The contact sheet: what it shows, which slice, and that it is drawn."""

import sys

import numpy as np
import pytest

from neuraxis.errors import DataError, MissingExtra, UnknownName, UsageError
from neuraxis.patches.augment.catalog import AUGMENTATIONS
from neuraxis.patches.augment.contact_sheet import draw_sheet, make_tiles, phantom_specimen, specimen
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume


def scan(shape=(24, 28, 20), spacing=(1.0, 1.0, 1.0), label_slices=slice(8, 11)):
    """A bright ellipsoid, brighter on the right and in front, with a little ball marked in some of its slices."""
    lines = ((2 * np.arange(size) + 1) / size - 1 for size in shape)
    places = np.stack(np.meshgrid(*lines, indexing="ij"))
    inside = (places**2).sum(axis=0)
    image = np.where(inside < 0.7, 300 + 60 * places[0] + 30 * places[1], 5).astype(np.float32)
    label = (inside < 0.1) & np.isin(np.arange(shape[2]), np.arange(shape[2])[label_slices])
    grid = Grid(shape, np.diag([*spacing, 1.0]))
    return Volume(image[None], grid, None, "a/b/toy.nii.gz"), Volume(label[None].astype(np.uint8), grid, None, "label")


def test_a_specimen_begins_at_0_has_a_deviation_of_1_and_its_marked_slice_in_the_middle():
    subject = specimen(*scan())

    assert subject.name == "toy.nii.gz"
    assert float(subject.image.min()) == 0
    assert subject.image.shape[2] % 2 == 1
    areas = subject.label.sum(axis=(0, 1))
    assert areas[subject.image.shape[2] // 2] == areas.max() > 0
    assert subject.image.shape[0] < 24


def test_without_a_label_what_is_bright_is_marked():
    subject = specimen(scan()[0])

    assert np.array_equal(subject.label > 0, subject.image > subject.image.max() / 4)


def test_a_scan_with_thick_slices_is_cut_along_them():
    image, label = scan((20, 12, 24), (1.0, 4.0, 1.0), slice(0, 24))
    subject = specimen(image, label)

    assert subject.image.shape[1] % 2 == 1


def test_a_label_of_another_grid_and_a_constant_scan_are_refused():
    image, _ = scan()
    with pytest.raises(DataError, match=r"label: does not share the scan's grid: 20 x 20 x 20 voxels .* 24 x 28 x 20"):
        specimen(image, scan((20, 20, 20))[1])
    with pytest.raises(DataError, match=r"every voxel is 5; nothing would be seen"):
        specimen(image.with_array(np.full_like(image.array, 5)))


def test_there_is_a_tile_for_each_kind_and_all_of_them_differ_from_the_first():
    subject = specimen(*scan())

    first, *tiles = make_tiles(subject)

    assert first.title == "unchanged"
    assert [tile.title for tile in tiles] == list(AUGMENTATIONS.entries)
    assert all(tile.image.shape == tile.label.shape == subject.image.shape for tile in tiles)
    assert all(np.abs(tile.image - first.image).max() > 0.05 for tile in tiles)


def test_tiles_of_a_preset_say_what_happened_in_each_step():
    tiles = make_tiles(specimen(*scan()), "none")

    assert [tile.words for tile in tiles[1:]] == ["nothing"] * len(AUGMENTATIONS.entries)
    assert tiles[3].title == "none, step 2"
    assert any("affine" in tile.words for tile in make_tiles(specimen(*scan()), "picture"))
    with pytest.raises(UnknownName, match="Did you mean 'light'"):
        make_tiles(specimen(*scan()), "ligth")


@pytest.mark.parametrize("shape", [(24, 28, 20), (24, 28, 1)])
def test_the_sheet_is_a_png_that_is_never_overwritten_unasked(shape, tmp_path):
    subject = specimen(*scan(shape, label_slices=slice(0, shape[2])))
    tiles, path = make_tiles(subject)[:7], tmp_path / "sheet.png"

    draw_sheet(tiles, subject, path)

    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(UsageError, match="exists already"):
        draw_sheet(tiles, subject, path)
    draw_sheet(tiles, subject, path, overwrite=True)


def test_without_matplotlib_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    subject = specimen(*scan())

    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[report\]'"):
        draw_sheet(make_tiles(subject, "none"), subject, tmp_path / "sheet.png")


def test_a_phantom_stands_in_for_a_scan():
    subject = phantom_specimen()

    assert "phantom" in subject.name
    assert subject.label.any()
