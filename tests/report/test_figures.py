"""Tests of `neuraxis.report.figures`."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuraxis.errors import MissingExtra
from neuraxis.report import figures
from neuraxis.report.overlays import Overlay

ROWS = [{"step": step, "loss": 1 / (1 + step), "learning_rate": 1e-3} for step in range(50)]


def pixels(path: Path) -> np.ndarray:
    image_module = pytest.importorskip("PIL.Image")
    return np.asarray(image_module.open(path).convert("RGB")).astype(int)


def has_colour(path: Path, hexadecimal: str) -> bool:
    wanted = np.array([int(hexadecimal[at : at + 2], 16) for at in (1, 3, 5)])
    return bool((np.abs(pixels(path) - wanted).max(axis=2) < 12).any())


def test_the_curves_are_drawn_side_by_side(tmp_path: Path) -> None:
    figures.curves_png(ROWS, tmp_path / "curves.png")
    height, width, _ = pixels(tmp_path / "curves.png").shape
    assert (width, height) == (2 * 630, 480)
    assert has_colour(tmp_path / "curves.png", figures.SERIES_COLOURS[0])
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


@pytest.mark.parametrize("rows", [[], [{"step": 1, "loss": math.nan}]])
def test_a_run_without_values_has_a_picture_too(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    figures.curves_png(rows, tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").shape[0] == 480


def test_overlays_show_reference_and_prediction_in_their_colours(tmp_path: Path, overlay: Overlay) -> None:
    figures.overlay_png([overlay, overlay], tmp_path / "strip.png", width_inches=6)
    assert pixels(tmp_path / "strip.png").shape[1] == 900
    assert all(has_colour(tmp_path / "strip.png", colour) for colour in figures.OUTLINE_COLOURS.values())


def test_an_overlay_without_a_reference_has_only_the_prediction(tmp_path: Path, overlay: Overlay) -> None:
    unjudged = replace(overlay, reference=None, case="$x_{")
    figures.overlay_png([unjudged], tmp_path / "strip.png")
    assert has_colour(tmp_path / "strip.png", figures.OUTLINE_COLOURS["prediction"])
    assert not has_colour(tmp_path / "strip.png", figures.OUTLINE_COLOURS["reference"])


def test_no_overlay_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no overlay"):
        figures.overlay_png([], tmp_path / "strip.png")


def test_without_matplotlib_the_line_to_type_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"pip install 'neuraxis\[report\]'"):
        figures.curves_png(ROWS, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_a_report_needs_neither_matplotlib_nor_torch() -> None:
    code = "import sys, neuraxis.report.evaluation_report, neuraxis.report.figures; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"matplotlib", "torch", "PIL", "pandas"} & set(loaded) == set()
