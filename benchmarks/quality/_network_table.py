"""The networks' comparison as the tables of docs/results/networks.md, and where the small transformer loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _data import dice_table, mean_dice
from _table import NOTHING, in_mm, markdown, processor_of

from neuraxis.evaluation.statistics import interval
from neuraxis.files import read_json

BEGIN = "<!-- table: python benchmarks/networks.py table -->"
SMALL, USUAL = "segformer3d", "unet"
EXPLAINED = (
    "In brackets: how much higher the other network's mean Dice is, with the 95 % bootstrap interval over the cases; a "
    "loss or a gain is an interval that leaves out 0. It is one seed: how much another would change is not known."
)
HEADER = (
    "network", "steps", "mean Dice", "HD95 mm", "M parameters", "GFLOPs a patch", "CPU s a volume", "training GiB",
    "inference GiB", "training CPU s",
)  # fmt: skip

Result = dict[str, Any]


def read_results(folder: Path) -> list[Result]:
    """Read the results of a folder, which must be of one machine, and for each dataset of one split.

    Raises:
        SystemExit: they were made on different processors, cores, minutes, cases or folds.
    """
    found = [read_json(path) for path in sorted(folder.glob("*m-seed*.json"))]
    conditions = {(processor_of(one), one["machine"]["cores_used"], one["minutes"]) for one in found}
    splits = {(one["dataset"], one["data"]["split_hash"], one["fold"]) for one in measured(found)}
    if len(conditions) > 1 or len(splits) > len({one["dataset"] for one in measured(found)}):
        raise SystemExit(f"{folder}: holds results of several machines, minutes or splits. Keep them in folders apart.")
    return found


def measured(results: Sequence[Result]) -> list[Result]:
    """Return the results that have scores."""
    return [one for one in results if "problem" not in one]


def of_datasets(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results by dataset, the best mean Dice first."""
    names = dict.fromkeys(one["dataset"] for one in results)
    ranked = sorted(measured(results), key=lambda one: -one["scores"]["dice"]["mean"])
    return {name: [one for one in ranked if one["dataset"] == name] for name in names}


def page_tables(results: Sequence[Result], picture: str = "") -> str:
    """Return all that the page shows in Markdown: conditions, figure, and each dataset's table and verdict."""
    if not measured(results):
        return NOTHING
    parts = [f"{conditions(measured(results))} {EXPLAINED}"]
    if picture:
        parts.append(f"![Mean Dice of every network against the CPU seconds of a prediction]({picture})")
    for name, ranked in of_datasets(results).items():
        if ranked:
            parts += [f"## {name.capitalize()}", row_table(ranked), notes(ranked), *verdicts(ranked)]
    return "\n\n".join([*parts, *problems(results)])


def conditions(results: Sequence[Result]) -> str:
    """Return what holds for all rows."""
    first = results[0]
    machine, versions = first["machine"], first["versions"]
    commits = ", ".join(sorted({one["commit"] for one in results}))
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{first['minutes']:g} min of training each, seed {first['seed']}, {machine['cores_used']} cores of "
        f"{processor_of(first)}, {machine['memory_gb']:.0f} GiB; commit {commits}; {told}; "
        f"{first['began'][:10]}; training in {first['settings']['precision']}."
    )


def row_table(ranked: Sequence[Result]) -> str:
    """Return a line for every network of a dataset."""
    return markdown(HEADER, [_cells(number, one, ranked) for number, one in enumerate(ranked, 1)])


def _cells(number: int, result: Result, ranked: Sequence[Result]) -> list[str]:
    cost, mark = result["cost"], f" [{number}]" if _doubts(result, ranked) else ""
    return [
        result["network"] + mark,
        str(result["steps"]),
        f"**{result['scores']['dice']['mean']:.4f}**",
        in_mm(result["scores"]["hd95_mm"]["mean"]),
        f"{cost['parameters'] / 1e6:.1f}",
        f"{cost['gflops_a_patch']:.3g}",
        f"{cost['predict_cpu_s']:.2f}",
        f"{cost['train_gb']:.1f}",
        f"{cost['predict_gb']:.1f}",
        f"{cost['train_cpu_s']:.0f}",
    ]


def notes(ranked: Sequence[Result]) -> str:
    """Return what must be known of a dataset's rows, and of single ones."""
    usual = _usual_patch(ranked)
    data, (patch, batch) = ranked[0]["data"], usual
    lines = [
        f"{data['training']} cases train, n = {data['held_out']} are held out (fold {ranked[0]['fold']}, split "
        f"`{data['split_hash'][:8]}`). Batches of {batch} patches of {_by(patch)} voxels. Dice and HD95: the mean over "
        f"the structures ({', '.join(name for name in ranked[0]['scores']['dice'] if name != 'mean')}) of their means "
        "over the cases. CPU s a volume: preparing and predicting, the median of all held-out cases but the first."
    ]
    told = {number: _doubts(one, ranked) for number, one in enumerate(ranked, 1)}
    return "\n\n".join([*lines, *(f"[{number}] {'; '.join(doubts)}." for number, doubts in told.items() if doubts)])


def _doubts(result: Result, ranked: Sequence[Result]) -> list[str]:
    told, (patch, batch) = list(result["warnings"]), _usual_patch(ranked)
    if (result["patch"], result["batch"]) != (patch, batch):
        told.append(f"{result['plan']}: batches of {result['batch']} of {_by(result['patch'])} voxels")
    return told + [f"{metric} undefined {count} times" for metric, count in result["undefined"].items() if count]


def _usual_patch(ranked: Sequence[Result]) -> tuple[list[int], int]:
    common = next((one for one in ranked if one["plan"] == "common patch"), ranked[0])
    return common["patch"], common["batch"]


def verdicts(ranked: Sequence[Result]) -> list[str]:
    """Say in words and numbers where the small transformer loses, and what it gives for that."""
    small = next((one for one in ranked if one["network"] == SMALL), None)
    others = [one for one in ranked if one is not small]
    if small is None or not others:
        return []
    margins = {one["network"]: _margin(one, small) for one in others}
    loses = [name for name, (_, low, _) in margins.items() if low > 0]
    wins = [name for name, (_, _, high) in margins.items() if high < 0]
    level = [name for name in margins if name not in {*loses, *wins}]
    place = ranked.index(small) + 1
    lines = [f"**The small transformer** `{SMALL}` takes place {place} of {len(ranked)}."]
    if loses:
        lines.append(f"It loses to {len(loses)} of {len(others)} networks: {_listed(loses, margins)}.")
    else:
        lines.append("It loses to none of them by more than cases differ.")
    if level:
        lines.append(f"No difference beyond what cases differ by: {_listed(level, margins)}.")
    if wins:
        lines.append(f"It is better than {_listed(wins, margins)}.")
    usual = next((one for one in others if one["network"] == USUAL), None)
    told = [" ".join(lines)]
    if usual is not None:
        told += [_beside(small, usual)]
    return told


def _beside(small: Result, usual: Result) -> str:
    """Return the small transformer beside the plain U-Net: structure by structure, and what each costs."""
    rows = []
    for name, dice in small["scores"]["dice"].items():
        theirs = usual["scores"]["dice"][name]
        far = [in_mm(one["scores"]["hd95_mm"][name]) for one in (small, usual)]
        rows.append([name, f"{dice:.4f}", f"{theirs:.4f}", f"{dice - theirs:+.4f}", *far])
    header = ["structure", f"Dice `{SMALL}`", f"Dice `{USUAL}`", "difference", f"HD95 `{SMALL}`", f"HD95 `{USUAL}`"]
    mine, theirs = small["cost"], usual["cost"]
    ratios = {
        "parameters": mine["parameters"] / theirs["parameters"],
        "FLOPs": mine["gflops_a_patch"] / theirs["gflops_a_patch"],
        "CPU seconds a volume": mine["predict_cpu_s"] / theirs["predict_cpu_s"],
    }
    cheaper = ", ".join(f"{share:.0%} of its {name}" for name, share in ratios.items())
    return f"{markdown(header, rows)}\n\nBeside `{USUAL}` it has {cheaper}."


def _margin(other: Result, small: Result) -> tuple[float, float, float]:
    gained = dice_table(other["cases"]) - dice_table(small["cases"])
    return mean_dice(gained), *interval(gained, [str(case) for case in range(len(gained))])


def _listed(names: Sequence[str], margins: Mapping[str, tuple[float, float, float]]) -> str:
    def one(name: str) -> str:
        margin, low, high = margins[name]
        between = "" if np.isnan(low) else f", {low:+.3f} to {high:+.3f}"
        return f"`{name}` ({margin:+.3f}{between})"

    return ", ".join(map(one, names))


def problems(results: Sequence[Result]) -> list[str]:
    """Return the networks without scores, each with its reason once."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for one in results:
        if "problem" in one:
            reasons.setdefault((one["network"], one["problem"]), []).append(one["dataset"])
    if not reasons:
        return []
    lines = [f"* `{network}` ({', '.join(sets)}): {problem}" for (network, problem), sets in reasons.items()]
    return ["## Without a row", "\n".join(lines)]


def _by(patch: Sequence[int]) -> str:
    return " x ".join(map(str, patch))
