"""`neuraxis demo`: the whole way on phantoms, without any data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import show, show_json


def demo(
    *,
    into: Annotated[Path, Parameter(help="Folder for the cohort, the run and the segmentation.")] = Path("demo"),
    output: Output = SHOWN,
) -> int:
    """Make a small cohort of brain phantoms, train on it, and segment phantoms never seen.

    Takes a few minutes on two cores and needs no data. The same command again
    resumes.

    For example:

        neuraxis demo --into demo/

    Args:
        into: where everything goes.
        output: how it is shown.
    """
    from neuraxis.pipelines.demo import run_demo

    with display(output) as progress:
        result = run_demo(into, progress)
    if output.json:
        show_json(result)
    else:
        show(str(result))
    return 0
