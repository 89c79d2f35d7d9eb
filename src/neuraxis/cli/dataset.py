"""`neuraxis dataset`: phantoms to try everything on, and public datasets at their source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output
from neuraxis.cli.printing import show, show_json

dataset = App(name="dataset", help="Make phantoms.")


@Parameter(name="*")
@dataclass(frozen=True)
class Wanted:
    """How many phantoms, of how many scanners, how fine."""

    cases: Annotated[int, Parameter(help="Number of subjects.")] = 6
    sites: Annotated[int, Parameter(help="Number of scanners that they come from, in turn.")] = 1
    seed: Annotated[int, Parameter(help="Of every random draw; the same seed makes the same files.")] = 0
    size: Annotated[
        Literal["small", "medium", "large"], Parameter(help="How fine the voxels are: small suits tests.")
    ] = "medium"
    tilt: Annotated[float, Parameter(help="Gantry tilt of CT series, in degrees.")] = 0.0


WANTED = Wanted()


@dataset.command(name="make")
def make(
    kind: Annotated[str, Parameter(name="KIND")],
    /,
    *,
    into: Annotated[Path, Parameter(help="The folder to make.")],
    wanted: Wanted = WANTED,
    output: Output = SHOWN,
) -> int:
    """Make synthetic scans with exact answers, laid out as a project of that kind keeps its own.

    The kinds: neuraxis catalog phantoms.

    For example:

        neuraxis dataset make cord-epi --into cord/ --cases 8 --sites 4
        neuraxis dataset make ms-followup --into ms/ --size small --seed 7

    Args:
        kind: of phantom.
        into: where they go.
        wanted: how many, of how many sites, of which seed and size.
        output: how it is shown.
    """
    from neuraxis.dataset.phantoms.kind import MakeOptions
    from neuraxis.dataset.phantoms.make import make_phantoms

    options = MakeOptions(wanted.cases, wanted.sites, wanted.seed, wanted.size, wanted.tilt)
    with display(output) as progress:
        made = make_phantoms(kind, into, options, progress)
    if output.json:
        show_json(made)
    else:
        show(f"{made.path}: {made.cases} subjects, layout {made.layout}\nnext  neuraxis check {into}")
    return 0
