"""`neuraxis catalog`: what there is to choose from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from neuraxis.cli.display import display
from neuraxis.cli.options import SHOWN, Output, Overwrite
from neuraxis.cli.printing import columns, show, show_json
from neuraxis.errors import UsageError
from neuraxis.progress import Progress


@Parameter(name="*")
@dataclass(frozen=True)
class Sheet:
    """A contact sheet of the augmentations."""

    picture: Annotated[
        Path | None,
        Parameter(help="PNG file: each augmentation on one scan, strong enough to be seen.", show_default=False),
    ] = None
    scan: Annotated[Path | None, Parameter(help="The scan to draw from; without it a phantom.", show_default=False)] = (
        None
    )
    label: Annotated[
        Path | None,
        Parameter(help="Its label, to be outlined; without it whatever is bright.", show_default=False),
    ] = None
    preset: Annotated[
        str, Parameter(help="Draw what one preset does in its first steps instead.", show_default=False)
    ] = ""
    overwrite: Overwrite = False


NO_SHEET = Sheet()


def catalog(
    kind: Annotated[str, Parameter(name="KIND", show_default=False)] = "",
    /,
    *,
    sheet: Sheet = NO_SHEET,
    output: Output = SHOWN,
) -> int:
    """List what there is to choose from by name, and draw the augmentations.

    For example:

        neuraxis catalog recipes
        neuraxis catalog augmentations --picture sheet.png --scan T1.nii.gz

    Args:
        kind: networks, losses, layouts, formats, phantoms, recipes, metrics,
            runtimes, augmentations or forms; all of them where left out.
        sheet: a picture of the augmentations.
        output: how it is shown.
    """
    from neuraxis.pipelines.verbs import list_choices

    if sheet != NO_SHEET:
        _check(kind, sheet)
        with display(output) as progress:
            _draw(sheet, progress)
    content = list_choices(kind)
    if output.json:
        show_json({**content, "picture": sheet.picture} if sheet.picture else content)
    else:
        show("\n\n".join(_describe(name, entries) for name, entries in content.items()))
        if sheet.picture:
            show(f"\npicture  {sheet.picture}")
    return 0


def _check(kind: str, sheet: Sheet) -> None:
    """Raise `UsageError` where the options of the sheet do not go together."""
    from neuraxis.recipe.augmentation import known_preset

    if kind != "augmentations":
        raise UsageError("--picture, --scan, --label and --preset draw augmentations: neuraxis catalog augmentations.")
    if sheet.picture is None or sheet.picture.suffix.lower() != ".png":
        raise UsageError("Needed is --picture with the name of a PNG file, such as --picture augmentations.png.")
    if sheet.label is not None and sheet.scan is None:
        raise UsageError(f"--label {sheet.label}: belongs to a scan. Name it with --scan.")
    if sheet.preset:
        known_preset(sheet.preset)
    if sheet.picture.exists() and not sheet.overwrite:
        raise UsageError(
            f"{sheet.picture} exists already. Name another file with --picture, or allow it with --overwrite."
        )


def _draw(sheet: Sheet, progress: Progress) -> None:
    from neuraxis.registry import need
    from neuraxis.volume.formats.nifti import read

    for package in ("torch", "matplotlib"):
        need(package, "train")
    from neuraxis.patches.augment import contact_sheet

    if sheet.scan is None:
        subject = contact_sheet.phantom_specimen()
    else:
        subject = contact_sheet.specimen(read(sheet.scan), read(sheet.label) if sheet.label else None)
    tiles = contact_sheet.make_tiles(subject, sheet.preset, progress)
    if sheet.picture is not None:
        contact_sheet.draw_sheet(tiles, subject, sheet.picture, sheet.overwrite)


def _describe(name: str, entries: dict[str, str]) -> str:
    return f"{name}\n" + "\n".join(f"  {line}" for line in columns(list(entries.items())).splitlines())
