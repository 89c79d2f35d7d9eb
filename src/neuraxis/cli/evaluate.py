"""`neuraxis evaluate`: scores of segmentations against references."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output, Overwrite
from neuraxis.cli.printing import show, show_json
from neuraxis.cli.scores import describe_scores, scores_content


def evaluate(
    predictions: Annotated[Path, Parameter(name="PREDICTIONS")],
    references: Annotated[Path, Parameter(name="REFERENCES")],
    /,
    *,
    into: Annotated[
        Path | None, Parameter(help="Folder for scores.csv, summary.json and report.html.", show_default=False)
    ] = None,
    overwrite: Overwrite = False,
    output: Output = SHOWN,
) -> int:
    """Score segmentations against references: overlap, surface distance, volume and lesions.

    Files are matched by the name of the case; one that has no partner is an
    error, never left out silently.

    For example:

        neuraxis evaluate segmentations/ ms-brain/ --into scores/

    Args:
        predictions: Folder of segmentations, or one file.
        references: Folder of label maps or a dataset, or one file.
        into: where files go.
        overwrite: whether existing ones are replaced.
        output: how it is shown.
    """
    from neuraxis.pipelines.evaluate import evaluate_folders

    with display(output) as progress:
        scores = evaluate_folders(predictions, references, into, overwrite, progress)
    if output.json:
        show_json(scores_content(scores))
    else:
        show(describe_scores(scores))
        if into is not None:
            show(f"\nreport  {into / 'report.html'}")
    return 0
