"""One row: who, how many minutes, which seed, on which cases, and where it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _data import Cases, open_cases, subset
from _facts import command, doubts, facts_of_start, wait_for_quiet
from _parts import Parts, Spent, now

from neuraxis.files import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """What is asked for.

    Attributes:
        who: "neuraxis" or "nnunet", or the name of a recipe that is tried on inner folds.
        minutes: the budget.
        seed: of everything that can be seeded.
        into: folder of the results; the row's files lie in a folder below it.
        fold: which one is held out.
        recipe: book name or TOML file; for neuraxis alone.
    """

    who: str
    minutes: float
    seed: int
    into: Path
    fold: int = 0
    recipe: str = "auto"

    @property
    def name(self) -> str:
        """The name of its result file."""
        fold = f"-fold{self.fold}" if self.fold else ""
        return f"{self.who}-{self.minutes:g}m-seed{self.seed}{fold}"

    @property
    def budget_s(self) -> float:
        """The budget in seconds."""
        return 60 * self.minutes

    @property
    def result(self) -> Path:
        """Where its result goes."""
        return self.into / f"{self.name}.json"

    @property
    def folder(self) -> Path:
        """Where it is made."""
        return self.into / self.name


class Work:
    """A row in the making: its parts, and the facts of its first start, kept on disk.

    Args:
        row: what is asked for.
        wait_s: how long to wait for the load of other work to fade; None: the load is not looked at.
    """

    def __init__(self, row: Row, wait_s: float | None) -> None:
        self.row, self.parts = row, Parts(row.folder)
        place = row.folder / "start.json"
        if not place.is_file():
            warnings = [] if wait_s is None else wait_for_quiet(wait_s)
            write_json(place, {"began": now(), "command": command(), **facts_of_start(), "warnings": warnings})
        self.start: dict[str, Any] = read_json(place)

    def write(self, counted: Spent, cases: Cases, content: Mapping[str, Any]) -> dict[str, Any]:
        """Write the result: what was asked for, what it took, and what came of it."""
        row, start = self.row, self.start
        cores = start["machine"]["cores_used"]
        warnings = [*start["warnings"], *doubts(row.budget_s, counted, cores)]
        asked = {"who": row.who, "minutes": row.minutes, "seed": row.seed, "fold": row.fold}
        took = {
            "budget_s": row.budget_s,
            "wall_s": round(counted.wall_s, 1),
            "cpu_s": round(counted.cpu_s, 1),
            "others_cpu_s": round(counted.others_s, 1),
            "counted_parts": counted.parts,
            "parts": self.parts.entries,
        }
        fold = cases.folds[row.fold]
        data = {
            "name": cases.folder.name,
            "training": len(fold.training),
            "held_out": len(fold.validation),
            "split_hash": cases.split_hash,
        }
        ended = {"ended": now(), "load_at_end": facts_of_start()["load_at_start"]}
        made = {"schema": SCHEMA, **asked, **start, **ended, "warnings": warnings, **took, "data": data, **content}
        write_json(row.result, made)
        return dict(read_json(row.result))


def cases_of(into: Path, number: int) -> Cases:
    """Return all cases, or the first so many as a dataset of their own in a folder of results."""
    cases = open_cases()
    return subset(cases, cases.ids[:number], into / "cases") if number else cases
