"""A case's strips as one moving picture. Needs the extra `report`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuraxis.dataset.structures import LABEL_COLOURS
from neuraxis.files import atomic_path
from neuraxis.registry import import_extra
from neuraxis.report.previews.record import by_case, read_record, strip_path
from neuraxis.report.previews.strip import FILL, FRAME, GROUND, IGNORED_COLOUR, QUIET, TEXT

WIDEST, MOST_FRAMES, MOST_BYTES = 760, 40, 1_500_000
FRAME_MS, LAST_MS = 600, 2500
GREYS, BLENDS = 64, 12


def write_gifs(folder: Path) -> tuple[Path, ...]:
    """Write `CASE.gif` for each case in a folder of previews that was shown twice or more, and return their places.

    Raises:
        MissingExtra: Pillow is not installed.
    """
    written = []
    for case, rows in by_case(read_record(folder)).items():
        frames = [path for row in rows if (path := strip_path(folder, row, "whole")).is_file()]
        if len(frames) > 1:
            path = folder / f"{case}.gif"
            with atomic_path(path) as part:
                part.write_bytes(encode_gif(frames))
            written.append(path)
    return tuple(written)


def encode_gif(frames: Sequence[Path], most_bytes: int = MOST_BYTES) -> bytes:
    """Return pictures as a GIF that runs for ever and rests on the last one.

    Too large, it is made of fewer pictures, the last one always among them, and then of smaller ones.

    Args:
        frames: PNG files in their order.
        most_bytes: its size is at most that, unless two small pictures are more already.
    """
    count, width = min(len(frames), MOST_FRAMES), WIDEST
    while True:
        content = _encoded(_thinned(frames, count), width)
        if len(content) <= most_bytes or (count <= 2 and width <= WIDEST // 4):
            return content
        if count > 12 or width <= WIDEST // 4:
            count = max(2, count * 2 // 3)
        else:
            width = width * 3 // 4


def _thinned(frames: Sequence[Path], count: int) -> list[Path]:
    """Return so many of them, evenly spread, the first and the last among them."""
    if count >= len(frames):
        return list(frames)
    return [frames[round(place * (len(frames) - 1) / (count - 1))] for place in range(count)]


def _encoded(frames: Sequence[Path], width: int) -> bytes:
    module = import_extra("PIL.Image", "report")
    pictures = [_opened(module, frame) for frame in frames]
    full = pictures[-1].size
    size = (min(width, full[0]), max(1, round(full[1] * min(width, full[0]) / full[0])))
    small = [picture.resize(size, module.Resampling.LANCZOS) for picture in pictures]
    palette = module.new("P", (1, 1))
    palette.putpalette(_palette())
    indexed = [picture.quantize(palette=palette, dither=module.Dither.NONE) for picture in small]
    stream = io.BytesIO()
    durations = [FRAME_MS] * (len(indexed) - 1) + [LAST_MS]
    indexed[0].save(stream, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0, optimize=False)
    return stream.getvalue()


def _palette() -> list[int]:
    """Return red, green, blue of what strips are painted with: greys, and each colour pure and over greys."""
    colours = [[255 * level // (GREYS - 1)] * 3 for level in range(GREYS)]
    for painted in (*LABEL_COLOURS, IGNORED_COLOUR):
        colour = [int(painted[at : at + 2], 16) for at in (1, 3, 5)]
        over = (255 * level / (BLENDS - 1) for level in range(BLENDS))
        colours += [colour, *([round(FILL * one + (1 - FILL) * grey) for one in colour] for grey in over)]
    colours += [[int(text[at : at + 2], 16) for at in (1, 3, 5)] for text in (GROUND, TEXT, QUIET, FRAME)]
    return [value for colour in colours for value in colour]


def _opened(module: Any, path: Path) -> Any:
    with module.open(path) as picture:
        return picture.convert("RGB")
