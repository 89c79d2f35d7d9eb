"""The forms by name. A new one is one file here that ends in a `Form`, and one line below.

Folders hold many cases by rules of their own, so each is an object of its own: results of `segment` and label maps go
into BIDS derivatives (`bids/`), whole datasets into another layout (`datasets/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuraxis.errors import UnknownName, UsageError
from neuraxis.pipelines.forms.datasets.catalog import DATASETS
from neuraxis.pipelines.forms.form import Form
from neuraxis.registry import Catalog, Entry, need

FORMS = Catalog(
    "form",
    {
        "dicom": Entry("neuraxis.pipelines.forms.scan:DICOM", "a folder of DICOM slices, for images", "dicom"),
        "dicom-seg": Entry(
            "neuraxis.pipelines.forms.dicom_seg:DICOM_SEG", "DICOM SEG on the slices of its DICOM series", "dicom"
        ),
        "glb": Entry("neuraxis.pipelines.forms.model:GLB", "a smooth surface of each label in one .glb, for viewers"),
        "mha": Entry("neuraxis.pipelines.forms.scan:MHA", "MetaImage of ITK, .mha"),
        "nifti": Entry("neuraxis.pipelines.forms.scan:NIFTI", "NIfTI, .nii.gz, on the grid that it came on"),
        "nrrd": Entry("neuraxis.pipelines.forms.scan:NRRD", "NRRD, .nrrd"),
        "overlay": Entry(
            "neuraxis.pipelines.forms.overlay:OVERLAY", "a PNG for people: slices with the labels drawn on", "report"
        ),
        "png": Entry(
            "neuraxis.pipelines.forms.scan:PNG", "a picture of one slice, a label map as grey numbers", "report"
        ),
        "seg-nrrd": Entry(
            "neuraxis.pipelines.forms.scan:SEG_NRRD", "a segmentation of 3D Slicer, .seg.nrrd, with names and colours"
        ),
    },
)
BIDS = "bids"
NO_SCANS = (".dcm", ".glb")  # endings of forms that are no scan's


def split_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of forms, each once, from texts that may join several by commas.

    >>> split_names(["dicom-seg,glb", "glb"])
    ('dicom-seg', 'glb')
    """
    parted = [name.strip() for text in names for name in text.split(",")]
    return tuple(dict.fromkeys(name for name in parted if name))


def summaries() -> dict[str, str]:
    """Return every name that `--as` takes, for single scans and for datasets, and what it is."""
    found = {name: _with_extra(table, name) for table in (DATASETS, FORMS) for name in table.names()}
    found[BIDS] = "BIDS derivatives (_dseg or _mask, table, sidecar); of a dataset also its scans"
    return dict(sorted(found.items()))


def _with_extra(table: Catalog, name: str) -> str:
    extra = table.entries[name].extra if name in table.entries else ""
    return table.summary(name) + (f" (needs neuraxis[{extra}])" if extra else "")


def open_form(name: str) -> Form:
    """Return a form whose packages are installed.

    Raises:
        UnknownName: there is no such form; the message offers the nearest.
        MissingExtra: a package that it needs is not installed.
    """
    if name not in FORMS.names():
        raise UnknownName("form", name, summaries())
    found: Any = FORMS.load(name)
    if not isinstance(found, Form):
        raise TypeError(f"The form '{name}' is a {type(found).__name__}, not a Form.")
    for package in found.packages:
        need(package, FORMS.entries[name].extra)
    return found


def check_choice(names: Sequence[str]) -> None:
    """Raise `UsageError` where the results of scans cannot go out in these forms together."""
    if "dicom" in names:
        raise UsageError("--as dicom: is for images. A segmentation goes out with --as dicom-seg.")
    whole = [name for name in names if name in DATASETS.names() and name != BIDS]
    if whole:
        raise UsageError(f"--as {whole[0]}: is for whole datasets. Type: neuraxis convert DATASET --as {whole[0]}")
    if BIDS in names and len(names) > 1:
        others = ",".join(name for name in names if name != BIDS)
        raise UsageError(
            f"--as {','.join(names)}: a folder of BIDS derivatives holds nothing else. Write --as bids alone, and the "
            f"rest from it with: neuraxis convert FOLDER --as {others}"
        )
