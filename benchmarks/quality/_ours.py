"""The row of neuraxis: `neuraxis fit` from raw data to scores, all of it within the budget."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _data import Cases, content_of
from _row import Row, Work

from neuraxis.evaluation.scores import Scores
from neuraxis.files import read_json
from neuraxis.hardware import processor_has_bf16


def fit_row(row: Row, cases: Cases, wait_s: float) -> dict[str, Any]:
    """Fit within the budget, or go on with it, and write the result."""
    work, run = Work(row, wait_s), row.folder / "run"
    if not work.parts.done("fit"):
        work.parts.run("fit", fit_command(row, cases, run))
    scores = cases.score(run / "predictions", row.fold)
    content = content_of(scores)
    own = Scores.read_csv(run / "scores.csv").mean("dice")
    if abs(own - scores.mean("dice")) > 1e-6:
        raise SystemExit(f"{run}: its own mean Dice is {own}, of its predictions it is {scores.mean('dice')}.")
    events = read_json(run / "run.json")
    if events["split_hash"] != cases.split_hash:
        raise SystemExit(f"{run}: was split otherwise ({events['split_hash'][:12]}).")
    fixed = next(event for event in events["events"] if event["kind"] == "steps_fixed")
    text = (run / "recipe.toml").read_text("utf-8")
    recipe = tomllib.loads(text)
    steps = recipe["training"]["steps"]  # those trained; the number first fixed is corrected on the way
    told = {
        "version": f"neuraxis {work.start['versions']['neuraxis']} at {work.start['commit']}",
        "training": {"steps": steps, **{key: fixed[key] for key in ("seconds_per_step", "kept_back_s")}},
        "settings": settings_of(recipe),
        "recipe_toml": text,
    }
    return work.write(work.parts.spent("fit"), cases, {**told, **content})


def fit_command(row: Row, cases: Cases, run: Path) -> list[str | Path]:
    """Return the command, with nothing but budget, fold and seed set."""
    program = Path(sys.executable).with_name("neuraxis")
    asked = ["--budget", f"{row.budget_s:g}s", "--fold", str(row.fold), "--set", f"seed={row.seed}"]
    chosen = [] if row.recipe == "auto" else ["--recipe", row.recipe]
    return [program, "fit", cases.folder, *asked, *chosen, "--device", "cpu", "--into", run, "--quiet"]


def settings_of(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return in words what differs between the two programs."""
    training, options = recipe["training"], recipe["network"]["options"]
    ema = training.get("ema_decay", 0)
    return {
        "network": f"{recipe['network']['name']}, channels {options.get('features', 'of its own')}",
        "patch": " x ".join(map(str, recipe["patches"]["shape"])),
        "batch": str(recipe["patches"]["batch"]),
        "steps": str(training["steps"]),
        "optimiser": f"{training['optimizer']}, learning rate {training['learning_rate']:g}, {training['schedule']}",
        "precision": precision_of(training["precision"]),
        "augmentation": str(recipe["augmentation"].get("preset", "its own")),
        "weights scored": f"running mean, decay {ema:g}" if ema else "the last",
        "mirroring at prediction": "along " + str(axes) if (axes := recipe["inference"]["mirror_axes"]) else "no",
        "worker processes": str(training["loader_workers"]),
    }


def precision_of(wished: str) -> str:
    """Return the precision of training, with what "auto" means on this machine."""
    return f"auto, here {'bf16' if processor_has_bf16() else 'fp32'}" if wished == "auto" else wished
