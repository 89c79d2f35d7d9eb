"""Strips of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.structures import LABEL_COLOURS, structures_of
from neuraxis.report.previews.strip import IGNORED_COLOUR, Panel, StripPainter, Words, save_png

LABELS = Labels(names={"background": 0, "left": 2, "right": 5}, ignore=9)
WORDS = Words("a case", "a slice", "RLAP")


def new_painter() -> StripPainter:
    return StripPainter(structures_of(LABELS), LABELS.ignore)


def colour(text: str) -> np.ndarray:
    return np.array([int(text[at : at + 2], 16) for at in (1, 3, 5)])


def has(pixels: np.ndarray, text: str) -> bool:
    return bool((np.abs(pixels.astype(int) - colour(text)).max(axis=2) < 3).any())


def panel(label_map: np.ndarray | None = None, **more: object) -> Panel:
    return Panel("x", np.full((20, 10), 100, np.uint8), label_map, **more)


def test_every_label_has_its_own_colour_throughout() -> None:
    painter = new_painter()
    assert painter.colours == {2: LABEL_COLOURS[0], 5: LABEL_COLOURS[1], 9: IGNORED_COLOUR}
    one = np.zeros((20, 10), int)
    one[5:15, 2:8] = 5
    bare = StripPainter(structures_of(Labels(names={"x": 5}))).side_by_side([panel()], (1, 1), WORDS)
    drawn = new_painter().side_by_side([panel(one)], (1, 1), WORDS)
    assert drawn.dtype == np.uint8
    assert has(drawn, LABEL_COLOURS[1])
    assert not (np.abs(bare.astype(int) - colour(LABEL_COLOURS[1])).max(axis=2) < 3).any()


@pytest.mark.parametrize(("size_mm", "ratio"), [((1, 1), 0.5), ((2, 1), 1.0), ((1, 3), 1 / 6)])
def test_voxels_are_drawn_in_mm(size_mm: tuple[float, float], ratio: float) -> None:
    painter = new_painter()
    picture = painter._panel(panel(), size_mm, 320 / max(10 * size_mm[0], 20 * size_mm[1]))
    assert max(picture.size) == 320
    assert picture.size[0] / picture.size[1] == pytest.approx(ratio, abs=0.01)


def test_a_mask_lies_where_its_voxels_are() -> None:
    corner = np.zeros((20, 10), int)
    corner[0:4, 0:2] = 2
    picture = np.asarray(new_painter()._panel(panel(corner), (1, 1), 16.0)).astype(int)
    blue = picture[..., 2] > picture[..., 0] + 20
    rows, columns = np.nonzero(blue)
    assert rows.max() < 4 * 16 + 2
    assert columns.max() < 2 * 16 + 2
    assert blue[:60, :28].all()


def test_what_was_not_predicted_is_darker() -> None:
    framed = panel(frame=(slice(5, 10), slice(0, 5)))
    picture = np.asarray(new_painter()._panel(framed, (1, 1), 16.0)).astype(int)
    assert picture[7 * 16 + 8, 2 * 16 + 8].tolist() == [100, 100, 100]
    assert picture[15 * 16, 2 * 16].max() < 70


def test_a_wide_strip_is_kept_within_its_width() -> None:
    wide = Panel("x", np.zeros((10, 100), np.uint8))
    assert new_painter().side_by_side([wide] * 3, (1, 1), WORDS).shape[1] <= 1200
    tiles = {(row, column): panel() for row in range(3) for column in range(8)}
    assert new_painter().tiled(tiles, (9, 1), WORDS).shape[1] <= 1200


def test_the_key_names_what_fits_below_the_pictures_but_at_least_a_few() -> None:
    painter = StripPainter(structures_of(Labels(names={f"structure {number}": number for number in range(1, 31)})))
    assert len(painter._keys_for(100)) == 8
    assert 8 < len(painter._keys_for(1200)) < 30
    assert len(painter._keys_for(10_000)) == 30


def test_tiles_lie_at_their_places() -> None:
    full = np.full((20, 10), 2)
    pixels = new_painter().tiled({(0, 0): panel(), (1, 1): panel(full)}, (1, 1), WORDS).astype(int)
    blue = pixels[:-40, :, 2] > pixels[:-40, :, 0] + 40
    rows, columns = np.nonzero(blue)
    assert rows.min() > 50 + 160
    assert columns.min() > 14 + 80


def test_a_name_of_a_case_may_be_long_or_strange() -> None:
    words = Words("\u00e9\u4e2d" * 200, "b")
    assert new_painter().side_by_side([panel()], (1, 1), words).shape[1] <= 1200


def test_the_file_is_a_png_of_the_same_pixels(tmp_path: Path) -> None:
    from PIL import Image

    pixels = new_painter().side_by_side([panel()], (1, 1), WORDS)
    save_png(pixels, tmp_path / "a" / "x.png")
    with Image.open(tmp_path / "a" / "x.png") as read:
        assert np.array_equal(np.asarray(read), pixels)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["x.png"]
