"""A run as it learns, drawn in the terminal: curves of dots, a bar, and the time left."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from neuraxis.cli.options import format_duration
from neuraxis.cli.printing import number, show
from neuraxis.pipelines.runs.state import RunState, read_run

WIDTH, HEIGHT, NARROWEST = 46, 9, 24
LABELS = 8
LOG_LINES = 3
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def watch(run: Path, once: bool, every_s: float) -> None:
    """Show a run until it ends: drawn again and again on a terminal, as lines elsewhere.

    Args:
        run: its folder.
        once: whether to look once.
        every_s: seconds between two looks.
    """
    on_terminal = sys.stdout.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown", "")
    if once:
        _print(read_run(run), on_terminal)
    elif on_terminal:
        _watch_live(run, every_s)
    else:
        _watch_plain(run, every_s)


def _watch_live(run: Path, every_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    state = read_run(run)
    with Live(picture(state, console.width), console=console, auto_refresh=False) as live:
        while state.state == "running":
            time.sleep(every_s)
            state = read_run(run)
            live.update(picture(state, console.width), refresh=True)


def _watch_plain(run: Path, every_s: float) -> None:
    before = ""
    while True:
        state = read_run(run, sized=False)
        text = line(state)
        if text != before:
            show(text)
            sys.stdout.flush()
        before = text
        if state.state != "running":
            return
        time.sleep(every_s)


def _print(state: RunState, on_terminal: bool) -> None:
    if not on_terminal:
        show("\n".join([line(state), *plain_curves(state)]))
        return
    from rich.console import Console

    console = Console(highlight=False)
    console.print(picture(state, console.width))


def line(state: RunState) -> str:
    """Return how a run stands in one line."""
    parts = [f"{state.path}: {state.state}", _fold(state), f"step {state.step} of {state.steps}" if state.steps else ""]
    if state.rows:
        last = state.rows[-1]
        parts.append(f"loss {number(last['loss'])}, Dice {number(last['validation_dice'])} at step {last['step']:.0f}")
    if not math.isnan(state.left_s):
        parts.append(f"{format_duration(state.left_s)} left")
    if not math.isnan(state.score):
        parts.append(f"Dice {number(state.score)} on the held-out cases")
    return ", ".join([part for part in parts if part]) + (f". {state.why}" if state.why else "")


def plain_curves(state: RunState) -> list[str]:
    """Return the curves as lines of text without colour."""
    found = []
    for title, name in (("loss", "loss"), ("Dice on held-out patches", "validation_dice")):
        values = [(row["step"], row[name]) for row in state.rows if math.isfinite(row[name])]
        if len(values) > 1:
            found += [f"{title}", *plot(values, WIDTH, HEIGHT)]
    return found


def plot(points: Sequence[tuple[float, float]], width: int, height: int) -> list[str]:
    """Return a curve as lines of Braille dots with an axis at its left and below.

    Args:
        points: (x, y) by rising x, finite, at least one.
        width: characters for the curve; the axis takes eight more.
        height: lines for the curve; the axis below takes one more.

    >>> plot([(0, 1.0), (9, 0.0)], 8, 2)
    ['  1.000 ┤⠉⠓⠦⣄⡀⠀⠀⠀', '  0.000 ┤⠀⠀⠀⠀⠉⠓⠦⣄', '         0      9']
    """
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = min(ys), max(ys)
    span, reach = (high - low) or 1.0, (xs[-1] - xs[0]) or 1.0
    columns, rows = 2 * width, 4 * height
    dots = [[0] * width for _ in range(height)]
    before: int | None = None
    for column in range(columns):
        x = xs[0] + reach * column / (columns - 1)
        row = round((high - _between(points, x)) / span * (rows - 1))
        for one in range(min(row, row if before is None else before), max(row, row if before is None else before) + 1):
            dots[one // 4][column // 2] |= _DOTS[one % 4][column % 2]
        before = row
    labels = {0: high, height - 1: low}
    lines = [
        f"{number(labels[row]) if row in labels else '':>{LABELS - 1}} ┤"
        + "".join(chr(0x2800 + cell) for cell in cells)
        for row, cells in enumerate(dots)
    ]
    first, last = f"{xs[0]:.0f}", f"{xs[-1]:.0f}"
    return [*lines, " " * (LABELS + 1) + first + last.rjust(width - len(first))]


def picture(state: RunState, width: int) -> Any:
    """Return what is drawn on a terminal of so many columns: the state, both curves, the last lines of the log."""
    from rich.columns import Columns
    from rich.console import Group
    from rich.panel import Panel
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    colour = {"running": "cyan", "finished": "green", "stopped": "yellow"}.get(state.state, "red")
    heading = Text.assemble((str(state.path), "bold"), "  ", (state.state, colour), "  ", (state.why, "red"))
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=max(1, state.steps), completed=state.step, width=min(40, width // 3)), _progress(state)
    )
    side_by_side = width >= 2 * (NARROWEST + LABELS + 6)
    inner = min(WIDTH, (width // 2 if side_by_side else width) - LABELS - 6)
    panels = []
    curves = (("loss", "loss", "#56b4e9"), ("Dice on held-out patches", "validation_dice", "#e69f00"))
    for title, name, shade in curves:
        values = [(row["step"], row[name]) for row in state.rows if math.isfinite(row[name])]
        if values:
            drawn = Text("\n".join(plot(values, max(NARROWEST, inner), HEIGHT)), style=shade, no_wrap=True)
            panels.append(Panel(drawn, title=f"{title} {number(values[-1][1])}", title_align="left", expand=False))
    below = Text("\n".join(_log(state)), style="dim", no_wrap=True, overflow="ellipsis")
    return Group(heading, bar, Columns(panels) if panels else Text("no validation yet", style="dim"), below)


def _progress(state: RunState) -> str:
    parts = [_fold(state)] if state.folds else []
    parts.append(f"step {state.step} of {state.steps}" if state.steps else "preparing")
    if not math.isnan(state.left_s):
        parts.append(f"{format_duration(state.left_s)} left")
    if state.seconds:
        parts.append(f"{format_duration(state.seconds)} trained")
    if state.now:
        parts.append(f"{state.device}, {state.now.get('precision', '')}")
    if state.rows:
        parts.append(f"best Dice {number(state.best)}")
    if not math.isnan(state.score):
        parts.append(f"Dice {number(state.score)} on the held-out cases")
    return ", ".join(parts)


def _fold(state: RunState) -> str:
    return f"fold {state.fold + 1} of {state.folds}" if state.folds else ""


def _log(state: RunState) -> list[str]:
    """Return the last lines of the log, and where the newest pictures are."""
    try:
        with (state.path / "log.txt").open("rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - 4096))
            lines = stream.read().decode("utf-8", "replace").splitlines()[-LOG_LINES:]
    except OSError:
        lines = []
    shown = sorted((state.place / "previews").glob("step-*"))
    return [*lines, *([f"previews: {shown[-1]}"] if shown else [])]


def _between(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return the value of the line through the points."""
    for (left, low), (right, high) in pairwise(points):
        if x <= right:
            return low + (high - low) * (x - left) / ((right - left) or 1.0)
    return points[-1][1]
