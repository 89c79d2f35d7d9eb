"""What `convert` is to convert: a file, the label maps of a dataset, or the scans of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.label_tables import read_table
from neuraxis.dataset.layouts.recognise import open_place, recognising
from neuraxis.dataset.opening import PLAIN_OPENING, Opening, Place
from neuraxis.dataset.structures import structures_of
from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.registry import need
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom import dicom
from neuraxis.volume.formats.format import Segment

_LOOKED_AT = 8


@dataclass(frozen=True)
class Known:
    """What is known of a label map.

    Attributes:
        names: number to name; empty where nothing is known.
        colours: number to "#rrggbb".
        about: what made it, as its sidecar says.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    colours: Mapping[int, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def by(cls, labels: Labels, about: Mapping[str, Any] | None = None) -> Known:
        """Return what labels say."""
        shown = structures_of(labels)
        return cls({one.number: one.name for one in shown}, {one.number: one.colour for one in shown}, about or {})


@dataclass(frozen=True)
class Item:
    """One scan or label map to convert.

    Attributes:
        source: where it lies.
        name: of what is written, without its ending; with folders where the source has some.
        known: what is known of it, if it is a label map.
        case: that it is the label map of, in a dataset.
        scan: that it belongs to.
        series: which one, where the source holds several.
        is_image: whether it is an image among DICOM segmentations, so surely no label map.
    """

    source: Path
    name: str
    known: Known
    case: Case | None = None
    scan: ImageFile | None = None
    series: str = ""
    is_image: bool = False

    @property
    def shown(self) -> Path:
        """The source as messages and results may say it: without what names a patient."""
        if any_format.is_scan(self.source) or not dicom.is_part(self.source):
            return self.source
        return Path(any_format.shown(self.source))


def as_dataset(source: Path, opening: Opening) -> Dataset | None:
    """Open a folder as a dataset where it is one, or is said to be; results of `segment` are none."""
    if opening.layout == "auto" and not (source.is_dir() and not _holds_results(source) and recognising(source)):
        return None
    return open_place(Place(source, opening))


def items_of_dataset(dataset: Dataset) -> list[Item]:
    """Return the label maps of a dataset, each with its scan."""
    known = Known.by(dataset.labels)
    return [
        Item(case.label, case.id, known, case, next(iter(case.images.values()), None))
        for case in dataset.cases
        if case.label is not None
    ]


def items_of_files(source: Path, opening: Opening = PLAIN_OPENING, scan: ImageFile | None = None) -> list[Item]:
    """Return a file, or the scans of a folder and of the folders inside it.

    Raises:
        DataError: there is nothing, or the table of labels is none.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder. Check the name.")
    if not any_format.is_scan(source) and dicom.is_part(source):
        return _items_of_dicom(source, opening, scan)
    if not source.is_dir():
        return [Item(source, any_format.stem(source), _known(source, opening), None, scan)]
    folders: dict[Path, list[Path]] = {}
    for path in source.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(source).parts):
            folders.setdefault(path.parent, []).append(path)
    found = sorted(path for files in folders.values() for path in any_format.scans_among(files))
    if not found:
        endings = ", ".join(any_format.known_endings())
        raise DataError(f"{source}: holds no scan that is known ({endings}). Name a folder of scans.")
    names = [path.relative_to(source).with_name(any_format.stem(path)).as_posix() for path in found]
    return [Item(path, name, _known(path, opening), None, scan) for path, name in zip(found, names, strict=True)]


def _items_of_dicom(source: Path, opening: Opening, scan: ImageFile | None) -> list[Item]:
    """Return the segmentations (DICOM SEG) in a folder or file, then its series; none is called after a patient."""
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom.segmentation.reading import segments_of
    from neuraxis.volume.formats.dicom.series import find
    from neuraxis.volume.formats.dicom.studies import name_of, studies_in

    found = find(source)
    items = []
    for file in found.segmentations:
        names = {number: name for name, number in segments_of(file.path).items()}
        known = _known(file.path, opening) if opening.label_table is not None else Known(names)
        items.append(Item(file.path, name_of(file.path.stem, found), known, None, scan))
    for study in studies_in(source) if found.series else ():
        for series in study.series:
            name = study.name if len(study.series) == 1 else f"{study.name}_{name_of(series.name, found)}"
            items.append(Item(study.path, name, Known(), None, scan, series.name, is_image=bool(found.segmentations)))
    if not items:
        raise DataError(f"{found.identity.shown(source)}: holds no DICOM image. Name a folder of slices.")
    return items


def _known(path: Path, opening: Opening) -> Known:
    """Return what the table that was named says of a label map, else its sidecar, else the dataset that it lies in."""
    sidecar = _sidecar(path.with_name(f"{any_format.stem(path)}.json"))
    if opening.label_table is not None:
        table = read_table(opening.label_table)
        names = {number: name for number, name in table.names.items() if number != 0}
        return Known(names, table.colours, sidecar)
    labels = _labels(sidecar.get("labels"))
    if labels is not None:
        return Known.by(labels, sidecar)
    described = _described(path)
    if described:
        colours = {segment.value: segment.colour for segment in described if segment.colour}
        return Known({segment.value: segment.name for segment in described}, colours)
    labels = _labels_of_dataset(path.absolute().parent)
    return Known() if labels is None else Known.by(labels)


def _described(path: Path) -> tuple[Segment, ...]:
    """Return what a label map's own file says of its numbers; nothing where structures overlap."""
    try:
        found = any_format.segments_of(path)
    except DataError:  # reading it tells the user why
        return ()
    return found if len({segment.layer for segment in found}) == 1 else ()


def _holds_results(folder: Path) -> bool:
    return any(_sidecar(path) for path in islice(sorted(folder.glob("*.json")), _LOOKED_AT))


def _sidecar(path: Path) -> dict[str, Any]:
    """Return what `segment` wrote beside a label map, in BIDS too; of other JSON nothing is taken."""
    try:
        content = read_json(path)
    except DataError:
        return {}
    found = content.get("neuraxis", content) if isinstance(content, dict) else {}
    return found if isinstance(found, dict) and "model_hash" in found else {}


def _labels(raw: Any) -> Labels | None:
    try:
        return Labels.model_validate(raw)
    except ValidationError:
        return None


def _labels_of_dataset(folder: Path) -> Labels | None:
    """Return the labels of the dataset whose folder of label maps this is."""
    if not folder.name.startswith("labels"):
        return None
    try:
        return open_place(folder.parent).labels
    except DataError:
        return None
