"""`neuraxis train`: one fold of a prepared dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Device, Output, Profiled
from neuraxis.cli.printing import show, show_json


def train(
    store: Annotated[Path, Parameter(name="STORE")],
    /,
    *,
    into: Annotated[Path, Parameter(help="Folder of the run; a run that is there is resumed.")],
    fold: Annotated[int, Parameter(help="The fold that is held out.")] = 0,
    device: Device = "auto",
    profile: Profiled = False,
    output: Output = SHOWN,
) -> int:
    """Train the network on a prepared store; the same command again resumes.

    For example:

        neuraxis train prepared/ --into runs/a --fold 0

    Args:
        store: Folder that `neuraxis prepare` wrote.
        into: where the run goes.
        fold: which one is held out.
        device: where to compute.
        profile: whether steps are profiled.
        output: how it is shown.
    """
    from neuraxis.pipelines.steps import train_store

    with display(output) as progress:
        trained = train_store(store, into, fold, device, progress, profile)
    if output.json:
        show_json({"run": into, "fold": fold, "bundle": trained})
    else:
        show(f"model  {trained}\n\nNext: neuraxis segment SCAN --model {trained} --into OUT")
    return 0
