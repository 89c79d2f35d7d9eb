"""`neuraxis convert`: scans and label maps in the form that others need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import AS_FOUND, SHOWN, DataChoices, Output, Overwrite
from neuraxis.cli.printing import complain, show, show_json
from neuraxis.cli.segment import exit_code


@Parameter(name="*")
@dataclass(frozen=True)
class ConvertChoices:
    """Which form, and where it goes."""

    form: Annotated[str, Parameter(name="--as", help="The form (see: neuraxis catalog forms).")]
    into: Annotated[Path, Parameter(help="A folder, or for one scan a file of the form's ending.")]
    source: Annotated[
        Path | None,
        Parameter(
            help="The scan that a label map belongs to: for dicom-seg its DICOM folder, for png what lies below.",
            show_default=False,
        ),
    ] = None
    overwrite: Overwrite = False


def convert(
    scan: Annotated[Path, Parameter(name="SOURCE")],
    /,
    *,
    choices: ConvertChoices,
    data: DataChoices = AS_FOUND,
    output: Output = SHOWN,
) -> int:
    """Write a scan, a label map, a folder of them or a dataset in another form.

    Voxels stay where they are: what was read on a grid is written on the same
    grid. Names and colours of labels come from --label-table, or the sidecar
    that segment wrote, or the dataset around a file. Of a dataset the label
    maps are taken; bids, msd and nnunet take all of it.

    For example:

        neuraxis convert labels/sub-01.nii.gz --as glb --into sub-01.glb
        neuraxis convert segmentations/ --as seg-nrrd --into slicer/
        neuraxis convert seg.nii.gz --as dicom-seg --source study/T1 --into out/
        neuraxis convert ms-brain/ --as nnunet --into Dataset001_MS/

    Args:
        scan: A file of any format, or a folder, whose own folders are kept.
        choices: which form, and where it goes.
        data: how a dataset is understood.
        output: how it is shown.
    """
    from neuraxis.pipelines.forms.convert import ConvertOptions
    from neuraxis.pipelines.forms.convert import convert as convert_scans

    (place,) = data.places([scan])
    options = ConvertOptions(choices.source, place.opening, choices.overwrite)
    with display(output) as progress:
        results = convert_scans(scan, choices.into, choices.form, options, progress)
    failed = [result for result in results if result.error]
    if output.json:
        show_json({"files": results, "failed": len(failed)})
    else:
        for result in results:
            if result.path:
                show(str(result.path))
    for result in failed:
        complain(str(result.error))
    if failed and len(results) > 1:
        complain(f"{len(failed)} of {len(results)} files failed; the others are done.")
    return exit_code(results)
