"""Strips as moving pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuraxis.report.previews.gif import LAST_MS, MOST_FRAMES, encode_gif, write_gifs
from neuraxis.report.previews.record import Shown, read_record, strip_path, write_record
from neuraxis.report.previews.strip import save_png


def rows(count: int, case: str = "a") -> list[Shown]:
    return [Shown(step, case, "held out", "axial", 3, "the whole scan", 0.5, 0.1) for step in range(count)]


def make(folder: Path, count: int, case: str = "a", size: tuple[int, int] = (40, 900)) -> list[Path]:
    generator = np.random.default_rng(0)
    found = rows(count, case)
    for row in found:
        save_png(generator.integers(0, 255, (*size, 3)).astype(np.uint8), strip_path(folder, row, "whole"))
    write_record(folder, [*read_record(folder), *found])
    return [strip_path(folder, row, "whole") for row in found]


def frames_of(path: Path) -> list[tuple[tuple[int, int], int]]:
    with Image.open(path) as picture:
        found = []
        for frame in range(picture.n_frames):
            picture.seek(frame)
            found.append((picture.size, picture.info["duration"]))
        assert picture.info.get("loop") == 0
    return found


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = [*rows(2), Shown(5, "b, \u00e9", "unlabelled", "coronal", 1, "one window", float("nan"), 2.0)]
    write_record(tmp_path, written)
    assert repr(read_record(tmp_path)) == repr(written)


def test_each_case_becomes_one_gif_that_rests_on_its_last_picture(tmp_path: Path) -> None:
    make(tmp_path, 3)
    make(tmp_path, 4, "b")
    make(tmp_path, 1, "alone")
    assert [path.name for path in write_gifs(tmp_path)] == ["a.gif", "b.gif"]
    assert [size for size, _ in frames_of(tmp_path / "a.gif")] == [(760, 34)] * 3
    assert [duration for _, duration in frames_of(tmp_path / "b.gif")] == [600, 600, 600, LAST_MS]


def test_a_strip_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    make(tmp_path, 3)[1].unlink()
    write_gifs(tmp_path)
    assert len(frames_of(tmp_path / "a.gif")) == 2


def test_too_many_pictures_are_thinned(tmp_path: Path) -> None:
    frames = make(tmp_path, MOST_FRAMES + 9, size=(8, 40))
    (tmp_path / "x.gif").write_bytes(encode_gif(frames))
    assert len(frames_of(tmp_path / "x.gif")) == MOST_FRAMES


@pytest.mark.parametrize("most", [120_000, 30_000])
def test_its_size_is_bounded(tmp_path: Path, most: int) -> None:
    frames = make(tmp_path, 8)
    assert len(encode_gif(frames)) > 120_000
    assert len(encode_gif(frames, most)) <= most


def test_labels_keep_their_colours(tmp_path: Path) -> None:
    frames = make(tmp_path, 2, size=(30, 30))
    for number, frame in enumerate(frames):
        grey = np.full((30, 30, 3), 100, np.uint8)
        grey[number : number + 5, :5] = (0xE6, 0x9F, 0x00)
        save_png(grey, frame)
    (tmp_path / "x.gif").write_bytes(encode_gif(frames))
    with Image.open(tmp_path / "x.gif") as picture:
        picture.seek(1)
        assert picture.convert("RGB").getpixel((2, 3)) == (0xE6, 0x9F, 0x00)
        assert max(abs(value - 100) for value in picture.convert("RGB").getpixel((20, 20))) <= 3
