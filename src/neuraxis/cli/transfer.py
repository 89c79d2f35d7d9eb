"""`neuraxis transfer`: is it worth to begin with a model, and on how many cases?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import (
    AS_FOUND,
    SHOWN,
    DataChoices,
    Device,
    Output,
    RecipeName,
    Settings,
    VariantName,
    with_variant,
)
from neuraxis.cli.printing import columns, number, show, show_json
from neuraxis.errors import UsageError

if TYPE_CHECKING:
    from neuraxis.evaluation.comparison.shares import ShareTable

SCORES = ("share", "start", "training cases (patients)", "n", "mean Dice", "SD", "median", "95 % CI")
DIFFERENCES = ("share", "patients", "model - scratch", "95 % CI", "p", "p (Holm)")


@Parameter(name="*")
@dataclass(frozen=True)
class TransferChoices:
    """What `transfer` can be told."""

    begin_with: Annotated[Path, Parameter(name="--from", help="The bundle that one of the two begins with.")]
    into: Annotated[Path, Parameter(help="Folder of the runs and the table; the same command again goes on.")]
    shares: Annotated[str, Parameter(help="Percentages of the training patients, from few to all.")] = "10,25,50,100"
    steps: Annotated[
        int | None, Parameter(help="Steps of each training. [default: those of the recipe]", show_default=False)
    ] = None
    recipe: RecipeName = "auto"
    variant: VariantName = ""
    settings: Settings = ()
    fold: Annotated[int, Parameter(help="The fold that is held out and scored.")] = 0
    device: Device = "auto"


def transfer(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    choices: TransferChoices,
    data: DataChoices = AS_FOUND,
    output: Output = SHOWN,
) -> int:
    """Train with a model and from scratch on more and more cases, and compare.

    Each share of the training patients is trained twice with the same plan,
    steps and seed, and scored on the same held-out fold: a table, paired tests,
    a figure and a report.

    For example:

        neuraxis transfer new-site/ --from model.nxb --into worth-it/ --steps 2000
        neuraxis transfer new-site/ --from model.nxb --into worth-it/ --shares 20,100

    Args:
        datasets: Folders of labelled scans; several are joined.
        choices: what is asked for.
        data: how folders are understood.
        output: how it is shown.
    """
    from neuraxis.pipelines.transfer.transfer import REPORT, TransferOptions
    from neuraxis.pipelines.transfer.transfer import transfer as train_shares

    options = TransferOptions(
        into=choices.into,
        begin_with=choices.begin_with,
        shares=parse_shares(choices.shares),
        steps=choices.steps,
        recipe=with_variant(choices.recipe, choices.variant),
        settings=choices.settings,
        fold=choices.fold,
        device=choices.device,
    )
    with display(output) as progress:
        found = train_shares(data.places(datasets), options, progress)
    if output.json:
        show_json({"into": choices.into, "rows": [*found.rows()], "notes": found.notes()})
    else:
        show(describe(found))
        show(f"\nreport  {choices.into / REPORT}")
    return 0


def parse_shares(text: str) -> tuple[float, ...]:
    """Read percentages.

    >>> parse_shares("10, 25,100 %")
    (10.0, 25.0, 100.0)
    """
    try:
        return tuple(float(part.strip().removesuffix("%")) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--shares {text}: needed are percentages, such as 10,25,50,100.") from error


def describe(found: ShareTable) -> str:
    """Return the tables that people read, in Dice: each training, then the differences, then the rules."""
    whole = found.structures[0]
    rows = []
    for cell in found.cells:
        one = cell.summary("dice", whole)
        trained = f"{cell.cases} ({cell.patients})"
        between = _between(one.ci_low, one.ci_high)
        rows.append((f"{cell.share:g} %", cell.start, trained, one.n, one.mean, one.sd, one.median, between))
    tests = []
    for share, contrast in found.differences():
        gain = contrast.difference
        between = _between(gain.ci_low, gain.ci_high)
        tests.append((f"{share:g} %", gain.patients, gain.mean, between, _p(gain.p), _p(contrast.p_holm)))
    return "\n\n".join([columns(rows, SCORES), columns(tests, DIFFERENCES), "\n".join(found.notes())])


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else "-"


def _p(value: float) -> str:
    return "-" if math.isnan(value) else "< 0.0001" if value < 0.0001 else f"{value:.4f}"
