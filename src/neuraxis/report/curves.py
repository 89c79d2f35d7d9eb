"""Curves of a training: which columns belong together, and thinning without hiding what happened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Row = Mapping[str, float | None]

MOST_POINTS = 120
_AXES = frozenset({"step", "epoch", "seconds", "time", "elapsed_s", "minutes", "stage"})
_GROUPS = (("loss", "Loss"), ("dice", "Dice"), ("learning_rate", "Learning rate"))


@dataclass(frozen=True, eq=False)
class Curve:
    """One quantity over steps.

    Attributes:
        name: its name in words.
        steps: (n,) rising.
        values: (n,) finite; means where many steps were joined.
        low: (n,) smallest value joined into each point.
        high: (n,) largest value joined into each point.
    """

    name: str
    steps: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Panel:
    """Curves that share an axis, and steps after which another stage of the training began."""

    title: str
    curves: tuple[Curve, ...]
    marks: tuple[float, ...] = ()


def panels(rows: Sequence[Row]) -> tuple[Panel, ...]:
    """Sort the columns of `curves.csv` into panels; a column without a finite value is left out.

    Columns whose names are alike up to the last slash, such as "experts/stage 1/2", share a panel.

    Args:
        rows: one for each record; a column may be missing or NaN in a row, as validation is at most steps. Without
            "step" the rows are counted.

    >>> [panel.title for panel in panels([{"step": 0, "loss": 1.0, "validation_dice": 0.1}])]
    ['Loss', 'Dice']
    """
    names = dict.fromkeys(name for row in rows for name in row if name not in _AXES)
    grouped: dict[str, list[Curve]] = {title: [] for _, title in _GROUPS}
    for name in names:
        curve = _curve(name, rows)
        if curve is not None:
            title = next((title for part, title in _GROUPS if part in name), in_words(name.rpartition("/")[0] or name))
            grouped.setdefault(title, []).append(curve)
    marks = tuple(
        float(before["step"] or 0)
        for before, after in pairwise(rows)
        if "step" in before and before.get("stage") != after.get("stage")
    )
    return tuple(Panel(title, tuple(curves), marks) for title, curves in grouped.items() if curves)


def in_words(name: str) -> str:
    """Return a column's name for reading.

    >>> in_words("validation_dice")
    'Validation Dice'
    """
    text = name.replace("_", " ").replace("/", " ").replace("dice", "Dice").strip()
    return text[:1].upper() + text[1:]


def nice_ticks(low: float, high: float, count: int = 4) -> tuple[float, ...]:
    """Return about `count` round numbers from at most `low` to at least `high`, evenly spaced.

    >>> nice_ticks(0.13, 0.92)
    (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    >>> nice_ticks(3, 3)
    (3.0, 3.2, 3.4, 3.6, 3.8, 4.0)
    """
    if not high - low > 1e-9 * max(abs(low), abs(high)):  # less would vanish in the rounding below
        high = low + (abs(low) or 1.0) / 3
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.75)
    first, last = math.floor(low / width + 1e-9), math.ceil(high / width - 1e-9)
    return tuple(float(f"{index * width:.12g}") for index in range(first, last + 1))


def _curve(name: str, rows: Sequence[Row]) -> Curve | None:
    points = [
        (float(step), float(value))
        for index, row in enumerate(rows)
        if (value := row.get(name)) is not None and math.isfinite(value)
        if (step := row.get("step", index)) is not None and math.isfinite(step)
    ]
    if not points:
        return None
    steps, values = np.array(sorted(points, key=lambda point: point[0])).T
    starts = np.unique(np.linspace(0, len(steps), min(len(steps), MOST_POINTS), endpoint=False).astype(int))
    counts = np.diff(np.append(starts, len(steps)))
    return Curve(
        in_words(name.rpartition("/")[2]),
        np.add.reduceat(steps, starts) / counts,
        np.add.reduceat(values, starts) / counts,
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
    )
