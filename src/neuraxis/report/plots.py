"""Plots for pages as SVG: small, sharp in print, and coloured by the page's style sheet, so in dark mode as well."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from neuraxis.report.curves import Panel, nice_ticks
from neuraxis.report.markup import Markup, escape, join, short, tag

WIDTH = 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 10, 38
_CURVE_HEIGHT = 230
_ROW, _BAR_ROW, _DIFFERENCE_ROW = 64, 32, 40
_SCATTER_HEIGHT = 300
_DIGIT = 6.5  # width of a digit
MARKS = (  # circle, triangle, square, diamond, cross, triangle pointing down, plus; about as large
    "M-3.6 0a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z",
    "M0 -4.4L4.2 3.2H-4.2z",
    "M-3.3 -3.3H3.3V3.3H-3.3z",
    "M0 -4.6L4.6 0L0 4.6L-4.6 0z",
    "M-4.2 -2.6L-2.6 -4.2L0 -1.6L2.6 -4.2L4.2 -2.6L1.6 0L4.2 2.6L2.6 4.2L0 1.6L-2.6 4.2L-4.2 2.6L-1.6 0z",
    "M0 4.4L4.2 -3.2H-4.2z",
    "M-1.2 -4.4H1.2V-1.2H4.4V1.2H1.2V4.4H-1.2V1.2H-4.4V-1.2H-1.2z",
)
_GOLDEN = 0.6180339887498949
SERIES = 7

Scale = Callable[[float], float]


def curve_plot(panel: Panel, across: str = "steps") -> Markup:
    """Return curves over steps, or what else `across` says; a pale band spans each point's lowest and highest value."""
    steps = [float(step) for curve in panel.curves for step in (curve.steps[0], curve.steps[-1])]
    last = max(steps) if max(steps) > min(steps) else min(steps) + 1
    ticks = tuple(tick for tick in nice_ticks(min(0.0, min(steps)), last) if tick <= last)
    up = nice_ticks(min(float(c.low.min()) for c in panel.curves), max(float(c.high.max()) for c in panel.curves))
    x = _scale(ticks[0], last, _LEFT, WIDTH - _RIGHT)
    y = _scale(up[0], up[-1], _CURVE_HEIGHT - _BOTTOM, _TOP)
    parts = [_rows_of_grid(up, y), _ticks_below(ticks, x, _CURVE_HEIGHT - _BOTTOM, across)]
    for mark in panel.marks:
        parts.append(tag("path", d=f"M{short(x(mark))} {_TOP}V{_CURVE_HEIGHT - _BOTTOM}", class_="stage-end"))
    for index, curve in enumerate(panel.curves):
        colour = f"s{index % SERIES + 1}"
        if not np.array_equal(curve.low, curve.high):
            there = [(x(step), y(value)) for step, value in zip(curve.steps, curve.high, strict=True)]
            back = [(x(step), y(value)) for step, value in zip(curve.steps, curve.low, strict=True)]
            parts.append(tag("path", d=_path([*there, *reversed(back)]) + "z", class_=f"band {colour}"))
        points = [(x(step), y(value)) for step, value in zip(curve.steps, curve.values, strict=True)]
        parts.append(tag("path", d=_path(points), class_=f"line {colour}"))
        if len(points) <= 40:
            parts.extend(tag("circle", cx=px, cy=py, r=2.5, class_=f"dot {colour}") for px, py in points)
    return _svg(_CURVE_HEIGHT, f"{panel.title} over {across}", *parts)


def legend(names: Sequence[str]) -> Markup | None:
    """Return the key to a plot's colours; a single series needs none."""
    if len(names) < 2:
        return None
    keys = (tag("span", tag("i", class_=f"key s{index % SERIES + 1}"), name) for index, name in enumerate(names))
    return tag("p", *keys, class_="legend")


def strip_plot(
    values: Mapping[str, Mapping[str, float]],
    unit: str,
    limits: tuple[float, float] | None = None,
    violins: bool = False,
) -> Markup:
    """Return one row for each structure: every case as a dot, and a box from 5 cases on.

    The box spans the quartiles, its line is the median, whiskers reach the furthest case within 1.5 box lengths, the
    diamond is the mean. Undefined values are counted, not drawn.

    Args:
        values: structure (or segmenter, or site) to case to value.
        unit: what the axis says.
        limits: values never go beyond these, such as (0, 1).
        violins: whether each row has its own colour and, from 5 cases on, the density of its values.
    """
    known = {name: {case: v for case, v in cases.items() if math.isfinite(v)} for name, cases in values.items()}
    pooled = [value for cases in known.values() for value in cases.values()]
    ticks = _limited(nice_ticks(min(pooled), max(pooled)), limits) if pooled else (0.0, 1.0)
    bottom = _TOP + _ROW * len(known)
    x = _scale(ticks[0], ticks[-1], 12, WIDTH - _RIGHT)
    parts = [tag("path", d="".join(f"M{short(x(tick))} {_TOP}V{bottom}" for tick in ticks), class_="grid")]
    for index, (name, cases) in enumerate(known.items()):
        top = _TOP + _ROW * index
        row = _strip(name, cases, len(values[name]), x, top)
        if violins:
            shape = _violin(np.array(list(cases.values())), x, top + 40) if len(cases) >= 5 else None
            row = tag("g", shape, row, class_=f"series s{index % SERIES + 1}")
        parts.append(row)
    parts.append(_ticks_below(ticks, x, bottom, unit))
    return _svg(bottom + _BOTTOM, f"{unit} of every case, one row for each of {', '.join(known)}", *parts)


def difference_plot(rows: Sequence[tuple[str, float, float, float]], unit: str) -> Markup:
    """Return one row for each difference: its mean as a dot, its interval as a line, and a line at 0 for all.

    Args:
        rows: name, mean, lower and upper end; without an interval (NaN) the dot stands alone, without a mean nothing.
        unit: what the axis says.
    """
    finite = [value for row in rows for value in row[1:] if math.isfinite(value)]
    ticks = nice_ticks(min([0.0, *finite]), max([0.0, *finite]))
    bottom = _TOP + _DIFFERENCE_ROW * len(rows)
    x = _scale(ticks[0], ticks[-1], 12, WIDTH - _RIGHT)
    parts = [tag("path", d="".join(f"M{short(x(tick))} {_TOP}V{bottom}" for tick in ticks), class_="grid")]
    parts.append(tag("path", d=f"M{short(x(0))} {_TOP}V{bottom}", class_="zero"))
    for index, (name, mean, low, high) in enumerate(rows):
        top = _TOP + _DIFFERENCE_ROW * index
        parts.append(tag("text", _shortened(name, 50), x=12, y=top + 15, class_="row"))
        if math.isfinite(low) and math.isfinite(high):
            parts.append(tag("path", d=f"M{short(x(low))} {short(top + 28)}H{short(x(high))}", class_="line s1"))
        if math.isfinite(mean):
            parts.append(
                tag("circle", tag("title", f"{name}: {mean:.4g}"), cx=x(mean), cy=top + 28, r=4.5, class_="dot s1")
            )
    parts.append(_ticks_below(ticks, x, bottom, unit))
    return _svg(bottom + _BOTTOM, f"{unit}, with intervals", *parts)


def scatter_plot(groups: Mapping[str, Mapping[str, tuple[float, float]]], titles: tuple[str, str]) -> Markup:
    """Return points in the plane, each group in a colour and a shape of its own.

    Args:
        groups: name to case to (x, y); at least one point.
        titles: what the axes are.
    """
    points = np.array([point for group in groups.values() for point in group.values()], dtype=np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    across, up = nice_ticks(float(low[0]), float(high[0])), nice_ticks(float(low[1]), float(high[1]))
    x = _scale(across[0], across[-1], _LEFT, WIDTH - _RIGHT)
    y = _scale(up[0], up[-1], _SCATTER_HEIGHT - _BOTTOM, _TOP)
    parts = [_rows_of_grid(up, y), _ticks_below(across, x, _SCATTER_HEIGHT - _BOTTOM, titles[0])]
    for index, (name, group) in enumerate(groups.items()):
        for case, (px, py) in group.items():
            place = f"translate({short(x(px))} {short(y(py))})"
            shape = tag("path", tag("title", f"{case} ({name})"), d=MARKS[index % len(MARKS)], transform=place)
            parts.append(tag("g", shape, class_=f"mark s{index % SERIES + 1}"))
    return _svg(_SCATTER_HEIGHT, f"{titles[1]} over {titles[0]}, by {', '.join(groups)}", *parts)


def mark_legend(names: Sequence[str]) -> Markup:
    """Return the key to a scatter plot: each group's shape in its colour."""
    keys = [
        tag(
            "span",
            tag(
                "svg",
                tag("path", d=MARKS[index % len(MARKS)]),
                viewBox="-6 -6 12 12",
                class_=f"mark s{index % SERIES + 1}",
                aria_hidden="true",
            ),
            name,
        )
        for index, name in enumerate(names)
    ]
    return tag("p", *keys, class_="legend marks")


def bar_plot(values: Mapping[str, float], unit: str) -> Markup:
    """Return a bar for each value from 0 on, its name above and its number beside it.

    Args:
        values: name to value, none below 0; at least one.
        unit: what the axis says.
    """
    ticks = nice_ticks(0.0, max(values.values()))
    bottom = _TOP + _BAR_ROW * len(values)
    x = _scale(ticks[0], ticks[-1], 12, WIDTH - _RIGHT)
    parts = [tag("path", d="".join(f"M{short(x(tick))} {_TOP}V{bottom}" for tick in ticks), class_="grid")]
    for index, (name, value) in enumerate(values.items()):
        top = _TOP + _BAR_ROW * index
        bar = tag("rect", x=x(0), y=top + 18, width=x(value) - x(0), height=8, class_="s1", fill="currentColor")
        shown = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
        number = tag("text", shown, x=WIDTH - _RIGHT, y=top + 13, class_="aside")
        parts += [tag("text", name, x=12, y=top + 13, class_="row"), number, bar]
    parts.append(_ticks_below(ticks, x, bottom, unit))
    return _svg(bottom + _BOTTOM, f"{unit}, as bars", *parts)


def _strip(name: str, cases: Mapping[str, float], total: int, x: Scale, top: float) -> Markup:
    undefined = f", {total - len(cases)} undefined" if total > len(cases) else ""
    middle = top + 40
    parts = [
        tag("text", _shortened(name), x=12, y=top + 15, class_="row"),
        tag("text", f"n = {len(cases)}{undefined}", x=WIDTH - _RIGHT, y=top + 15, class_="aside"),
    ]
    if len(cases) >= 5:
        parts.append(_box(np.array(list(cases.values())), x, middle))
    for index, (case, value) in enumerate(cases.items()):
        offset = (index * _GOLDEN % 1 - 0.5) * 20
        dot = tag("circle", tag("title", f"{case}: {value:.4g}"), cx=x(value), cy=middle + offset, r=2.6, class_="case")
        parts.append(dot)
    return tag("g", *parts)


def _box(values: np.ndarray, x: Scale, middle: float) -> Markup:
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (high - low)
    first, last = float(values[values >= low - reach].min()), float(values[values <= high + reach].max())
    mean, m = x(float(values.mean())), short(middle)
    whiskers = f"M{short(x(first))} {m}H{short(x(low))}M{short(x(high))} {m}H{short(x(last))}"
    return join(
        tag("path", d=whiskers, class_="whisker"),
        tag("rect", x=x(low), y=middle - 13, width=max(1.0, x(high) - x(low)), height=26, rx=2, class_="box"),
        tag("path", d=f"M{short(x(median))} {short(middle - 13)}v26", class_="median"),
        tag("path", d=f"M{short(mean)} {short(middle - 5)}l5 5l-5 5l-5 -5z", class_="mean"),
    )


def _violin(values: np.ndarray, x: Scale, middle: float) -> Markup:
    """Return the density of values between the smallest and the largest, by Gauss kernels of Silverman's width."""
    spread = min(float(values.std(ddof=1)), float(np.subtract(*np.percentile(values, (75, 25)))) / 1.34 or math.inf)
    width = 0.9 * spread * len(values) ** -0.2
    if not 0 < width < math.inf:
        return tag("g")
    at = np.linspace(values.min(), values.max(), 49)
    density = np.exp(-0.5 * ((at[:, None] - values) / width) ** 2).sum(axis=1)
    half = 22 * density / density.max()
    upper = [(x(value), middle - size) for value, size in zip(at, half, strict=True)]
    lower = [(x(value), middle + size) for value, size in zip(at, half, strict=True)]
    return tag("path", d=_path([*upper, *reversed(lower)]) + "z", class_="violin")


def _shortened(name: str, most: int = 34) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _svg(height: float, label: str, *parts: Markup) -> Markup:
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {short(height)}", role="img", aria_label=label)


def _rows_of_grid(ticks: Sequence[float], y: Scale) -> Markup:
    lines = "".join(f"M{_LEFT} {short(y(tick))}H{WIDTH - _RIGHT}" for tick in ticks)
    texts = (tag("text", _tick(tick), x=_LEFT - 6, y=y(tick) + 4, class_="tick left") for tick in ticks)
    return join(tag("path", d=lines, class_="grid"), *texts)


def _ticks_below(ticks: Sequence[float], x: Scale, top: float, unit: str) -> Markup:
    texts = (
        tag("text", _tick(tick), x=x(tick), y=top + 15, class_=f"tick{_anchor(x(tick), _tick(tick))}")
        for tick in ticks[:: _every(ticks, x)]
    )
    return join(*texts, tag("text", unit, x=(x(ticks[0]) + WIDTH - _RIGHT) / 2, y=top + 31, class_="unit"))


def _every(ticks: Sequence[float], x: Scale) -> int:
    """Return that only each so many of the ticks bear a number, so that numbers do not touch."""
    if len(ticks) < 2:
        return 1
    widest = _DIGIT * max(len(_tick(tick)) for tick in ticks)
    return max(1, math.ceil(1.6 * widest / (x(ticks[1]) - x(ticks[0]))))


def _tick(value: float) -> str:
    if abs(value) >= 10_000 and value % 500 == 0:
        return f"{value / 1000:g}k"
    return escape(f"{value:g}".replace("-", "\u2212"))


def _anchor(position: float, text: str) -> str:
    """Return the class that keeps a tick's text inside the picture."""
    if position > WIDTH - _RIGHT - 6:
        return " last"
    return " first" if position < _DIGIT * len(text) / 2 else ""


def _limited(ticks: tuple[float, ...], limits: tuple[float, float] | None) -> tuple[float, ...]:
    if limits is None:
        return ticks
    kept = tuple(tick for tick in ticks if limits[0] <= tick <= limits[1])
    return kept if len(kept) > 1 else limits


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (float(value) - low) / (high - low) * (end - start)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in points)
