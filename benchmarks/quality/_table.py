"""Result files as the tables of docs/results/hippocampus.md: every row, the verdict of each budget, what differs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _data import dice_table, mean_dice
from scipy.stats import wilcoxon

from neuraxis.evaluation.statistics import MIN_PATIENTS, interval
from neuraxis.files import read_json

OURS, THEIRS = "neuraxis", "nnunet"
NAMES = {OURS: "neuraxis", THEIRS: "nnU-Net"}
NOTHING = "No row has been measured yet."
GOAL_DICE, GOAL_MINUTES = 0.89, 30
BEGIN, END = "<!-- table: python benchmarks/quality/hippocampus.py table -->", "<!-- end of table -->"

Result = dict[str, Any]


def read_results(folder: Path) -> list[Result]:
    """Read the result files of a folder and those below, which must be of one split.

    They are sorted by processor, budget, program and seed; rows of different processors are never compared.

    Raises:
        SystemExit: they were made on different cases or folds.
    """
    apart = ("inner", "first-")  # trials, and rows of a part of the cases
    files = [path for path in sorted(folder.rglob("*m-seed*.json")) if not path.parent.name.startswith(apart)]
    found = [read_json(path) for path in files]
    splits = {(result["data"]["split_hash"], result["fold"]) for result in found}
    if len(splits) > 1:
        raise SystemExit(f"{folder}: holds results of {len(splits)} splits. Keep them in folders of their own.")
    return sorted(found, key=lambda one: (*_kind(one), one["who"] != OURS, one["seed"]))


def page_tables(results: Sequence[Result]) -> str:
    """Return all tables in Markdown, or a sentence where there is nothing to show."""
    if not results:
        return NOTHING
    parts = [row_table(results), notes(results), verdict_table(results), goal(results), difference_table(results)]
    return "\n\n".join(part for part in parts if part)


def row_table(results: Sequence[Result]) -> str:
    """Return a table with a line for every result."""
    structures = [name for name in results[0]["scores"]["dice"] if name != "mean"]
    before = ["who", "processor", "min", "seed", "wall s", "CPU s", "steps", "mean Dice"]
    after = ["HD95 mm", "version", "command"]
    lines = [_row_cells(number, result, structures) for number, result in enumerate(results, 1)]
    return markdown([*before, *structures, *after], lines)


def _row_cells(number: int, result: Result, structures: Sequence[str]) -> list[str]:
    dice, mark = result["scores"]["dice"], f" [{number}]" if doubts_of(result) else ""
    return [
        NAMES.get(result["who"], result["who"]) + mark,
        processor_of(result),
        f"{result['minutes']:g}",
        str(result["seed"]),
        f"{result['wall_s']:.0f}",
        f"{result['cpu_s']:.0f}",
        str(result["training"]["steps"]),
        f"**{dice['mean']:.4f}**",
        *(f"{dice[name]:.4f}" for name in structures),
        in_mm(result["scores"]["hd95_mm"]["mean"]),
        result["version"],
        f"`{result['command'].removeprefix('python benchmarks/quality/hippocampus.py ')}`",
    ]


def notes(results: Sequence[Result]) -> str:
    """Return what must be known of all rows, and of single ones."""
    first = results[0]
    machines = [
        f"{machine['processor']}, {machine['cores_used']} cores, {machine['memory_gb']:.0f} GiB"
        for machine in (one["machine"] for one in results)
    ]
    lines = [
        f"n = {first['data']['held_out']} held-out cases of fold {first['fold']}, split "
        f"`{first['data']['split_hash'][:8]}`. Dice: the mean over the two structures of their means over the cases; "
        f"HD95 likewise. Machine: {'; '.join(dict.fromkeys(machines))}. Every command begins with "
        "`python benchmarks/quality/hippocampus.py`."
    ]
    told = {number: doubts_of(result) for number, result in enumerate(results, 1)}
    return "\n\n".join([*lines, *(f"[{number}] {'; '.join(doubts)}." for number, doubts in told.items() if doubts)])


def doubts_of(result: Result) -> list[str]:
    """Return what takes from a row's worth: its warnings, interruptions, undefined scores."""
    told = list(result["warnings"])
    phases = [part["phase"] for part in result["parts"]]
    if len(set(phases)) < len(phases):
        told.append("was interrupted: its times are the sum of its parts")
    return told + [f"{metric} undefined {count} times" for metric, count in result["undefined"].items() if count]


def verdict_table(results: Sequence[Result]) -> str:
    """Return for each processor and budget that both have: means, spread of seeds, margin, test, verdict."""
    compared = [line for line in map(_Budget, _budgets(results)) if line.ours and line.theirs]
    if not compared:
        return ""
    levels = holm([line.p for line in compared])
    found = ["neuraxis", "nnU-Net", "seeds", "spread of seeds", "margin", "95 % CI", "p", "verdict"]
    header = ["processor", "min", *found]
    return markdown(header, [line.cells(level) for line, level in zip(compared, levels, strict=True)]) + (
        "\n\nSpread: the largest less the smallest mean Dice of a program's seeds, of the program where it is larger. "
        "Margin: mean over seeds, neuraxis less nnU-Net; its interval is a bootstrap over cases. p: Wilcoxon's "
        "signed-rank test of the cases' mean Dice, corrected by Holm over the lines."
    )


class _Budget:
    """Both programs at one budget of one kind of processor."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.processor, self.minutes = _kind(results[0])
        self.ours, self.theirs = ([dice_table(one["cases"]) for one in results if one["who"] == who] for who in NAMES)
        if self.ours and self.theirs:
            gained = np.mean(self.ours, axis=0) - np.mean(self.theirs, axis=0)
            self.margin = mean_dice(gained)
            self.low, self.high = interval(gained, [str(case) for case in range(len(gained))])
            self.p = paired_p(np.nanmean(gained, axis=1))

    def cells(self, level: float) -> list[str]:
        ours, theirs = ([mean_dice(table) for table in tables] for tables in (self.ours, self.theirs))
        spread = max(max(ours) - min(ours), max(theirs) - min(theirs))
        several = min(len(ours), len(theirs)) > 1
        return [
            self.processor,
            f"{self.minutes:g}",
            f"{np.mean(ours):.4f}",
            f"{np.mean(theirs):.4f}",
            f"{len(ours)}, {len(theirs)}",
            f"{spread:.4f}" if several else "-",
            f"{self.margin:+.4f}",
            "-" if np.isnan(self.low) else f"{self.low:+.4f} to {self.high:+.4f}",
            _level(level),
            verdict(self.margin, spread if several else None),
        ]


def paired_p(gained: np.ndarray) -> float:
    """Return the p-value of Wilcoxon's signed-rank test that cases gain as much as they lose; NaN below five cases."""
    if len(gained) < MIN_PATIENTS:
        return float("nan")
    return float(wilcoxon(gained).pvalue) if np.any(gained) else 1.0


def verdict(margin: float, spread: float | None) -> str:
    """Say who leads, and whether by more than seeds differ; a spread of None is not known."""
    leader = NAMES[OURS] if margin > 0 else NAMES[THEIRS]
    if spread is None:
        return f"{leader} leads; one seed tells no spread"
    return f"{leader} leads" if abs(margin) > spread else "no difference beyond the spread of seeds"


def holm(levels: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    if np.isnan(levels).any():
        return list(levels)
    corrected, reached = [0.0] * len(levels), 0.0
    for place, index in enumerate(sorted(range(len(levels)), key=levels.__getitem__)):
        reached = max(reached, min(1.0, levels[index] * (len(levels) - place)))
        corrected[index] = reached
    return corrected


def goal(results: Sequence[Result]) -> str:
    """Say whether the level was reached in time by every seed."""
    within = [one for one in results if one["who"] == OURS and one["minutes"] == GOAL_MINUTES]
    if not within:
        return ""
    lowest = min(one["scores"]["dice"]["mean"] for one in within)
    reached = "reached" if lowest >= GOAL_DICE else "missed"
    return (
        f"Goal: mean Dice of at least {GOAL_DICE} within {GOAL_MINUTES} minutes: {reached} (lowest seed {lowest:.4f})."
    )


def difference_table(results: Sequence[Result]) -> str:
    """Return a table of the settings in which the programs differ, each at its default."""
    keys = [key for key in results[0]["settings"] if key != "steps"]
    names = [who for who in NAMES if any(one["who"] == who for one in results)]
    lines = []
    for key in keys:
        values = [dict.fromkeys(one["settings"][key] for one in results if one["who"] == who) for who in names]
        lines.append([key, *("; ".join(value) for value in values)])
    return markdown(["setting", *(NAMES[who] for who in names)], lines)


def trial_table(results: Sequence[Result]) -> str:
    """Return a table of candidates on inner folds, the best first: mean and spread over folds and seeds."""
    lines = []
    for who, minutes in sorted({(one["who"], one["minutes"]) for one in results}):
        mine = [one for one in results if (one["who"], one["minutes"]) == (who, minutes)]
        means = [one["scores"]["dice"]["mean"] for one in mine]
        steps, walls = np.mean([[one["training"]["steps"], one["wall_s"]] for one in mine], axis=0)
        cells = [who, f"{minutes:g}", str(len(mine)), f"{np.mean(means):.4f}", f"{max(means) - min(means):.4f}"]
        doubted = sum(bool(one["warnings"]) for one in mine)
        commits = ", ".join(sorted({one["commit"] for one in mine}))
        lines.append([*cells, f"{steps:.0f}", f"{walls:.0f}", str(doubted), commits])
    header = ["settings", "min", "runs", "mean Dice", "range", "steps", "wall s", "runs with warnings", "commits"]
    return markdown(header, sorted(lines, key=lambda line: (float(line[1]), -float(line[3]))))


def markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rule = ["---"] * len(header)
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *lines])


def put_into_page(page: Path, tables: str, begin: str = BEGIN) -> None:
    """Replace what stands between the page's two marks."""
    head, found, rest = page.read_text("utf-8").partition(begin)
    _, end, tail = rest.partition(END)
    if not found or not end:
        raise SystemExit(f"{page}: lacks the lines {begin} and {END}.")
    page.write_text(f"{head}{begin}\n\n{tables}\n\n{END}{tail}", "utf-8")


def _budgets(results: Sequence[Result]) -> list[list[Result]]:
    return [[one for one in results if _kind(one) == kind] for kind in sorted({_kind(one) for one in results})]


def _kind(result: Result) -> tuple[str, float]:
    return processor_of(result), result["minutes"]


def processor_of(result: Result) -> str:
    """Return a short name of a row's processor."""
    return str(result["machine"]["processor"]).replace("(R)", "").removesuffix(" Processor")


def in_mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _level(p: float) -> str:
    if np.isnan(p):
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
