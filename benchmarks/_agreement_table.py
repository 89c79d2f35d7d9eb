"""Kept results of the benchmark of exactness as tables, with a line for each goal; the page shows what is printed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from _agreement import Row, mean
from _measure import table

from neuraxis.files import read_json

BEGIN, END = "<!-- tables: python benchmarks/exactness.py --page -->", "<!-- end of tables -->"
EQUAL, DICE = 0.9999, 0.9999
DEFAULT_DICE, DEFAULT_LARGE, MANUAL = 0.9985, 0.999, 0.0005
OWN_DICE = 0.6
ORDER = ("hippocampus-3d", "hippocampus-2d", "brain")


@dataclass(frozen=True)
class Result:
    """What is kept of one model: its name, what stands beside the numbers, its rows."""

    name: str
    facts: tuple[str, ...]
    rows: tuple[Row, ...]

    def of(self, precision: str) -> list[Row]:
        """Return the rows of a precision."""
        return [row for row in self.rows if row.precision == precision]


def read_results(folder: Path) -> list[Result]:
    """Return the results of a folder."""
    found = []
    for path in sorted(folder.glob("*.json"), key=lambda path: ORDER.index(path.stem)):
        content = read_json(path)
        trained = f"nnU-Net trained it for {content['trained']}"
        facts = (content["machine"], content["versions"], trained, content["command"])
        found.append(Result(content["model"], facts, tuple(map(Row.from_json, content["rows"]))))
    return found


def show(results: Sequence[Result]) -> str:
    """Return for each model its table and its goals."""
    return "\n\n".join("\n".join([*result.facts, "", lines(result), "", *goals(result)]) for result in results)


def lines(result: Result) -> str:
    """Return a model's table."""
    header = ["stored, precision", "mirrored", "cases", "equal %", "Dice to nnU-Net", "lowest case"]
    header += ["> 5 mL", "Dice", "lowest", "manual: ours", "nnU-Net", "less"]
    rows = []
    for row in result.rows:
        words = [f"{row.stored}, {row.precision}", "yes" if row.mirrored else "no", str(len(row.cases))]
        words += [f"{100 * row.equal:.4f}", f"{row.dice:.5f}", f"{row.lowest.dice:.5f}"]
        large = row.large
        words += [str(len(large)), *([f"{mean(large):.5f}", f"{min(large):.5f}"] if large else ["-", "-"])]
        rows.append([*words, f"{row.ours:.4f}", f"{row.theirs:.4f}", f"{row.ours - row.theirs:+.5f}"])
    return f"{result.name}\n" + table(header, rows)


def goals(result: Result) -> Iterator[str]:
    """Return a line for each goal: that every row reaches it, or which row is furthest from it."""
    exact, default = result.of("fp32"), result.of("default")
    yield _goal("fp32: voxels equal, %", [100 * row.equal for row in exact], 100 * EQUAL, "4f")
    yield _goal("fp32: mean Dice to nnU-Net", [row.dice for row in exact], DICE)
    if result.name.startswith("hippocampus"):
        yield _goal("default: mean Dice to nnU-Net", [row.dice for row in default], DEFAULT_DICE)
    large = [mean(row.large) for row in default if row.large]
    if large:
        yield _goal("default: mean Dice of structures above 5 mL", large, DEFAULT_LARGE)
    changes = [abs(row.ours - row.theirs) for row in result.rows]
    reached = "reached" if max(changes) <= MANUAL else "missed"
    yield f"goal: Dice to the manual labels changes by at most {MANUAL}: {max(changes):.5f}, {reached}"
    if result.name == "brain":
        own = next(row for row in exact if not row.mirrored)
        yield _goal("nnU-Net's own mean Dice on unseen cases", [own.theirs], OWN_DICE, "4f")


def _goal(words: str, values: Sequence[float], least: float, digits: str = "5f") -> str:
    lowest = float(np.min(values))
    reached = "reached" if lowest >= least else "missed"
    rows = f" in the worst of {len(values)} rows" if len(values) > 1 else ""
    return f"goal: {words} at least {least:g}: {lowest:.{digits}}{rows}, {reached}"


def put_into_page(page: Path, text: str) -> None:
    """Replace what stands between the page's two marks."""
    head, begin, rest = page.read_text("utf-8").partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page}: lacks the lines {BEGIN} and {END}.")
    page.write_text(f"{head}{BEGIN}\n\n{in_page(text)}\n\n{END}{tail}", "utf-8")


def in_page(text: str) -> str:
    """Return printed text as it stands in a page."""
    return f"```text\n{text}\n```"
