"""`neuraxis segment`: from new scans to segmentations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Device, Output, Overwrite
from neuraxis.cli.printing import columns, complain, show, show_json


@Parameter(name="*")
@dataclass(frozen=True)
class SegmentChoices:
    """What `segment` can be told."""

    model: Annotated[Path, Parameter(help="The model: a .nxb file or an unpacked bundle.")]
    into: Annotated[Path, Parameter(help="Folder for the results, or a .nii.gz file where one scan is given.")]
    forms: Annotated[
        tuple[str, ...],
        Parameter(
            name="--as",
            help="Write each result in these forms too (see: neuraxis catalog forms), such as dicom-seg,glb; or bids "
            "alone, then --into is the folder of the derivatives.",
            consume_multiple=False,
            show_default=False,
        ),
    ] = ()
    runtime: Annotated[str, Parameter(help="What computes (see: neuraxis catalog runtimes).")] = "auto"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "int8"],
        Parameter(help="auto takes bf16 where the device has it, but for tiny windows; int8 needs a quantised bundle."),
    ] = "auto"
    device: Device = "auto"
    mirror: Annotated[
        bool,
        Parameter(
            help="Predict mirrored windows too, where the model says so; --no-mirror is faster.", negative="--no-mirror"
        ),
    ] = True
    probabilities: Annotated[
        bool, Parameter(help="Write the probability of every structure as well.", show_default=False)
    ] = False
    prompts: Annotated[
        str,
        Parameter(
            help="Of a promptable model, where prompts come from: coarse, coarse:BUNDLE, centre-line, "
            "centre-line:MASK, "
            "previous, drawn, or reference:MASK, which marks the result as an oracle.",
            show_default=False,
        ),
    ] = ""
    box: Annotated[
        tuple[str, ...],
        Parameter(
            help="A box [NAME=]x0,y0,x1,y1[,slice] of voxels in the scan's file, from 0; may come several times.",
            consume_multiple=False,
            show_default=False,
        ),
    ] = ()
    point: Annotated[
        tuple[str, ...],
        Parameter(
            help="A point [NAME=]x,y,z[,inside] of a structure, or with inside 0 not of it; may come several times.",
            consume_multiple=False,
            show_default=False,
        ),
    ] = ()
    overwrite: Overwrite = False


def segment(
    *scans: Annotated[str, Parameter(name="SCAN", required=True)],
    choices: SegmentChoices,
    output: Output = SHOWN,
) -> int:
    """Segment new scans; each result lies on exactly its scan's grid.

    Beside every segmentation lies a JSON file: model, versions, volumes in mL,
    warnings.

    For example:

        neuraxis segment sub-01.nii.gz --model model.nxb --into seg.nii.gz
        neuraxis segment scans/ --model model.nxb --into segmentations/
        neuraxis segment scans/ --model m.nxb --into out/ --as dicom-seg,glb
        neuraxis segment sub-01_FLAIR.nii.gz --model m.nxb --into bids/ --as bids
        neuraxis segment FLAIR=a.nii.gz T1=b.nii.gz --model m.nxb --into out/
        neuraxis segment dicom-study/ --model m.nxb --into out/
        neuraxis segment a.nii.gz --model sam.nxb --into out/ --box 20,22,40,45,7

    Args:
        scans: Files, folders of scans or of DICOM, or CHANNEL=FILE pairs for one scan of several channels.
        choices: what is asked for.
        output: how it is shown.
    """
    from neuraxis.pipelines.prompting.wishes import PromptWishes
    from neuraxis.pipelines.segment import SegmentOptions
    from neuraxis.pipelines.segment import segment as segment_scans

    options = SegmentOptions(
        runtime=choices.runtime,
        precision=choices.precision,
        device=choices.device,
        mirror_axes=None if choices.mirror else (),
        probabilities=choices.probabilities,
        forms=choices.forms,
        overwrite=choices.overwrite,
        prompts=PromptWishes(choices.prompts, choices.box, choices.point),
    )
    with display(output) as progress:
        results = segment_scans(scans, choices.model, choices.into, options, progress)
    show_segmented(results, output)
    return exit_code(results)


def show_segmented(results: tuple[Any, ...], output: Output) -> None:
    """Print where each result is, its volumes and its warnings; failures and a count go to stderr."""
    failed = [result for result in results if result.error]
    if output.json:
        show_json({"cases": results, "failed": len(failed)})
    else:
        for result in results:
            if not result.error:
                show(_describe(result))
    for result in failed:
        complain(result.error)
    if failed and len(results) > 1:
        complain(f"{len(failed)} of {len(results)} scans failed; the others are done.")


def exit_code(results: tuple[Any, ...]) -> int:
    """Return 0 only where every scan is fine, else the code of the first that is not."""
    return next((result.exit_code for result in results if result.exit_code), 0)


def _describe(result: Any) -> str:
    prediction = result.prediction or {}
    volumes = prediction.get("volumes_ml", {}) if isinstance(prediction, dict) else {}
    rows = [(f"  {name}", float(volume), "mL") for name, volume in volumes.items()]
    warnings = prediction.get("warnings", ()) if isinstance(prediction, dict) else ()
    lines = [
        f"{result.case}  {result.path}",
        *(f"  also {path}" for path in result.more),
        columns(rows),
        *(f"  warning: {text}" for text in warnings),
    ]
    return "\n".join(line for line in lines if line)
