"""A folder of BIDS derivatives: label maps with their tables, sidecars and probabilities, and a description of it all.

A model with one structure gives `_mask` files, one with several gives `_dseg` files with a table beside each. Names
keep the entities of a scan that is named after BIDS. Of a sidecar only what names no path and no scan by its own name
is kept, and of a NIfTI header no free text, since all these may bear a patient's name.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from neuraxis._version import __version__
from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.prediction import DISCLAIMER
from neuraxis.dataset.structures import Structure
from neuraxis.errors import UsageError
from neuraxis.files import refuse_existing, write_json, write_text
from neuraxis.pipelines.forms.bids import names
from neuraxis.pipelines.forms.bids.names import DESCRIPTION, BidsName
from neuraxis.pipelines.forms.form import Export
from neuraxis.volume.formats import nifti
from neuraxis.volume.formats.nifti_header import Header
from neuraxis.volume.volume import Volume

BIDS_VERSION = "1.10.0"
_PRIVATE = ("case", "images", "model_file", "created")
_LESIONS = ("lesion", "tumour", "tumor", "oedema", "edema", "core", "plaque")
_README = """# Segmentations

Label maps written by neuraxis {version}, in BIDS derivatives. Each lies on exactly the grid of its scan.

- `_mask` files hold one structure, `_dseg` files several: the table beside each says what the numbers mean.
- `_probseg` files hold the probability of each structure, where it was asked for.
- The `.json` beside each says which model and versions made it, volumes in mL, and warnings, below `neuraxis`.

{notice}
"""


class Derivatives:
    """Where the results of some cases go, and the writing of each.

    Args:
        into: the dataset's folder; an older one of neuraxis is added to.
        scans: case to the scan that its result belongs to; None where that is not known.
        model: name of the model, for `desc-`; empty where none made the label maps.
        one_structure: whether there is only one, so that the files are masks.

    Raises:
        UsageError: the folder holds something else.
    """

    def __init__(
        self, into: Path, scans: Mapping[str, ImageFile | None], model: str = "", one_structure: str = ""
    ) -> None:
        self.into = into
        self._old = _old_description(into)
        self._label = names.letters(one_structure)
        self._suffix = "mask" if one_structure else "dseg"
        self._names = _named(scans)
        self._descriptions = self._told_apart(names.letters(model))

    @property
    def summary_folder(self) -> Path:
        """Where BIDS lets logs lie."""
        return self.into / "code"

    def place(self, case: str) -> Path:
        """Return the file of a case's label map."""
        return self._path(case, f"{self._suffix}.nii.gz", label=self._label)

    def files(self, case: str, probabilities: bool) -> tuple[Path, ...]:
        """Return every file that is written for a case."""
        place = self.place(case)
        base = place.name.removesuffix(".nii.gz")
        beside = [place, place.with_name(f"{base}.json")]
        if self._suffix == "dseg":
            beside.append(place.with_name(f"{base}.tsv"))
        if probabilities:
            probable = self._path(case, "probseg.nii.gz")
            beside += [probable, probable.with_name(probable.name.replace(".nii.gz", ".json"))]
        return tuple(beside)

    def write(self, export: Export, overwrite: bool = False) -> Path:
        """Write one result, and what describes the dataset.

        Raises:
            UsageError: one of the files exists and is not to be replaced.
            ResourceError: it cannot be written.
        """
        place, *_ = files = self.files(export.name, export.probability is not None)
        for file in files:
            refuse_existing(file, overwrite)
        self._describe(export)
        sidecar = self._sidecar(export)
        if export.probability is not None:
            probable = export.probability.with_array(export.probability.array.astype(np.float32))
            nifti.write(files[-2], _without_words(probable), overwrite)
            told = {key: value for key, value in sidecar.items() if key != "Type"}
            told["Description"] = f"Probabilities of {', '.join(export.outputs)}"
            write_json(files[-1], {**told, "LabelMap": list(export.outputs)}, overwrite)
        if self._suffix == "dseg":
            write_text(files[2], lookup_table(export.structures or ()), overwrite)
        write_json(files[1], sidecar, overwrite)
        nifti.write(place, _without_words(export.volume), overwrite)
        return place

    def _path(self, case: str, ending: str, label: str = "") -> Path:
        name = self._names[case]
        return self.into / name.folder() / f"{name.stem(label=label, desc=self._descriptions[case])}_{ending}"

    def _told_apart(self, model: str) -> dict[str, str]:
        """Return `desc-` of each case: the model's name, and where two files would have one name what parts them."""
        found = dict.fromkeys(self._names, model)
        for more in (lambda case: self._names[case].suffix, names.short_hash):
            stems = {case: name.stem(desc=found[case]) for case, name in self._names.items()}
            counts = Counter(stems.values())
            found |= {case: found[case] + more(case) for case, stem in stems.items() if counts[stem] > 1}
        return found

    def _sidecar(self, export: Export) -> dict[str, Any]:
        name = self._names[export.name]
        source = f"bids:raw:{name.source}" if name.source else ""
        shown = [structure.name for structure in export.structures or ()]
        by = f" by the model {export.about['model']}" if "model" in export.about else ""
        content: dict[str, Any] = {"Description": f"Segmentation of {', '.join(shown)}{by}"}
        if self._suffix == "mask":
            content["Type"] = "Lesion" if any(word in shown[0].lower() for word in _LESIONS) else "ROI"
        if source:
            content["Sources"] = [source]
        content["SpatialReference"] = source or "orig"
        if export.about:
            content["Manual"] = False
        if "res" in name.entities:
            content["Resolution"] = "that of the scan"
        return {**content, "neuraxis": {key: value for key, value in export.about.items() if key not in _PRIVATE}}

    def _describe(self, export: Export) -> None:
        """Write or add to the description and the words about the dataset."""
        by = {"Name": "neuraxis", "Version": __version__}
        if "model" in export.about:
            by |= {
                "Description": f"Segmented by the model {export.about['model']}",
                "Model": str(export.about["model"]),
                "ModelHash": str(export.about.get("model_hash", "")),
            }
        made = self._old.get("GeneratedBy", [])
        content = {**self._fresh_description(), **self._old, "GeneratedBy": [*made, *([] if by in made else [by])]}
        if content != self._old:
            write_json(self.into / DESCRIPTION, content)
            self._old = content
        readme = self.into / "README.md"
        if not readme.exists():
            write_text(readme, _README.format(version=__version__, notice=DISCLAIMER))

    def _fresh_description(self) -> dict[str, Any]:
        root = next((name.root for name in self._names.values() if name.root), None)
        raw = names.read_description(root) if root else {}
        licence = raw.get("License")
        content: dict[str, Any] = {
            "Name": "Segmentations by neuraxis",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "License": licence if isinstance(licence, str) and licence else "that of the scans",
        }
        if root:
            content["DatasetLinks"] = {"raw": Path(os.path.relpath(root, self.into.absolute())).as_posix()}
        return content


def _without_words(volume: Volume) -> Volume:
    """Return a volume whose NIfTI header holds no free text."""
    if volume.stored is None or not isinstance(volume.stored.header, Header):
        return volume
    return replace(volume, stored=replace(volume.stored, header=volume.stored.header.without_words()))


def lookup_table(structures: Sequence[Structure]) -> str:
    """Return BIDS's table of a label map: number, name, abbreviation and colour of each structure."""
    stream = io.StringIO()
    table = csv.writer(stream, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
    table.writerow(("index", "name", "abbreviation", "color"))
    for structure in structures:
        name = " ".join(structure.name.split()) or f"label {structure.number}"
        table.writerow((structure.number, name, names.letters(name)[:12] or f"L{structure.number}", structure.colour))
    return stream.getvalue()


def _named(scans: Mapping[str, ImageFile | None]) -> dict[str, BidsName]:
    """Return the name of each case; of two that would be one patient by their letters, each gets its own."""
    found = {case: scan and names.parse(scan.path) for case, scan in scans.items()}
    plain = Counter(names.letters(case) for case, name in found.items() if name is None)
    real = {name.entities["sub"] for name in found.values() if name}
    return {
        case: name or names.made_up(case, plain[names.letters(case)] > 1 or names.letters(case) in real)
        for case, name in found.items()
    }


def _old_description(into: Path) -> dict[str, Any]:
    """Return the description of an older dataset of ours; empty where there is nothing yet."""
    if not into.exists():
        return {}
    if not into.is_dir():
        raise UsageError(f"{into}: is a file. BIDS derivatives are a folder; name one with --into.")
    if not any(into.iterdir()):
        return {}
    content = names.read_description(into)
    made = content.get("GeneratedBy")
    ours = isinstance(made, list) and any(isinstance(by, dict) and by.get("Name") == "neuraxis" for by in made)
    if not ours or content.get("DatasetType") != "derivative":
        raise UsageError(
            f"{into}: is not empty and holds no BIDS derivatives of neuraxis. Name a folder of their own with --into, "
            "such as derivatives/neuraxis."
        )
    return dict(content)
