"""Two plots of agreement as SVG: differences over means with their limits, and a reliability curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from neuraxis.report.curves import nice_ticks
from neuraxis.report.markup import Markup, join, short, tag

WIDTH, HEIGHT = 380, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 12, 40
Point = tuple[float, float]


def difference_over_mean(
    points: Mapping[str, Point], lines: Sequence[tuple[str, float]], titles: tuple[str, str]
) -> Markup:
    """Return cases as dots and levels as lines, as Bland and Altman draw them; lines that are not finite are left out.

    Args:
        points: case to (mean, difference); at least one.
        lines: name and level, such as ("bias", 0.3).
        titles: what runs across, and what runs up.
    """
    levels = [(name, level) for name, level in lines if math.isfinite(level)]
    across = nice_ticks(min(0.0, *(x for x, _ in points.values())), max(x for x, _ in points.values()))
    heights = [0.0, *(y for _, y in points.values()), *(level for _, level in levels)]
    frame = _Frame(across, nice_ticks(min(heights), max(heights)))
    parts = [frame.grid(titles[0])]
    for name, level in levels:
        y = frame.y(level)
        parts.append(tag("path", d=f"M{_LEFT} {short(y)}H{WIDTH - _RIGHT}", class_="level"))
        parts.append(
            tag("text", f"{name} {level:.3g}".replace("-", "\u2212"), x=WIDTH - _RIGHT, y=y - 4, class_="aside")
        )
    for case, (x, y) in points.items():
        said = tag("title", f"{case}: {y:.4g}")
        parts.append(tag("circle", said, cx=frame.x(x), cy=frame.y(y), r=3.2, class_="case"))
    return _svg(f"{titles[1]} over {titles[0]}", *parts)


def reliability_curve(points: Sequence[tuple[float, float, int]], titles: tuple[str, str]) -> Markup:
    """Return the share of the structure over the probability, with a line where both are equal.

    Args:
        points: mean probability, share, number of voxels of each bin, in order; larger bins are larger dots.
        titles: what runs across, and what runs up.
    """
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0)
    frame = _Frame(ticks, ticks)
    corners = f"M{short(frame.x(0))} {short(frame.y(0))}L{short(frame.x(1))} {short(frame.y(1))}"
    parts = [frame.grid(titles[0]), tag("path", d=corners, class_="level")]
    if points:
        path = "M" + "L".join(f"{short(frame.x(x))} {short(frame.y(y))}" for x, y, _ in points)
        parts.append(tag("path", d=path, class_="line s1"))
    most = max((math.log1p(count) for *_, count in points), default=1.0)
    for x, y, count in points:
        said = tag("title", f"said {x:.3f}, true {y:.3f}, {count} voxels")
        radius = 2 + 4 * math.log1p(count) / most
        parts.append(tag("circle", said, cx=frame.x(x), cy=frame.y(y), r=radius, class_="dot s1"))
    return _svg(f"{titles[1]} over {titles[0]}", *parts)


class _Frame:
    """The axes of a plot."""

    def __init__(self, across: Sequence[float], up: Sequence[float]) -> None:
        self.across, self.up = across, up

    def x(self, value: float) -> float:
        whole = self.across[-1] - self.across[0]
        return _LEFT + (value - self.across[0]) / whole * (WIDTH - _RIGHT - _LEFT)

    def y(self, value: float) -> float:
        whole = self.up[-1] - self.up[0]
        return HEIGHT - _BOTTOM - (value - self.up[0]) / whole * (HEIGHT - _BOTTOM - _TOP)

    def grid(self, unit: str) -> Markup:
        """Return the lines and the numbers beside and below them."""
        bottom = HEIGHT - _BOTTOM
        lines = "".join(f"M{_LEFT} {short(self.y(tick))}H{WIDTH - _RIGHT}" for tick in self.up)
        texts = [tag("text", _tick(tick), x=_LEFT - 6, y=self.y(tick) + 4, class_="tick left") for tick in self.up]
        for tick in self.across:
            kind = "tick last" if tick == self.across[-1] else "tick"
            texts.append(tag("text", _tick(tick), x=self.x(tick), y=bottom + 16, class_=kind))
        middle = (_LEFT + WIDTH - _RIGHT) / 2
        return join(
            tag("path", d=lines, class_="grid"), *texts, tag("text", unit, x=middle, y=bottom + 33, class_="unit")
        )


def _tick(value: float) -> str:
    return f"{value:g}".replace("-", "\u2212")


def _svg(label: str, *parts: Markup) -> Markup:
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
