"""`neuraxis explain`: what a model looked at in scans."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Device, Output, Overwrite
from neuraxis.cli.printing import columns, complain, show, show_json

if TYPE_CHECKING:
    from neuraxis.pipelines.explaining.explain import ExplainResult


@Parameter(name="*")
@dataclass(frozen=True)
class ExplainChoices:
    """What `explain` can be told."""

    into: Annotated[Path, Parameter(help="Folder for the maps, the segmentations and explanation.html.")]
    kind: Annotated[
        Literal["all", "gradcam", "experts"],
        Parameter(help="gradcam: what speaks for each label; experts: who took which part, of mixtures of experts."),
    ] = "all"
    label: Annotated[
        tuple[str, ...],
        Parameter(
            help="Explain these labels or regions alone. [default: all but the background]",
            consume_multiple=True,
            negative="",
            show_default=False,
        ),
    ] = ()
    layer: Annotated[
        str,
        Parameter(help="Weigh the features of this layer. [default: the network's bottleneck]", show_default=False),
    ] = ""
    fold: Annotated[
        int | None,
        Parameter(help="Look into this fold's network alone. [default: the mean of all folds]", show_default=False),
    ] = None
    device: Device = "auto"
    overwrite: Overwrite = False


def explain(
    bundle: Annotated[Path, Parameter(name="BUNDLE")],
    /,
    *scans: Annotated[str, Parameter(name="SCAN", required=True)],
    choices: ExplainChoices,
    output: Output = SHOWN,
) -> int:
    """Show what a model looked at in scans: Grad-CAM++ maps, and which experts took which part.

    Each scan is segmented; the maps explain that segmentation and lie on
    exactly its grid, as NIfTI and slice by slice in explanation.html, which
    also says what such maps can and cannot show.

    For example:

        neuraxis explain model.nxb sub-01_FLAIR.nii.gz --into why/
        neuraxis explain model.nxb scans/ --into why/ --label lesion --fold 0
        neuraxis explain moe.nxb scans/ --into why/ --kind experts
        neuraxis evaluate seg/ ms-brain/ --into scores/ --explain why/

    Args:
        bundle: The model: a .nxb file or an unpacked bundle.
        scans: Files, folders of scans or of DICOM, or CHANNEL=FILE pairs for one scan of several channels.
        choices: what is asked for.
        output: how it is shown.
    """
    from neuraxis.pipelines.explaining.explain import PAGE, ExplainOptions
    from neuraxis.pipelines.explaining.explain import explain as explain_scans

    options = ExplainOptions(
        kind=choices.kind,
        labels=choices.label,
        layer=choices.layer,
        fold=choices.fold,
        device=choices.device,
        overwrite=choices.overwrite,
    )
    with display(output) as progress:
        results = explain_scans(scans, bundle, choices.into, options, progress)
    failed = [result for result in results if result.error]
    if output.json:
        show_json({"cases": results, "failed": len(failed)})
    else:
        for result in results:
            if not result.error:
                show(_describe(result))
        if len(failed) < len(results):
            show(f"\npage  {choices.into / PAGE}")
    for result in failed:
        complain(str(result.error))
    if failed and len(results) > 1:
        complain(f"{len(failed)} of {len(results)} scans failed; the others are done.")
    return next((result.exit_code for result in results if result.exit_code), 0)


def _describe(result: ExplainResult) -> str:
    maps = result.maps
    if maps is None:
        return result.case
    rows: list[tuple[object, ...]] = [
        (f"  {one.label}", one.file, f"{one.lift:.1f} times brighter in the label" if one.lift else "")
        for one in maps.gradcam
    ]
    rows += [(f"  {one.gate}", one.file, f"{len(one.shares)} experts") for one in maps.experts]
    lines = [f"{result.case}  {result.sidecar}", columns(rows), *(f"  warning: {text}" for text in maps.warnings)]
    return "\n".join(line for line in lines if line)
