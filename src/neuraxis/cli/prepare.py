"""`neuraxis prepare`: a dataset as the network will see it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output, Overwrite
from neuraxis.cli.printing import show, show_json


def prepare(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    into: Annotated[Path, Parameter(help="Folder of the store; cases that are there already are kept.")],
    overwrite: Overwrite = False,
    data: DecidedData = UNDECIDED,
    output: Output = SHOWN,
) -> int:
    """Crop, resample and normalise every case into a store that training reads patches from.

    For example:

        neuraxis plan ms-brain/ --into recipe.toml
        neuraxis prepare ms-brain/ --recipe recipe.toml --into prepared/

    Args:
        datasets: Folders of labelled scans; several are joined.
        into: where the store goes.
        overwrite: replace a store of other data or decisions.
        data: how folders are understood, and the wishes.
        output: how it is shown.
    """
    from neuraxis.pipelines.steps import prepare_datasets

    with display(output) as progress:
        store = prepare_datasets(data.places(datasets), data.recipe, data.settings, into, progress, overwrite)
    if output.json:
        show_json({"store": into, "cases": store.ids()})
    else:
        show(f"{len(store.ids())} cases are prepared.\n\nNext: neuraxis train {into} --into RUN")
    return 0
