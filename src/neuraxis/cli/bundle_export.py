"""`neuraxis bundle export`: a model in a form that other programs open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.options import SHOWN, Output, Overwrite
from neuraxis.cli.printing import columns, show, show_json


@Parameter(name="*")
@dataclass(frozen=True)
class ExportChoices:
    """Which form, and where it goes."""

    to: Annotated[str, Parameter(help="The form: browser, folder, monai, nnunet, onnx or sct.")]
    into: Annotated[Path, Parameter(help="The folder to write; for sct a NAME.zip.")]
    overwrite: Overwrite = False


def export_model(
    model: Annotated[Path, Parameter(name="BUNDLE")], /, *, choices: ExportChoices, output: Output = SHOWN
) -> int:
    """Write a model in a form that other programs open.

    folder: its own files, unpacked. onnx: a network for each fold, and in
    model.json what a program must do around it. monai: a bundle of MONAI.
    nnunet: a results folder of nnU-Net. sct: a zip for the Spinal Cord
    Toolbox. browser: as onnx, with networks that ONNX Runtime Web runs in a
    page, checked against the model's own. What a form cannot say is refused, or told in its README. For
    int8 networks that neuraxis itself runs: neuraxis bundle quantise.

    For example:

        neuraxis bundle export model.nxb --to onnx --into model-onnx
        neuraxis bundle export model.nxb --to monai --into model-monai

    Args:
        model: A .nxb file or an unpacked bundle.
        choices: which form, and where it goes.
        output: how it is shown.
    """
    from neuraxis.bundle.exports.exporting import export_bundle

    place = export_bundle(model, choices.into, choices.to, choices.overwrite)
    files = sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    sizes = {path.relative_to(place).as_posix() if path != place else path.name: path.stat().st_size for path in files}
    if output.json:
        show_json({"path": place, "to": choices.to, "files": sizes})
    else:
        rows = [(f"  {name}", size, "bytes") for name, size in sizes.items()]
        show(f"{place}\n{columns(rows)}")
    return 0
