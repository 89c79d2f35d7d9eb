"""`neuraxis evaluate`: scores of segmentations against references."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output, Overwrite
from neuraxis.cli.printing import show, show_json
from neuraxis.cli.scores import describe_scores, scores_content
from neuraxis.errors import UsageError
from neuraxis.evaluation.rules import (
    CONNECTIVITY,
    MAX_DISTANCE_MM,
    MIN_IOU,
    MIN_OVERLAP,
    SIZES_MM3,
    TOLERANCES_MM,
    EmptyRule,
    LesionMatching,
    MatchBy,
    Pairing,
    ScoringRules,
)

if TYPE_CHECKING:
    from neuraxis.dataset.dataset import Dataset
    from neuraxis.evaluation.evaluate import EvaluateOptions


@Parameter(name="*")
@dataclass(frozen=True)
class Scoring:
    """What is scored, and by which rules."""

    metrics: Annotated[
        tuple[str, ...],
        Parameter(
            help="Score these alone (see: neuraxis catalog metrics). [default: all]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    tolerance_mm: Annotated[
        tuple[float, ...],
        Parameter(
            help="Distances within which surfaces count as one, for the surface Dice. [default: 1 3]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = TOLERANCES_MM
    lesion_overlap: Annotated[
        float, Parameter(help="Fraction of a lesion that must be covered to be found; 0: one voxel is enough.")
    ] = MIN_OVERLAP
    lesion_connectivity: Annotated[
        Literal[6, 18, 26], Parameter(help="A lesion's voxels share faces (6), edges too (18), corners too (26).")
    ] = CONNECTIVITY
    lesion_match: Annotated[
        MatchBy, Parameter(help="Lesions are found by what covers them, or paired by IoU or distance of centres.")
    ] = "overlap"
    lesion_iou: Annotated[float, Parameter(help="With --lesion-match iou: least IoU of a pair.")] = MIN_IOU
    lesion_distance_mm: Annotated[
        float, Parameter(help="With --lesion-match distance: how far centres may lie apart.")
    ] = MAX_DISTANCE_MM
    lesion_pairing: Annotated[
        Pairing, Parameter(help="Of pairs: as many as can be (optimal), or the best first (greedy).")
    ] = "optimal"
    lesion_sizes_mm3: Annotated[
        tuple[float, ...],
        Parameter(
            help="Volumes at which lesions are parted by size, for the scores by size. [default: 10 100 1000]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = SIZES_MM3
    empty: Annotated[
        EmptyRule, Parameter(help="What a score counts as that empty masks leave undefined (docs: metrics).")
    ] = "undefined"
    regions: Annotated[
        tuple[str, ...],
        Parameter(
            help="Score these instead of the labels: NAME=1+2+4, or brats, brats2023, msd-brain, cervical.",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    exclude: Annotated[
        Path | None,
        Parameter(help="Leave out the cases marked bad in this file, exported by a report.", show_default=False),
    ] = None


@Parameter(name="*")
@dataclass(frozen=True)
class Results:
    """Where results go."""

    into: Annotated[
        Path | None, Parameter(help="Folder for scores.csv, summary.json and report.html.", show_default=False)
    ] = None
    overwrite: Overwrite = False


USUAL = Scoring()
SHOWN_ONLY = Results()


@Parameter(name="*")
@dataclass(frozen=True)
class Evaluating(Scoring):
    """What is scored, and what is written beside the table."""

    raters: Annotated[
        tuple[str, ...],
        Parameter(
            help="NAME=FOLDER of each of several raters' label maps: where does the model lie among them?",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    gif: Annotated[
        tuple[str, ...],
        Parameter(
            help="Cases to write as moving pictures, or 'worst'.",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    loss: Annotated[
        Path | None,
        Parameter(
            help="A bundle or a run: its recipe's loss of each case is scored, from kept probabilities.",
            show_default=False,
        ),
    ] = None
    parquet: Annotated[
        bool, Parameter(help="Write scores.parquet beside scores.csv.", negative="", show_default=False)
    ] = False
    explain: Annotated[
        Path | None,
        Parameter(help="Show the maps in this folder, written by neuraxis explain.", show_default=False),
    ] = None


PLAIN = Evaluating()


def evaluate(
    predictions: Annotated[Path, Parameter(name="PREDICTIONS")],
    references: Annotated[Path, Parameter(name="REFERENCES")],
    /,
    *,
    results: Results = SHOWN_ONLY,
    scoring: Evaluating = PLAIN,
    data: DecidedData = UNDECIDED,
    output: Output = SHOWN,
) -> int:
    """Score segmentations against references: overlap, surface distance, volume and lesions.

    Files are matched by the name of the case; one that has no partner is an
    error, never left out silently.

    For example:

        neuraxis evaluate segmentations/ ms-brain/ --into scores/
        neuraxis evaluate mine/ theirs/ --metrics dice surface_dice --tolerance-mm 2

    Args:
        predictions: Folder of segmentations, or one file.
        references: Folder of label maps or a dataset, or one file.
        results: where files go.
        scoring: what is scored, by which rules, and what else is written.
        data: how a dataset is understood, and what the recipe makes of its
            labels.
        output: how it is shown.
    """
    from neuraxis.pipelines.evaluate import ScoringOptions, evaluate_folders
    from neuraxis.pipelines.scoring.losses import recipe_at
    from neuraxis.pipelines.scoring.raters import read_rater_folders

    wish = evaluate_options(scoring)
    wish = wish if scoring.loss is None else replace(wish, loss=recipe_at(scoring.loss))
    options = ScoringOptions(
        **vars(wish),
        raters=read_rater_folders(scoring.raters),
        gifs=scoring.gif,
        parquet=scoring.parquet,
        explained=scoring.explain,
    )
    with display(output) as progress:
        known = references if data == UNDECIDED else _open(references, data)
        scores = evaluate_folders(predictions, known, results.into, results.overwrite, progress, options)
    if output.json:
        show_json(scores_content(scores))
    else:
        show(describe_scores(scores, every=bool(scoring.metrics)))
        if results.into is not None:
            show(f"\nreport  {results.into / 'report.html'}")
    return 0


def _open(references: Path, data: DecidedData) -> Dataset:
    from neuraxis.pipelines.runs.data import labels_in, open_datasets
    from neuraxis.recipe.wishes import read_wishes

    return open_datasets(data.places([references]), labels_in(read_wishes(data.chosen_recipe, data.settings)))


def evaluate_options(scoring: Scoring) -> EvaluateOptions:
    """Return what was asked for as options.

    Raises:
        UsageError: a number or a region that cannot be.
        DataError: the file of marks holds none.
    """
    from neuraxis.evaluation.evaluate import EvaluateOptions
    from neuraxis.evaluation.marks import bad_cases
    from neuraxis.evaluation.regions import read_regions

    try:
        lesions = LesionMatching(
            scoring.lesion_overlap,
            scoring.lesion_connectivity,
            scoring.lesion_match,
            scoring.lesion_iou,
            scoring.lesion_distance_mm,
            scoring.lesion_pairing,
        )
        rules = ScoringRules(scoring.tolerance_mm, lesions, scoring.lesion_sizes_mm3, scoring.empty)
    except ValueError as error:
        raise UsageError(f"{error} Mend --tolerance-mm or what begins with --lesion.") from error
    return EvaluateOptions(
        metrics=scoring.metrics,
        rules=rules,
        regions=read_regions(scoring.regions),
        exclude=bad_cases(scoring.exclude) if scoring.exclude else (),
    )
