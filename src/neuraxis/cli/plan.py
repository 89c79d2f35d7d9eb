"""`neuraxis plan`: every decision of a training, with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output, Overwrite
from neuraxis.cli.printing import columns, show, show_json

if TYPE_CHECKING:
    from neuraxis.recipe.planner import Plan

HEADER = ("  way", "spacing mm", "median", "patch", "holds", "batch", "features", "GB", "G mult-adds")


def plan(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    into: Annotated[Path | None, Parameter(help="TOML file for the recipe.", show_default=False)] = None,
    overwrite: Overwrite = False,
    data: DecidedData = UNDECIDED,
    output: Output = SHOWN,
) -> int:
    """Plan a training and say why: spacing, patch, network, normalisation, schedule.

    First the ways to train are compared: by slices, at full and at low
    resolution. Every decision can be overridden with --set, or by editing
    the file and giving it to --recipe.

    For example:

        neuraxis plan ms-brain/ --set memory_gb=16 --into recipe.toml
        neuraxis plan ms-brain/ --set configuration=2d

    Args:
        datasets: Folders of labelled scans; several are joined.
        into: where the recipe goes.
        overwrite: whether an existing file is replaced.
        data: how folders are understood, and the wishes.
        output: how it is shown.
    """
    from neuraxis.files import refuse_existing, write_text
    from neuraxis.pipelines.steps import plan_datasets

    if into is not None:
        refuse_existing(into, overwrite)
    with display(output) as progress:
        decided = plan_datasets(data.places(datasets), data.chosen_recipe, data.settings, progress)
    if into is not None:
        write_text(into, decided.to_toml(), overwrite)
    if output.json:
        candidates = [candidate.to_dict() for candidate in decided.candidates]
        content = {"recipe": decided.recipe, "reasons": dict(decided.reasons), "candidates": candidates, "file": into}
        show_json(content)
    else:
        show(describe_plan(decided))
        if into is not None:
            show(f"\nrecipe  {into}")
    return 0


def describe_plan(plan: Plan) -> str:
    """Return the ways to train, and each decision with its value and its reason in words."""
    content = plan.recipe.model_dump(mode="json")
    decisions = columns([(key, _short(_value(content, key)), reason) for key, reason in plan.reasons.items()])
    return f"{describe_candidates(plan)}\n\n{decisions}" if plan.candidates else decisions


def describe_candidates(plan: Plan) -> str:
    """Return the ways to train as a table; the one that is trained is marked."""
    rows = [
        (
            ("* " if candidate.name == plan.recipe.configuration else "  ") + candidate.name,
            " x ".join(f"{step:.3g}" for step in candidate.spacing_mm),
            " x ".join(map(str, candidate.median_shape)),
            " x ".join(map(str, candidate.patch)),
            f"{candidate.covers:.0%}" if candidate.covers >= 0.01 else "<1%",
            candidate.batch,
            "-".join(map(str, candidate.options.get("features", ()))) or "its own",
            f"{candidate.memory_gb:.1f}" if candidate.memory_gb else "?",
            f"{candidate.multiply_adds / 1e9:.1f}" if candidate.multiply_adds else "?",
        )
        for candidate in plan.candidates
    ]
    reasons = [(candidate.name, candidate.reason) for candidate in plan.candidates]
    return f"{columns(rows, HEADER)}\n\n{columns(reasons)}"


def _value(content: object, key: str) -> object:
    for name in key.split("."):
        content = content.get(name, "") if isinstance(content, dict) else ""
    return content


def _short(value: object) -> str:
    if isinstance(value, list):
        plain = all(isinstance(item, int | float) for item in value)
        text = " x ".join(map(str, value)) if plain else f"{len(value)} entries"
    elif isinstance(value, dict):
        text = ", ".join(f"{name} {_short(inner)}" for name, inner in value.items())
    else:
        text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
