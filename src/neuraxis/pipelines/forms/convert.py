"""`convert`: scans and label maps, one or a folder of them, in the form that others need.

Everything that can be refused is refused before the first file is read. In a folder a bad file stops no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.recognise import open_place
from neuraxis.dataset.opening import PLAIN_OPENING, Opening, Place
from neuraxis.dataset.prediction import Prediction
from neuraxis.dataset.structures import structures_from
from neuraxis.errors import DataError, NeuraxisError, ResourceError, UsageError
from neuraxis.files import refuse_existing
from neuraxis.pipelines.forms.bids.derivatives import Derivatives
from neuraxis.pipelines.forms.catalog import BIDS, NO_SCANS, check_choice, open_form
from neuraxis.pipelines.forms.datasets.catalog import DATASETS, write_dataset
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.pipelines.forms.items import Item, as_dataset, items_of_dataset, items_of_files
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import any_format

log = logging.getLogger(__name__)
MOST_UNNAMED = 128
Write = Callable[[Item, Path], None]


@dataclass(frozen=True)
class ConvertOptions:
    """What `convert` can be told.

    Attributes:
        scan: that a label map was drawn on or found in, such as the DICOM folder for a DICOM SEG; with it the source
            is taken for a label map.
        opening: how the folder of a dataset is understood; its table also names the labels of a single label map.
        overwrite: whether files that exist already are replaced.
    """

    scan: Path | None = None
    opening: Opening = PLAIN_OPENING
    overwrite: bool = False


@dataclass(frozen=True)
class ConvertResult:
    """How one file, or a whole dataset, went.

    Attributes:
        source: what was read.
        path: what was written; None where it failed.
        error: why it failed, in words.
        exit_code: 0, or that of the error.
    """

    source: Path
    path: Path | None = None
    error: str | None = None
    exit_code: int = 0


def convert(
    source: Prediction | Path | str,
    into: Path | str,
    form: str,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> tuple[ConvertResult, ...]:
    """Write a scan or label map, each of a folder, or a dataset in another form.

    Args:
        source: a file, or a folder, whose own folders are kept; of a dataset the label maps are taken, or for "bids",
            "msd" and "nnunet" all of it. A prediction goes into one file.
        into: a file of the form's ending where there is one, else a folder.
        form: its name (see: neuraxis catalog forms).
        options: what else there is to say.
        progress: told how far it is.

    Returns:
        How each file went, in order; one that failed is among them with its error. A dataset is one result.

    Raises:
        UnknownName: there is no such form.
        MissingExtra: it needs a package that is not installed.
        DataError: nothing was found, or a dataset is refused.
        UsageError: a file exists already, or the form cannot be had.
    """
    if isinstance(source, Prediction):
        return (_one_prediction(source, Path(into), form, options or ConvertOptions()),)
    source, into, options, progress = Path(source), Path(into), options or ConvertOptions(), progress or Silent()
    opened = open_form(form) if form != BIDS and form not in DATASETS.names() else None
    dataset = as_dataset(source, options.opening) if opened is None or opened.takes != "files" else None
    if form in DATASETS.names() and (dataset is not None or form != BIDS):
        whole = dataset or open_place(Place(source, options.opening))
        return (_whole(whole, into, form, options.overwrite, progress),)
    scan = ImageFile(options.scan) if options.scan else None
    items = items_of_dataset(dataset) if dataset else items_of_files(source, options.opening, scan)
    if opened is None or opened.takes == "labels":
        items = _label_maps(items)
    if opened is None:
        places, write = _into_bids(items, into, options.overwrite)
    else:
        places, write = _into_files(items, into, opened, options.overwrite)
    _refuse(items, places, options)
    results = []
    with progress.stage("convert", len(items)) as stage:
        for item, place in zip(items, places, strict=True):
            results.append(_tried(item, place, write))
            stage.advance(note=item.name)
    return tuple(results)


def _label_maps(items: list[Item]) -> list[Item]:
    """Leave out what is known to be no label map: images among segmentations, and probabilities beside one."""
    names = {item.name for item in items}
    left = [item for item in items if not (item.name.endswith("_prob") and item.name.removesuffix("_prob") in names)]
    return [item for item in left if not item.is_image] or left


def _one_prediction(source: Prediction, into: Path, form: str, options: ConvertOptions) -> ConvertResult:
    check_choice((form,))
    if form == BIDS:
        raise UsageError("A single prediction is no BIDS dataset. Save it, and convert its file.")
    opened, scan = open_form(form), ImageFile(options.scan) if options.scan else None
    if not into.name.lower().endswith(opened.endings):
        raise UsageError(f"{into}: needed is a name that ends in {' or '.join(opened.endings)}.")
    opened.check(into.name, scan)
    opened.write(Export.of(any_format.stem(into), source, scan), into, options.overwrite)
    return ConvertResult(Path(source.segmentation.name), into)


def _whole(dataset: Dataset, into: Path, form: str, overwrite: bool, progress: Progress) -> ConvertResult:
    if into.resolve() == dataset.root.resolve() or into.resolve() in dataset.root.resolve().parents:
        raise UsageError(f"{into}: holds the dataset that is converted. Name another place with --into.")
    return ConvertResult(dataset.root, write_dataset(form, dataset, into, overwrite, progress))


def _into_files(items: Sequence[Item], into: Path, form: Form, overwrite: bool) -> tuple[list[Path], Write]:
    for item in items:
        form.check(item.name, item.scan)
    places = _places(items, into, form)

    def write(item: Item, place: Path) -> None:
        known = not item.is_image and (item.scan is not None or bool(item.known.names))
        is_label_map = form.takes == "labels" or (form.takes == "cases" and known)
        form.write(_label_map(item) if is_label_map else _image(item), place, overwrite)

    return places, write


def _places(items: Sequence[Item], into: Path, form: Form) -> list[Path]:
    """Return the file of each item, or its folder where the form makes folders."""
    makes_folders = form.ending == ""
    named = makes_folders or (into.name.lower().endswith(form.endings) and not into.is_dir())
    if named and len(items) == 1:
        return [into]
    if named and not makes_folders:
        raise UsageError(f"{into}: is one file, but {len(items)} were found. Name a folder with --into.")
    if not into.is_dir() and (into.exists() or any_format.ending_of(into) or into.suffix.lower() in NO_SCANS):
        needed = "" if makes_folders else f", or a name that ends in {' or '.join(form.endings)}"
        raise UsageError(f"{into}: needed is a folder{needed}.")
    return [into / f"{item.name}{form.ending}" for item in items]


def _into_bids(items: Sequence[Item], into: Path, overwrite: bool) -> tuple[list[Path], Write]:
    names = {name for item in items for name in item.known.names.values()}
    one = names.pop() if len(names) == 1 and all(item.known.names for item in items) else ""
    models = {str(item.known.about.get("model", "")) for item in items}
    scans = {item.name: item.scan or ImageFile(item.source) for item in items}
    derivatives = Derivatives(into, scans, models.pop() if len(models) == 1 else "", one)

    def write(item: Item, place: Path) -> None:
        derivatives.write(_label_map(item), overwrite)

    return [derivatives.place(item.name) for item in items], write


def _label_map(item: Item) -> Export:
    """Read a label map in whole numbers, and what they mean.

    Raises:
        DataError: it is refused, or looks like an image.
    """
    images = {"scan": item.scan} if item.scan else {}
    volume = (item.case or Case(Path(item.name).name, images, item.source)).read_label()
    if volume.array.max(initial=0) < 256:
        volume = volume.with_array(volume.array.astype(np.uint8))
    known = item.known
    held = set(np.unique(volume.array).tolist())
    unnamed = len(held - {0, *known.names})
    if unnamed > MOST_UNNAMED:
        raise DataError(
            f"{item.shown}: holds {unnamed} numbers that nothing names: is it an image, or a mask of greys? Name them "
            "with --label-table, or cut the mask at a threshold first."
        )
    structures = structures_from({*held, *known.names}, known.names, known.colours)
    return Export(item.name, volume, structures, item.scan, known.about)


def _image(item: Item) -> Export:
    """Read a scan as it lies; a sparse label map with the scan it was drawn on, on the scan's grid."""
    if item.scan is not None and not item.series:
        return Export(item.name, any_format.read_label(item.source, item.scan.path, item.scan.series), scan=item.scan)
    return Export(item.name, any_format.read(item.source, item.series), scan=ImageFile(item.source, series=item.series))


def _refuse(items: Sequence[Item], places: Sequence[Path], options: ConvertOptions) -> None:
    sources = {item.source.resolve() for item in items} | ({options.scan.resolve()} if options.scan else set())
    taken: dict[Path, Path] = {}
    for item, place in zip(items, places, strict=True):
        if place.resolve() in sources:
            raise UsageError(f"{place}: is what is converted and would be replaced. Name another place with --into.")
        if place in taken:
            raise UsageError(f"{item.shown} and {taken[place]} would both become {place}. Rename one of them.")
        taken[place] = item.shown
        refuse_existing(place, options.overwrite)


def _tried(item: Item, place: Path, write: Write) -> ConvertResult:
    """Convert one file; whatever goes wrong is its result."""
    shown = item.shown
    try:
        write(item, place)
        return ConvertResult(shown, place)
    except NeuraxisError as error:
        return ConvertResult(shown, error=str(error), exit_code=error.exit_code)
    except MemoryError:
        text = f"{shown}: memory ran out. Close other programs, or use a larger machine."
        return ConvertResult(shown, error=text, exit_code=ResourceError.exit_code)
    except Exception as error:
        log.exception("%s: failed by a fault of the program", shown)
        text = f"{shown}: failed by a fault of the program ({type(error).__name__}: {error}). Please report it."
        return ConvertResult(shown, error=text, exit_code=NeuraxisError.exit_code)
