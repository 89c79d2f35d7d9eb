"""`neuraxis bundle quantise`: int8 networks for a model, and what they lose."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import AS_FOUND, SHOWN, DataChoices, Output, Overwrite
from neuraxis.cli.printing import columns, number, show, show_json

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@Parameter(name="*")
@dataclass(frozen=True)
class QuantiseChoices:
    """What calibrates and what measures, and where the result goes."""

    data: Annotated[Path, Parameter(help="A labelled dataset, best the one that the model was trained on.")]
    into: Annotated[
        Path | None, Parameter(help="The bundle to write, NAME.nxb. [default: BUNDLE itself]", show_default=False)
    ] = None
    cases: Annotated[
        tuple[str, ...],
        Parameter(
            help="Measure on these cases. [default: those held out in training, where that is known]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    patches: Annotated[int, Parameter(help="Patches that calibrate each fold.")] = 32
    overwrite: Overwrite = False


def quantise_model(
    model: Annotated[Path, Parameter(name="BUNDLE")],
    /,
    *,
    choices: QuantiseChoices,
    understood: DataChoices = AS_FOUND,
    output: Output = SHOWN,
) -> int:
    """Add int8 networks to a model, which processors run about twice as fast.

    Patches of labelled cases calibrate them; on other cases the Dice is
    measured in fp32, by default and in int8, and stored in the model. Then:
    neuraxis segment --precision int8.

    For example:

        neuraxis bundle quantise model.nxb --data ms-brain/
        neuraxis bundle quantise model.nxb --data ms-brain/ --into small.nxb

    Args:
        model: A .nxb file or an unpacked bundle.
        choices: what it is made from.
        understood: how the dataset's folder is understood.
        output: how it is shown.
    """
    from neuraxis.pipelines.int8.quantise import QuantiseOptions, quantise_bundle

    options = QuantiseOptions(choices.cases, choices.patches, choices.overwrite)
    (place,) = understood.places([choices.data])
    with display(output) as progress:
        opened = quantise_bundle(model, place, choices.into, options, progress)
    if output.json:
        show_json({"path": opened.path, "name": opened.name, "hash": opened.hash, "int8": opened.card["int8"]})
    else:
        show(f"{opened.path}\n{describe_int8(opened.card['int8'])}")
    return 0


def describe_int8(told: Mapping[str, Any]) -> str:
    """Return what a card says of the int8 networks: a table of Dice, and what was measured how."""
    cases = f"int8 ({told['cases']} case{'' if told['cases'] == 1 else 's'}: {'; '.join(told['notes'])})"
    header = ("structure", "Dice in fp32", told["default_precision"], "int8", "loss")
    rows = [_row(name, dice) for name, dice in told["structures"].items()]
    return f"{cases}\n{columns([*rows, _row('mean', told['dice'])], header)}"


def _row(name: str, dice: Mapping[str, float | None]) -> tuple[str, ...]:
    shown = [_digits(dice[key]) for key in ("fp32", "default", "int8")]
    loss = None if dice["fp32"] is None or dice["int8"] is None else dice["fp32"] - dice["int8"]
    return (name, *shown, _digits(loss))


def _digits(value: float | None) -> str:
    return number(float("nan")) if value is None else f"{value:.4f}"
