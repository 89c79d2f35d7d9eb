"""Pictures as files: learning curves of a run, and overlays for a README or a talk. Needs the extra `report`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis.files import atomic_path
from neuraxis.registry import import_extra
from neuraxis.report.curves import Panel, Row, panels
from neuraxis.report.overlays import Overlay, Slice, chamfered, outline, slices

SERIES_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280")
OUTLINE_COLOURS = {"reference": "#e69f00", "prediction": "#56b4e9"}
GROUND, TEXT = "#121518", "#e7eaed"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e7eb",
    "axes.axisbelow": True,
    "axes.edgecolor": "#9aa4af",
    "figure.facecolor": "white",
}


def curves_png(rows: Sequence[Row], path: Path) -> None:
    """Draw the learning curves of a run, one panel for losses, Dice, learning rate and each other column.

    Args:
        rows: as in curves.csv; columns may be missing in a row. Without any value the picture says so.
        path: PNG file, replaced atomically.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    panels_png(panels(rows), path, "step")


def panels_png(found: Sequence[Panel], path: Path, across: str) -> None:
    """Draw panels of curves side by side.

    Args:
        found: without any the picture says that there are no values.
        path: PNG file, replaced atomically.
        across: what the curves run over.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    matplotlib, figures = _matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = figures.Figure(figsize=(4.2 * max(1, len(found)), 3.2), layout="constrained")
        if not found:
            figure.text(0.5, 0.5, "no values yet", ha="center", va="center")
        for index, panel in enumerate(found):
            axes = figure.add_subplot(1, len(found), index + 1, title=panel.title, xlabel=across)
            for curve, colour in zip(panel.curves, SERIES_COLOURS * len(panel.curves), strict=False):
                axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
                marker = "o" if len(curve.steps) <= 40 else ""
                axes.plot(curve.steps, curve.values, color=colour, label=curve.name, marker=marker, markersize=3)
            for mark in panel.marks:
                axes.axvline(mark, color=STYLE["axes.edgecolor"], linestyle=":")
            if len(panel.curves) > 1:
                axes.legend(frameon=False)
        _save(figure, path)


def overlay_png(overlays: Sequence[Overlay], path: Path, width_inches: float = 9.0) -> None:
    """Draw overlays as a contact strip: a row for each case, its planes side by side, outlines on top.

    The reference is orange, the prediction blue.

    Args:
        overlays: at least one.
        path: PNG file, replaced atomically.
        width_inches: width of the picture, at 150 pixels an inch.

    Raises:
        ValueError: there is no overlay.
        MissingExtra: matplotlib is not installed.
    """
    if not overlays:
        raise ValueError("There is no overlay to draw.")
    matplotlib, figures = _matplotlib()
    drawn = [slices(overlay) for overlay in overlays]
    columns = max(len(planes) for planes in drawn)
    height = (width_inches / columns + 0.4) * len(drawn) + 0.3
    figure = figures.Figure((width_inches, height), layout="constrained", facecolor=GROUND)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    for row, (overlay, planes) in enumerate(zip(overlays, drawn, strict=True)):
        for column, one in enumerate(planes):
            axes = figure.add_subplot(len(drawn), columns, row * columns + column + 1, facecolor="black")
            _draw(axes, one, overlay)
            title = f"{overlay.case}\n{overlay.caption}: {one.plane}" if column == 0 else f"\n{one.plane}"
            axes.set_title(title, color=TEXT, fontsize=9, loc="left", parse_math=False)
    judged = any(overlay.reference is not None for overlay in overlays)
    names = [name for name in OUTLINE_COLOURS if judged or name != "reference"]
    keys = [matplotlib.lines.Line2D([], [], color=OUTLINE_COLOURS[name], label=name) for name in names]
    figure.legend(handles=keys, loc="outside lower right", ncols=2, frameon=False, labelcolor=TEXT, fontsize=9)
    _save(figure, path)


def _draw(axes: Any, one: Slice, overlay: Overlay) -> None:
    """Draw one plane in mm, in the middle of a black square."""
    rows, columns = one.grey.shape
    width, height = columns * one.size_mm[0], rows * one.size_mm[1]
    axes.imshow(one.grey, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation="bilinear")
    for name, label_map in (("reference", one.reference), ("prediction", one.predicted)):
        if label_map is None:
            continue
        for numbers in overlay.labels.scored.values():
            for line in outline(np.isin(label_map, numbers)):
                x, y = (np.vstack([chamfered(line), chamfered(line)[:1]]) * one.size_mm).T
                axes.plot(x, y, color=OUTLINE_COLOURS[name], linewidth=1.4)
    half = max(width, height) / 2
    axes.set(
        xlim=(width / 2 - half, width / 2 + half), ylim=(height / 2 + half, height / 2 - half), xticks=[], yticks=[]
    )
    axes.spines[:].set_visible(False)


def _save(figure: Any, path: Path) -> None:
    with atomic_path(Path(path)) as part:
        figure.savefig(part, format="png", dpi=150)


def _matplotlib() -> tuple[Any, Any]:
    """Import matplotlib when it is needed: it takes longer than all of `neuraxis segment`'s own imports."""
    import_extra("matplotlib.lines", "report")
    return import_extra("matplotlib", "report"), import_extra("matplotlib.figure", "report")
