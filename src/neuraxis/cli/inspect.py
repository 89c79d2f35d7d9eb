"""`neuraxis inspect`: what a dataset is like, as one page to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, UNDECIDED, DecidedData, Output, Overwrite
from neuraxis.cli.printing import show, show_json


@Parameter(name="*")
@dataclass(frozen=True)
class InspectChoices:
    """What `inspect` can be told."""

    into: Annotated[Path, Parameter(help="The page.")] = Path("inspection.html")
    overwrite: Overwrite = False


DEFAULTS = InspectChoices()


def inspect(
    *datasets: Annotated[Path, Parameter(name="DATASET", required=True)],
    data: DecidedData = UNDECIDED,
    choices: InspectChoices = DEFAULTS,
    output: Output = SHOWN,
) -> int:
    """Describe a dataset on one page: sites, geometry, intensities, labels, pictures.

    Cases with faults and cases unlike the others come first. The page needs
    no network and no file beside it. Killed, the same command goes on.

    For example:

        neuraxis inspect ms-brain/
        neuraxis inspect site-a/ site-b/ --into inspection.html --overwrite

    Args:
        datasets: Folders of scans, with labels or without; several are joined.
        data: how folders are understood, and what the recipe makes of its
            labels.
        choices: what is asked for.
        output: how it is shown.
    """
    from neuraxis.pipelines.checking.inspecting import inspect as inspect_datasets
    from neuraxis.pipelines.runs.data import labels_in
    from neuraxis.recipe.wishes import read_wishes

    labels, places = labels_in(read_wishes(data.chosen_recipe, data.settings)), data.places(datasets)
    with display(output) as progress:
        done = inspect_datasets(places, choices.into, progress, choices.overwrite, labels)
    found = Counter(finding.severity for finding in done.inspection.findings)
    if output.json:
        counts = {"cases": len(done.inspection.portraits), "errors": found["error"], "warnings": found["warning"]}
        show_json({"page": done.page, **counts, "findings": done.inspection.findings})
    else:
        show(f"{len(done.inspection.portraits)} cases, {found['error']} errors, {found['warning']} warnings")
        show(f"page  {done.page}")
    return 0
