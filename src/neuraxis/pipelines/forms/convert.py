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
from neuraxis.dataset.structures import structures_from
from neuraxis.errors import DataError, NeuraxisError, ResourceError, UsageError
from neuraxis.files import refuse_existing
from neuraxis.pipelines.forms.bids.derivatives import Derivatives
from neuraxis.pipelines.forms.catalog import BIDS, open_form
from neuraxis.pipelines.forms.form import Export, Form
from neuraxis.pipelines.forms.known import Known, known_of
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import any_format

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConvertOptions:
    """What `convert` can be told.

    Attributes:
        scan: that a label map was drawn on or found in, such as the DICOM folder for a DICOM SEG; with it SOURCE is
            taken for a label map.
        overwrite: whether files that exist already are replaced.
    """

    scan: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True)
class ConvertResult:
    """How one file went.

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


@dataclass(frozen=True)
class _Item:
    """One file to convert.

    Attributes:
        source: where it lies.
        name: of what is written, without its ending; with folders where SOURCE has some.
        known: what is known of it, if it is a label map.
    """

    source: Path
    name: str
    known: Known


def convert(
    source: Path | str,
    into: Path | str,
    form: str,
    options: ConvertOptions | None = None,
    progress: Progress | None = None,
) -> tuple[ConvertResult, ...]:
    """Write a scan or label map, or each of a folder, in another form.

    Args:
        source: a file, or a folder; its folders are kept.
        into: a file of the form's ending where there is one, else a folder.
        form: its name (see: neuraxis catalog forms).
        options: what else there is to say.
        progress: told how far it is.

    Returns:
        How each file went, in order; one that failed is among them with its error.

    Raises:
        UnknownName: there is no such form.
        MissingExtra: it needs a package that is not installed.
        DataError: nothing was found.
        UsageError: a file exists already, or the form cannot be had.
    """
    source, into, options = Path(source), Path(into), options or ConvertOptions()
    items = _items(source)
    scan = ImageFile(options.scan) if options.scan else None
    if form == BIDS:
        places, write = _into_bids(items, into, scan, options.overwrite)
    else:
        places, write = _into_files(items, into, open_form(form), scan, options.overwrite)
    _refuse(items, places, options)
    results = []
    with (progress or Silent()).stage("convert", len(items)) as stage:
        for item, place in zip(items, places, strict=True):
            results.append(_tried(item, place, write))
            stage.advance(note=item.name)
    return tuple(results)


Write = Callable[[_Item, Path], None]


def _into_files(
    items: Sequence[_Item], into: Path, form: Form, scan: ImageFile | None, overwrite: bool
) -> tuple[list[Path], Write]:
    for item in items:
        form.check(item.name, scan)
    if into.name.lower().endswith(form.endings) and not into.is_dir():
        if len(items) > 1:
            raise UsageError(f"{into}: is one file, but {len(items)} were found. Name a folder with --into.")
        places = [into]
    elif any_format.ending_of(into) or (into.exists() and not into.is_dir()):
        raise UsageError(f"{into}: needed is a folder, or a name that ends in {' or '.join(form.endings)}.")
    else:
        places = [into / f"{item.name}{form.ending}" for item in items]

    def write(item: _Item, place: Path) -> None:
        is_label_map = form.labels_only or scan is not None or bool(item.known.names)
        form.write(_label_map(item, scan) if is_label_map else _image(item), place, overwrite)

    return places, write


def _into_bids(items: Sequence[_Item], into: Path, scan: ImageFile | None, overwrite: bool) -> tuple[list[Path], Write]:
    names = {name for item in items for name in item.known.names.values()}
    one = names.pop() if len(names) == 1 and all(item.known.names for item in items) else ""
    models = {str(item.known.about.get("model", "")) for item in items}
    scans = {item.name: scan or ImageFile(item.source) for item in items}
    derivatives = Derivatives(into, scans, models.pop() if len(models) == 1 else "", one)

    def write(item: _Item, place: Path) -> None:
        derivatives.write(_label_map(item, scan), overwrite)

    return [derivatives.place(item.name) for item in items], write


def _label_map(item: _Item, scan: ImageFile | None) -> Export:
    """Read a label map in whole numbers, and what they mean."""
    volume = Case(item.source.name, {}, item.source).read_label()
    if volume.array.max(initial=0) < 256:
        volume = volume.with_array(volume.array.astype(np.uint8))
    known = item.known
    numbers = {*np.unique(volume.array).tolist(), *known.names}
    structures = structures_from(numbers, known.names, known.colours)
    return Export(item.name, volume, structures, scan, known.about)


def _image(item: _Item) -> Export:
    return Export(item.name, any_format.read(item.source), scan=ImageFile(item.source))


def _items(source: Path) -> list[_Item]:
    """Return what there is to convert: a file, or the scans of a folder and of those inside it."""
    if not source.is_dir():
        if not source.exists():
            raise DataError(f"{source}: no such file or folder. Check the name.")
        return [_Item(source, any_format.stem(source), known_of(source))]
    inside = (path for path in sorted(source.rglob("*")) if path.is_file() and any_format.is_scan(path))
    found = [path for path in inside if not any(part.startswith(".") for part in path.relative_to(source).parts)]
    if not found:
        endings = ", ".join(any_format.known_endings())
        raise DataError(f"{source}: holds no scan that is known ({endings}). Name a folder of scans.")
    return [_Item(path, _relative_name(path, source), known_of(path)) for path in found]


def _relative_name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_name(any_format.stem(path)).as_posix()


def _refuse(items: Sequence[_Item], places: Sequence[Path], options: ConvertOptions) -> None:
    sources = {item.source.resolve() for item in items} | ({options.scan.resolve()} if options.scan else set())
    taken: dict[Path, Path] = {}
    for item, place in zip(items, places, strict=True):
        if place.resolve() in sources:
            raise UsageError(f"{place}: is what is converted and would be replaced. Name another place with --into.")
        if place in taken:
            raise UsageError(f"{item.source} and {taken[place]} would both become {place}. Rename one of them.")
        taken[place] = item.source
        refuse_existing(place, options.overwrite)


def _tried(item: _Item, place: Path, write: Write) -> ConvertResult:
    """Convert one file; whatever goes wrong is its result."""
    try:
        write(item, place)
        return ConvertResult(item.source, place)
    except NeuraxisError as error:
        return ConvertResult(item.source, error=str(error), exit_code=error.exit_code)
    except MemoryError:
        text = f"{item.source}: memory ran out. Close other programs, or use a larger machine."
        return ConvertResult(item.source, error=text, exit_code=ResourceError.exit_code)
    except Exception as error:
        log.exception("%s: failed by a fault of the program", item.source)
        text = f"{item.source}: failed by a fault of the program ({type(error).__name__}: {error}). Please report it."
        return ConvertResult(item.source, error=text, exit_code=NeuraxisError.exit_code)
