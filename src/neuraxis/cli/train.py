"""`neuraxis train`: one fold of a prepared dataset."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, AllowLeak, Deterministic, Device, DeviceCount, Output, Previewed, Profiled
from neuraxis.cli.printing import show, show_json
from neuraxis.cli.torchrun import chosen_devices, follows, leading


@Parameter(name="*")
@dataclass(frozen=True)
class TrainChoices:
    """What `train` can be told."""

    into: Annotated[Path, Parameter(help="Folder of the run; a run that is there is resumed.")]
    fold: Annotated[int, Parameter(help="The fold that is held out.")] = 0
    device: Device = "auto"
    devices: DeviceCount = None
    deterministic: Deterministic = False
    profile: Profiled = False
    preview: Previewed = ()
    allow_leak: AllowLeak = False


def train(store: Annotated[Path, Parameter(name="STORE")], /, *, choices: TrainChoices, output: Output = SHOWN) -> int:
    """Train the network on a prepared store; the same command again resumes.

    For example:

        neuraxis train prepared/ --into runs/a --fold 0
        neuraxis train prepared/ --into runs/a --preview unlabelled/
        neuraxis train prepared/ --into runs/a --devices 4

    Args:
        store: Folder that `neuraxis prepare` wrote.
        choices: what is asked for.
        output: how it is shown.
    """
    from neuraxis.pipelines.steps import TrainOptions, train_store

    devices = chosen_devices(choices.devices)
    if follows(devices, choices.device):
        return 0
    how = TrainOptions(choices.profile, choices.preview, devices, choices.deterministic, choices.allow_leak)
    with display(output) as progress, leading(devices, choices.device):
        trained = train_store(store, choices.into, choices.fold, choices.device, progress, how)
    if output.json:
        show_json({"run": choices.into, "fold": choices.fold, "bundle": trained})
    else:
        show(f"model  {trained}\n\nNext: neuraxis segment SCAN --model {trained} --into OUT")
    return 0
