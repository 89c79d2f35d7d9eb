"""`neuraxis choose`: which model, which ensemble and which post-processing, by out-of-fold scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Device, Output
from neuraxis.cli.printing import columns, show, show_json
from neuraxis.cli.scores import scores_content

if TYPE_CHECKING:
    from neuraxis.pipelines.choice.choose import ChooseResult

HEADER = ("candidate", "post-processing", "mean", "loss", "SE of it", "")
VOLUMES_MM3 = (3.0, 10.0, 30.0, 100.0)


@Parameter(name="*")
@dataclass(frozen=True)
class Tried:
    """What is tried, and by what it is measured."""

    score: Annotated[str, Parameter(help="Its mean decides: dice, iou, surface_dice or lesion_f1.")] = "dice"
    ensembles: Annotated[
        bool,
        Parameter(
            help="Try each pair of runs and all together, too; --no-ensembles is faster.", negative="--no-ensembles"
        ),
    ] = True
    volumes_mm3: Annotated[
        tuple[float, ...],
        Parameter(
            name="--volumes",
            help="Least volumes of a component to try, in mm3. [default: 3 10 30 100]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = VOLUMES_MM3
    device: Device = "auto"


USUAL = Tried()


def choose(
    *runs: Annotated[Path, Parameter(name="RUN", required=True)],
    into: Annotated[Path, Parameter(help="Folder for the chosen model, its report and the tables.")],
    tried: Tried = USUAL,
    output: Output = SHOWN,
) -> int:
    """Choose among models, their ensembles and rules of post-processing.

    Each RUN is a folder that `fit --folds` filled, with the same data and
    folds; the simpler or preferred one comes first. Every case is judged by
    networks that did not learn from it. Of candidates that differ by no more
    than noise the simplest is taken. The scores are marked as selected on
    these cases; beside them stands the cross-fitted estimate, chosen without
    the cases that it is scored on.

    For example:

        neuraxis choose runs/2d runs/3d --into chosen/
        neuraxis choose runs/a --into chosen/ --score lesion_f1

    Args:
        runs: Folders of runs of all folds.
        into: where everything goes.
        tried: what is tried.
        output: how it is shown.
    """
    from neuraxis.pipelines.choice.choose import ChooseOptions, choose_among

    options = ChooseOptions(into, tried.score, tried.ensembles, tried.volumes_mm3, tried.device)
    with display(output) as progress:
        result = choose_among(runs, options, progress)
    show_choice(result, tried.score, output)
    return 0


def show_choice(result: ChooseResult, score: str, output: Output) -> None:
    """Print the finalists, what was chosen, and what it is worth."""
    from neuraxis.pipelines.choice.choose import column_of

    if output.json:
        show_json(
            {
                "chosen": {"base": result.pick.base, "rules": result.pick.rules.model_dump(mode="json")},
                "candidates": list(result.candidates),
                "selected_on_these_cases": scores_content(result.scores),
                "cross_fitted": scores_content(result.cross_fitted),
                "bundle": result.bundle,
                "report": result.report,
            }
        )
        return
    rows = [
        (row.base, row.rules, f"{row.mean:.4f}", f"{row.loss:.4f}", f"{row.error:.4f}", "chosen" * row.is_chosen)
        for row in result.candidates
        if row.is_finalist
    ]
    show(columns(rows, HEADER))
    tried = len(result.candidates) - len(rows)
    show(f"\nMean {score} over patients, selected on these cases; {tried} single rules were tried (candidates.csv).")
    show("Taken is the simplest whose loss against the best is within one standard error (SE) of it.\n")
    show(f"chosen  {result.pick.base}, {'; '.join(result.pick.rules.in_words()) or 'no post-processing'}")
    show()
    decided = dict.fromkeys(("dice", column_of(result.scores, score)))
    lines = [(name, f"{result.scores.mean(name):.4f}", f"{result.cross_fitted.mean(name):.4f}") for name in decided]
    show(columns(lines, ("mean", "selected on these cases", "cross-fitted: what to expect on others like them")))
    show(f"\nmodel   {result.bundle}\nreport  {result.report}")
