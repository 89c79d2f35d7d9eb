"""Results on stdout: aligned columns for people, JSON for programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def show(text: str = "") -> None:
    """Print one result on stdout."""
    print(text)


def show_json(content: Any) -> None:
    """Print a result as JSON on stdout; NaN and infinity become null, as strict readers need it."""
    finite = json.loads(json.dumps(content, default=_plain), parse_constant=lambda _: None)
    print(json.dumps(finite, indent=1, ensure_ascii=False))


def complain(text: str) -> None:
    """Print a message on stderr, marked as ours."""
    print(f"neuraxis: {text}", file=sys.stderr, flush=True)


def columns(rows: Iterable[Sequence[object]], header: Sequence[str] = ()) -> str:
    """Return rows as aligned columns; numbers are set flush right.

    >>> print(columns([("a", 10), ("long", 5)], ("name", "n")))
    name   n
    a     10
    long   5
    """
    rows = list(rows)
    body = [[number(cell) if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    table = [list(header), *body] if header else body
    aligned = []
    for index in range(len(table[0]) if table else 0):
        width = max(len(row[index]) for row in table)
        flush = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        aligned.append([row[index].rjust(width) if flush else row[index].ljust(width) for row in table])
    return "\n".join("  ".join(row).rstrip() for row in zip(*aligned, strict=True))


def number(value: float) -> str:
    """Return a measured value with 3 decimals, or 4 digits where it is large; undefined is a dash."""
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.5g}"


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "__dataclass_fields__"):
        return {name: getattr(value, name) for name in value.__dataclass_fields__}
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot be shown as JSON")
