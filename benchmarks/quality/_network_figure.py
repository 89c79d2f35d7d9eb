"""The networks' comparison as a figure: quality against cost, a panel for each dataset."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _network_table import SMALL, of_datasets

from neuraxis.files import write_text
from neuraxis.registry import import_extra
from neuraxis.report.figures import SERIES_COLOURS, STYLE

BLUE, ORANGE = SERIES_COLOURS[:2]
INK, PALE = "#20262c", "#9aa4af"
LARGEST, LEAST = 420.0, 16.0  # areas of marks in square points: of 100 million parameters, and the smallest
MARKS_SHARE = 0.74  # of the width, to the left of the names
GAP = 10.5  # points between two lines of text


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the figure as SVG; the same results give the same file."""
    matplotlib = import_extra("matplotlib", "report")
    figures = import_extra("matplotlib.figure", "report")
    ticker = import_extra("matplotlib.ticker", "report")
    panels = {name: ranked for name, ranked in of_datasets(results).items() if ranked}
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "networks"}):
        figure = figures.Figure(figsize=(5.4 * len(panels), 4.8), layout="constrained")
        for number, (name, ranked) in enumerate(panels.items(), 1):
            _panel(figure.add_subplot(1, len(panels), number), ticker, name, ranked)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    write_text(path, "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n")


def _panel(axes: Any, ticker: Any, name: str, ranked: Sequence[dict[str, Any]]) -> None:
    cost = [one["cost"]["predict_cpu_s"] for one in ranked]
    dice = [one["scores"]["dice"]["mean"] for one in ranked]
    areas = [max(LEAST, LARGEST * one["cost"]["parameters"] / 1e8) for one in ranked]
    colours = [ORANGE if one["network"].startswith(SMALL) else BLUE for one in ranked]
    axes.scatter(cost, dice, s=areas, c=colours, alpha=0.75, linewidths=0)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set(title=f"{name.capitalize()}, after {ranked[0]['minutes']:g} min of training each")
    axes.set(xlabel="CPU seconds a volume (area: parameters)", ylabel="mean Dice")
    left, right = np.log([min(cost) / 1.5, max(cost) * 1.5])
    axes.set_xlim(np.exp(left), np.exp(left + (right - left) / MARKS_SHARE))
    low, high = min(dice), max(dice)
    room = 0.06 * max(high - low, 0.02)
    axes.set_ylim(low - room, high + room)
    axes.figure.canvas.draw()
    for one, x, y, height in zip(ranked, cost, dice, _heights(axes, dice), strict=True):
        own = ORANGE if one["network"].startswith(SMALL) else INK
        line = {"arrowstyle": "-", "color": PALE, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
        look = {"va": "center", "fontsize": 8, "color": own, "arrowprops": line}
        axes.annotate(one["network"], (x, y), (MARKS_SHARE + 0.02, height), textcoords="axes fraction", **look)


def _heights(axes: Any, dice: Sequence[float]) -> list[float]:
    """Return where the names stand, from the best down: beside their marks, but apart from one another."""
    box = axes.get_window_extent()
    points = box.height * 72 / axes.figure.dpi
    at = (axes.transData.transform(np.column_stack([np.ones(len(dice)), dice]))[:, 1] - box.y0) / box.height
    gap = min(GAP / points, 1 / max(1, len(dice)))
    heights: list[float] = []
    for place, wanted in enumerate(at):
        lowest = (len(dice) - 1 - place) * gap
        highest = heights[-1] - gap if heights else 1.0
        heights.append(min(highest, max(wanted, lowest)))
    return heights
