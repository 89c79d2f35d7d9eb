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
    copies: Annotated[
        int, Parameter(help="Augmented copies of each case that trains, beside those of training itself.")
    ] = 0,
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
        copies: how many; cases that are held out have none in their fold.
        overwrite: replace a store of other data or decisions.
        data: how folders are understood, and the wishes.
        output: how it is shown.
    """
    from neuraxis.pipelines.copies.copies import StoreOptions, without_copies
    from neuraxis.pipelines.steps import prepare_datasets

    how = StoreOptions(overwrite, copies)
    with display(output) as progress:
        store = prepare_datasets(data.places(datasets), data.chosen_recipe, data.settings, into, progress, how)
    ids = store.ids()
    cases = without_copies(ids, copies)
    if output.json:
        show_json({"store": into, "cases": cases, "copies": copies})
    else:
        beside = f", with {len(ids) - len(cases)} augmented copies beside them" if copies else ""
        show(f"{len(cases)} cases are prepared{beside}.\n\nNext: neuraxis train {into} --into RUN")
    return 0
