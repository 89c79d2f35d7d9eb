"""Which cases are meant by the scans on a command line: by channel name, by nnU-Net's numbers, or one by one.

`CHANNEL=FILE` pairs name one case. Files and folders are read by their names: `sub-01_0000.nii.gz` (nnU-Net's
channel numbers), `sub-01_FLAIR.nii.gz` or `flair.nii.gz` (channel names, in any case), else each file is a case of
its own. A folder of DICOM is a study: each channel takes the series whose description, folder, protocol or modality
says so, and localisers are set aside. What cannot be told apart is refused rather than guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.errors import DataError, suggest
from neuraxis.registry import need
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.any_format import stem
from neuraxis.volume.formats.dicom import dicom

if TYPE_CHECKING:
    from neuraxis.volume.formats.dicom.studies import Study

_NUMBERED = re.compile(r"(.+)_(\d{4})")
_SHOWN = 6
Told = tuple[str, str]


@dataclass(frozen=True)
class Order:
    """One case to segment: its files, or the reason why it cannot be segmented.

    Attributes:
        id: of the case.
        case: its files; beside a problem, those of the channels that were found.
        problem: why it cannot be segmented.
    """

    id: str
    case: Case | None = None
    problem: DataError | None = None


def find_cases(
    scans: Sequence[str | Path], channels: tuple[str, ...], optional: Container[str] = ()
) -> tuple[Order, ...]:
    """Tell which cases are meant.

    Args:
        scans: files, folders, or `CHANNEL=FILE` pairs of one case; a DICOM folder in a pair may name its series,
            `T1=FOLDER:SERIES`.
        channels: the model's channels, in order.
        optional: those of them that a case may lack, though not all.

    Returns:
        The cases by rising id, incomplete ones with their problem.

    Raises:
        DataError: nothing was found, or what was found cannot be told apart.
    """
    if not scans:
        raise DataError(f"No scan was given. {_needs(channels)}")
    pairs = [_as_pair(scan) for scan in scans]
    if any(pairs):
        if not all(pairs):
            odd = next(scan for scan, pair in zip(scans, pairs, strict=True) if not pair)
            raise DataError(f"{odd}: has no channel, other files have. Write CHANNEL=FILE for all. {_needs(channels)}")
        return (_order_of_pairs([pair for pair in pairs if pair], channels, optional),)
    orders: list[Order] = []
    files = [Path(scan) for scan in scans if not Path(scan).is_dir()]
    slices = [file for file in files if not any_format.is_scan(file) and dicom.is_part(file)]
    orders += [_order_of_dicom_file(file, channels) for file in slices]
    files = [file for file in files if file not in slices]
    if files:
        orders += _orders_of_files(files, channels)
    for folder in (Path(scan) for scan in scans if Path(scan).is_dir()):
        orders += _orders_of_folder(folder, channels)
    return _by_id([_accepted(order, channels, optional) for order in orders])


def every_series(path: Path) -> tuple[Order, ...]:
    """Make a case of one channel, `image`, of each DICOM series that is neither a localiser nor tiny.

    Args:
        path: of a folder, or of a file.

    Raises:
        DataError: it holds no DICOM image, or those of several patients or studies mixed in one folder.
        MissingExtra: pydicom is not installed.
    """
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import studies

    orders = [
        Order(id, Case(id, {"image": ImageFile(study.path, series=series.name)}))
        for study in studies.studies_in(path)
        for series in study.series
        for id in [study.name if len(study.series) == 1 else f"{study.name}_{series.name}"]
    ]
    return _by_id(orders)


def _accepted(order: Order, channels: tuple[str, ...], optional: Container[str]) -> Order:
    """Return the order of a case that lacks channels without its problem, where it may lack them."""
    if order.case is None or order.problem is None:
        return order
    lacks_some = any(channel not in order.case.images and channel not in optional for channel in channels)
    return Order(order.id, problem=order.problem) if lacks_some else Order(order.id, order.case)


def _orders_of_folder(folder: Path, channels: tuple[str, ...]) -> list[Order]:
    files = _scans_in(folder)
    if (folder / "dataset_description.json").is_file():  # BIDS: scans of other contrasts are meant for other models
        files = [file for file in files if _by_name(file, channels)] or files
    inner = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    if _is_study(folder, [*files, *(file for place in inner for file in _scans_in(place))]):
        return _orders_of_studies(folder, channels)
    if files:
        return _orders_of_files(files, channels, folder)
    dataset = [place.name for place in inner if place.name in ("imagesTr", "imagesTs", "labelsTr")]
    if dataset or (folder / "dataset.json").exists():
        raise DataError(f"{folder}: is a whole dataset. Name the folder with the scans, such as {folder / 'imagesTs'}.")
    found = {place: _orders_of_files(_scans_in(place), channels, place) for place in inner if _scans_in(place)}
    if not found:
        raise DataError(f"{folder}: holds no scan that is known, such as .nii.gz. {_needs(channels)}")
    ids = [order.id for orders in found.values() for order in orders]
    return [
        order if ids.count(order.id) == 1 else _renamed(order, f"{place.name}_{order.id}")
        for place, orders in found.items()
        for order in orders
    ]


def _is_study(folder: Path, scans: Sequence[Path]) -> bool:
    """Tell whether a folder is one of DICOM; pictures beside its slices are not what is meant."""
    return all(any_format.is_picture(scan) for scan in scans) and dicom.is_part(folder)


def _orders_of_studies(folder: Path, channels: tuple[str, ...]) -> list[Order]:
    """Make a case of each DICOM study in a folder."""
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import studies

    return [_order_of_study(study, channels) for study in studies.studies_in(folder)]


def _order_of_study(study: Study, channels: tuple[str, ...]) -> Order:
    from neuraxis.volume.formats.dicom import studies

    certain, others = studies.match(study, channels)
    images = {name: ImageFile(study.path, series=certain[name].name) for name in channels if name in certain}
    case = Case(study.name, images)
    if not others:
        return Order(study.name, case)
    several = next((name for name, could in others.items() if could), "")
    if several:
        told = f"'{several}' could be {' or '.join(one.describe() for one in others[several])}"
    else:
        told = f"no series says that it is {' or '.join(others)}; there are {studies.describe(study.found.series)}"
    pair = f"{several or next(iter(others))}=FOLDER:SERIES"
    problem = DataError(f"{study.shown}: {told}. Name the series of each channel, such as {pair}.")
    return Order(study.name, None if several else case, problem)


def _order_of_dicom_file(file: Path, channels: tuple[str, ...]) -> Order:
    """Take a multi-frame file as one case; a slice alone is refused, since its series is meant."""
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import studies

    (study,) = studies.studies_in(file)
    if all(len(series.frames) == 1 for series in study.found.series):
        text = f"{study.shown}: is one slice of a series. Name the folder that holds the series."
        return Order(study.name, problem=DataError(text))
    return _order_of_study(study, channels)


def _orders_of_files(files: list[Path], channels: tuple[str, ...], folder: Path | None = None) -> list[Order]:
    """Sort files into cases; `folder` is where they were found, None where each was named by the user."""
    if len(channels) == 1:
        return _one_channel(files, channels[0], folder)
    for tell in (_by_number, _by_name):
        told = [tell(file, channels) for file in files]
        if any(found and found[0] in channels for found in told):
            return _grouped(dict(zip(files, told, strict=True)), channels, folder)
    return [_many_volumes(file, channels) for file in files]


def _one_channel(files: list[Path], channel: str, folder: Path | None) -> list[Order]:
    stems = [stem(file) for file in files]
    numbers: dict[str, set[str]] = {}
    for match in map(_NUMBERED.fullmatch, stems):
        if match:
            numbers.setdefault(match[1], set()).add(match[2])
    clash = next((stem for stem, found in numbers.items() if folder and "0000" in found and len(found) > 1), None)
    if clash:
        found = ", ".join(f"{clash}_{number}" for number in sorted(numbers[clash]))
        raise DataError(
            f"{folder}: holds {found}: several channels of one case, or several cases? {_needs((channel,))} Name the "
            "files that are meant."
        )
    told = {file: _by_name(file, (channel,)) for file in files}
    if folder and any(told.values()) and not all(told.values()):
        return _grouped(told, (channel,), folder)
    if all(stem.endswith("_0000") for stem in stems):
        stems = [stem.removesuffix("_0000") for stem in stems]
    return [Order(stem, Case(stem, {channel: _image_file(file)})) for stem, file in zip(stems, files, strict=True)]


def _grouped(told: Mapping[Path, Told | None], channels: tuple[str, ...], folder: Path | None) -> list[Order]:
    """Join files whose names tell case and channel; others that bear a case's name are left aside (such as labels)."""
    groups: dict[str, list[tuple[str, Path]]] = {}
    for file, found in told.items():
        if found:
            id = found[1] or (folder or file.absolute().parent).name
            groups.setdefault(id, []).append((found[0], file))
    others = [file for file, found in told.items() if not found]
    lost = [file for file in others if not any(_belongs(file, id, folder) for id in groups)]
    text = f"its name ends with no channel. {_needs(channels)}"
    return [
        *(_complete(id, found, channels) for id, found in groups.items()),
        *(Order(stem(file), problem=DataError(f"{file}: {text}")) for file in lost),
    ]


def _belongs(file: Path, id: str, folder: Path | None) -> bool:
    rest = stem(file)[len(id) :]
    beside = folder is not None and id == folder.name
    return beside or (stem(file).startswith(id) and not rest[:1].isalnum())


def _complete(id: str, found: list[tuple[str, Path]], channels: tuple[str, ...]) -> Order:
    """Make a case of the files found for each channel, or the problem that they leave."""
    names = [name for name, _ in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        places = " and ".join(path.name for name, path in found if name == twice)
        text = f"{id}: channel '{twice}' was found twice, in {places}. Name one as {twice}=FILE."
        return Order(id, problem=DataError(text))
    files = dict(found)
    case = Case(id, {channel: _image_file(files[channel]) for channel in channels if channel in files})
    if set(names) == set(channels):
        return Order(id, case)
    problem = DataError(f"{id}: found {', '.join(names)}. {_needs(channels)}")
    return Order(id, case if set(names) < set(channels) else None, problem)


def _many_volumes(file: Path, channels: tuple[str, ...]) -> Order:
    """Take a 4D file as one case, its volumes as the channels in order."""
    id = stem(file)
    try:
        _, volumes = any_format.read_grid(file)
    except DataError as error:
        return Order(id, problem=error)
    if volumes != len(channels):
        return Order(id, problem=DataError(f"{file}: holds {volumes} volume(s). {_needs(channels)}"))
    return Order(id, Case(id, {channel: ImageFile(file, index) for index, channel in enumerate(channels)}))


def _order_of_pairs(pairs: list[tuple[str, Path]], channels: tuple[str, ...], optional: Container[str]) -> Order:
    known = {channel.casefold(): channel for channel in channels}
    files: dict[str, ImageFile] = {}
    for name, path in pairs:
        channel = known.get(name.casefold())
        if channel is None:
            raise DataError(f"{name}={_shown(path)}: the model has no such channel. {suggest(name, channels)}")
        if channel in files:
            why = f"channel '{channel}' was given twice. Several cases need several calls."
            raise DataError(f"{name}={_shown(path)}: {why}")
        files[channel] = _image(path, channel)
    lacking = [channel for channel in channels if channel not in files and channel not in optional]
    if lacking:
        raise DataError(f"{', '.join(lacking)} is lacking, given were {', '.join(files)}. {_needs(channels)}")
    images = {channel: files[channel] for channel in channels if channel in files}
    places = [file.path for file in images.values()]
    if any(any_format.is_scan(place) or not dicom.is_part(place) for place in places):
        id = _common_id({channel: file.path for channel, file in images.items()}, tuple(images))
    else:
        id = _id_of_folders(places)
    return Order(id, Case(id, images))


def _image(path: Path, channel: str) -> ImageFile:
    """Return the file of one channel; of a DICOM folder, `FOLDER:SERIES` or the series that says the channel."""
    folder, mark, series = str(path).rpartition(":")
    if mark and not path.exists() and dicom.is_part(Path(folder)):
        return ImageFile(Path(folder), series=series)
    if not path.is_dir() or not dicom.is_part(path):
        return _image_file(path)
    need("pydicom", "dicom")
    from neuraxis.volume.formats.dicom import studies

    found = studies.studies_in(path)
    certain = studies.match(found[0], (channel,))[0] if len(found) == 1 else {}
    return ImageFile(path, series=certain[channel].name if certain else "")


def _id_of_folders(places: list[Path]) -> str:
    """Name a case of DICOM folders by what they share, without identity."""
    from neuraxis.volume.formats.dicom import series, studies

    common = Path(os.path.commonpath([str(place.absolute()) for place in places]))
    return studies.name_of(common.name, series.find(places[0]))


def _shown(path: Path) -> str:
    return any_format.shown(path) if dicom.is_part(path) else str(path)


def _common_id(files: Mapping[str, Path], channels: tuple[str, ...]) -> str:
    """Return what the names of a case's files share before their channel, else the first file's name."""
    first = stem(files[channels[0]])
    if len(files) == 1:
        return first
    starts = {(told := _by_name(files[channel], (channel,))) and told[1] for channel in channels}
    return starts.pop() or first if len(starts) == 1 else first


def _by_number(file: Path, channels: tuple[str, ...]) -> Told | None:
    """Return the channel of nnU-Net's number at the end of a file's name, and the case before it."""
    match = _NUMBERED.fullmatch(stem(file))
    if not match:
        return None
    number = int(match[2])
    return (channels[number] if number < len(channels) else f"number {match[2]}"), match[1]


def _by_name(file: Path, channels: tuple[str, ...]) -> Told | None:
    """Return the channel that a file's name ends with and the case before it; the longest name wins."""
    found = []
    for channel in channels:
        words = re.findall(r"[a-z0-9]+", channel, re.IGNORECASE)
        pattern = r"(?:(.*)[^a-z0-9])?" + "[^a-z0-9]*".join(words)
        match = re.fullmatch(pattern, stem(file), re.IGNORECASE) if words else None
        if match:
            found.append((channel, match[1] or ""))
    return min(found, key=lambda pair: len(pair[1])) if found else None


def _as_pair(scan: str | Path) -> tuple[str, Path] | None:
    name, found, path = str(scan).partition("=")
    if not found or not name or "/" in name or Path(scan).exists():
        return None
    return name, Path(path)


def _by_id(orders: list[Order]) -> tuple[Order, ...]:
    ids = [order.id for order in orders]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice:
        raise DataError(f"Two of the scans would both be called '{twice}'. Segment them in separate calls.")
    return tuple(sorted(orders, key=lambda order: order.id))


def _renamed(order: Order, id: str) -> Order:
    return replace(order, id=id, case=Case(id, order.case.images) if order.case else None)


def _scans_in(folder: Path) -> list[Path]:
    """Return the scans of a folder; of a BIDS dataset those of every subject."""
    is_bids = (folder / "dataset_description.json").is_file()
    files = [file for subject in folder.glob("sub-*") for file in subject.rglob("*")] if is_bids else folder.iterdir()
    return sorted(file for file in files if file.is_file() and any_format.is_scan(file))


def _image_file(file: Path) -> ImageFile:
    """Return a file as one channel; of a BOLD series the mean is taken."""
    return ImageFile(file, "mean" if stem(file).casefold().endswith("_bold") else None)


def _needs(channels: tuple[str, ...]) -> str:
    """Say which channels a model needs and how files tell theirs."""
    names = ", ".join(channels[:_SHOWN]) + (", ..." if len(channels) > _SHOWN else "")
    if len(channels) == 1:
        return f"The model needs one scan a case: {names}."
    return (
        f"The model needs {len(channels)} channels: {names}. Write {channels[0]}=FILE {channels[1]}=FILE ..., or name "
        f"the files *_{channels[0]}.nii.gz (or *_0000.nii.gz) and so on."
    )
