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
_ROW, _BAR_ROW = 64, 32
_GOLDEN = 0.6180339887498949
SERIES = 7

Scale = Callable[[float], float]


def curve_plot(panel: Panel) -> Markup:
    """Return curves over steps; a pale band spans the values that were joined into each point."""
    steps = [float(step) for curve in panel.curves for step in (curve.steps[0], curve.steps[-1])]
    last = max(steps) if max(steps) > min(steps) else min(steps) + 1
    across = tuple(tick for tick in nice_ticks(min(0.0, min(steps)), last) if tick <= last)
    up = nice_ticks(min(float(c.low.min()) for c in panel.curves), max(float(c.high.max()) for c in panel.curves))
    x = _scale(across[0], last, _LEFT, WIDTH - _RIGHT)
    y = _scale(up[0], up[-1], _CURVE_HEIGHT - _BOTTOM, _TOP)
    parts = [_rows_of_grid(up, y), _ticks_below(across, x, _CURVE_HEIGHT - _BOTTOM, "step")]
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
    return _svg(_CURVE_HEIGHT, f"{panel.title} over steps", *parts)


def legend(names: Sequence[str]) -> Markup | None:
    """Return the key to a plot's colours; a single series needs none."""
    if len(names) < 2:
        return None
    keys = (tag("span", tag("i", class_=f"key s{index % SERIES + 1}"), name) for index, name in enumerate(names))
    return tag("p", *keys, class_="legend")


def strip_plot(
    values: Mapping[str, Mapping[str, float]], unit: str, limits: tuple[float, float] | None = None
) -> Markup:
    """Return one row for each structure: every case as a dot, and a box from 5 cases on.

    The box spans the quartiles, its line is the median, whiskers reach the furthest case within 1.5 box lengths, the
    diamond is the mean. Undefined values are counted, not drawn.

    Args:
        values: structure to case to value.
        unit: what the axis says.
        limits: values never go beyond these, such as (0, 1).
    """
    known = {name: {case: v for case, v in cases.items() if math.isfinite(v)} for name, cases in values.items()}
    pooled = [value for cases in known.values() for value in cases.values()]
    ticks = _limited(nice_ticks(min(pooled), max(pooled)), limits) if pooled else (0.0, 1.0)
    bottom = _TOP + _ROW * len(known)
    x = _scale(ticks[0], ticks[-1], 12, WIDTH - _RIGHT)
    parts = [tag("path", d="".join(f"M{short(x(tick))} {_TOP}V{bottom}" for tick in ticks), class_="grid")]
    for index, (name, cases) in enumerate(known.items()):
        top = _TOP + _ROW * index
        parts.append(_strip(name, cases, len(values[name]), x, top))
    parts.append(_ticks_below(ticks, x, bottom, unit))
    return _svg(bottom + _BOTTOM, f"{unit} of every case, by structure", *parts)


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
    shown = name if len(name) <= 30 else name[:29] + "…"
    undefined = f", {total - len(cases)} undefined" if total > len(cases) else ""
    middle = top + 40
    parts = [
        tag("text", shown, x=12, y=top + 15, class_="row"),
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


def _svg(height: float, label: str, *parts: Markup) -> Markup:
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {short(height)}", role="img", aria_label=label)


def _rows_of_grid(ticks: Sequence[float], y: Scale) -> Markup:
    lines = "".join(f"M{_LEFT} {short(y(tick))}H{WIDTH - _RIGHT}" for tick in ticks)
    texts = (tag("text", _tick(tick), x=_LEFT - 6, y=y(tick) + 4, class_="tick left") for tick in ticks)
    return join(tag("path", d=lines, class_="grid"), *texts)


def _ticks_below(ticks: Sequence[float], x: Scale, top: float, unit: str) -> Markup:
    texts = (tag("text", _tick(tick), x=x(tick), y=top + 15, class_=f"tick{_anchor(x(tick))}") for tick in ticks)
    return join(*texts, tag("text", unit, x=(x(ticks[0]) + WIDTH - _RIGHT) / 2, y=top + 31, class_="unit"))


def _tick(value: float) -> str:
    if abs(value) >= 10_000 and value % 500 == 0:
        return f"{value / 1000:g}k"
    return escape(f"{value:g}".replace("-", "\u2212"))


def _anchor(position: float) -> str:
    return " last" if position > WIDTH - _RIGHT - 6 else ""


def _limited(ticks: tuple[float, ...], limits: tuple[float, float] | None) -> tuple[float, ...]:
    if limits is None:
        return ticks
    kept = tuple(tick for tick in ticks if limits[0] <= tick <= limits[1])
    return kept if len(kept) > 1 else limits


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (float(value) - low) / (high - low) * (end - start)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{short(x)} {short(y)}" for x, y in points)
