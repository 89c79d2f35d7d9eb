"""What a layout is, and what the layouts with a `dataset.json` share: labels, channels, subjects, sites, notes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.opening import Opening
from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom import dicom

DESCRIPTION = "dataset.json"
LISTS = (".csv", ".tsv", ".json")
LIST_NAMES = tuple(f"cases{ending}" for ending in LISTS)

# The words with which a note says what is wrong; `check` knows them by these.
NO_LABEL = "has no label map"
NO_IMAGE = "has no image"
MISSING_FILE = "is missing"
NOT_LISTED = "is not listed in dataset.json"
ODD_PAIR = "is paired with a label map of another name"
ODD_NAME = "does not end in a channel's number"
MANY_FILES = "has more image files"
WRONG_COUNT = "does not agree with the number of cases"


@dataclass(frozen=True)
class Layout:
    """One way to lay a dataset out in folders.

    Attributes:
        looks_for: what marks it, in words, for the message when no layout recognises a folder.
        recognises: tells whether a folder is of this layout, without reading scans; it raises nothing.
        read: reads the folder, as the opening says where it says something; raises `DataError` where it breaks the
            layout's rules.
        last: whether it counts only where no other layout recognises a folder.
    """

    looks_for: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Opening], Dataset]
    last: bool = False


def description_keys(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's dataset.json, empty where there is none that can be read."""
    try:
        content = read_json(folder / DESCRIPTION)
    except (DataError, OSError):
        return {}
    return content if isinstance(content, dict) else {}


def read_description(folder: Path) -> dict[str, Any]:
    """Read dataset.json.

    Raises:
        DataError: it is missing, not JSON, or not an object.
    """
    content = read_json(folder / DESCRIPTION)
    if not isinstance(content, dict):
        raise DataError(f"{folder / DESCRIPTION}: needed is an object in braces, found {type(content).__name__}.")
    return content


def whole_number(value: Any, where: str) -> int:
    """Return a whole number from JSON, which may be written as text.

    Raises:
        DataError: it is none.
    """
    try:
        if not isinstance(value, bool) and float(value) == int(float(value)):
            return int(float(value))
    except (TypeError, ValueError, OverflowError):
        pass
    raise DataError(f"{where}: needed is a whole number, found {value!r}.")


def names_and_numbers(raw: Any, where: str) -> dict[str, Any]:
    """Return labels as name to value, whichever way round dataset.json has them.

    Raises:
        DataError: they are no object, or two numbers have one name.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise DataError(f'{where}: needed are labels, such as {{"background": 0, "lesion": 1}}; found {raw!r:.60}.')
    numbered = all(str(key).isdigit() for key in raw) and any(isinstance(value, str) for value in raw.values())
    if not numbered:
        return dict(raw)
    names: dict[str, Any] = {}
    for number, name in raw.items():
        name = str(name).strip()
        if name in names:
            raise DataError(f"{where}: the labels {names[name]} and {number} are both called '{name}'. Rename one.")
        names[name] = whole_number(number, where)
    return names


def build_labels(where: str, **parts: Any) -> Labels:
    """Build `Labels`; what pydantic refuses becomes a `DataError` in one line."""
    try:
        return Labels(**parts)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(f"{where}: {reason}. Mend the labels.") from error


def channel_names(raw: Any, where: str) -> tuple[str, ...]:
    """Return the channels in order; where two bear one name, their position is added.

    Raises:
        DataError: they are not numbered from 0 on.
    """
    entries = list(raw.items()) if isinstance(raw, Mapping) else list(enumerate(raw)) if isinstance(raw, list) else []
    numbered = {whole_number(number, where): str(name).strip() for number, name in entries}
    if not numbered or sorted(numbered) != list(range(len(numbered))):
        raise DataError(f'{where}: needed are channels numbered from 0, such as {{"0": "FLAIR"}}; found {raw!r:.60}.')
    names = [numbered[position] or "channel" for position in range(len(numbered))]
    return tuple(f"{name}_{place}" if names.count(name) > 1 else name for place, name in enumerate(names))


def modalities(channels: Iterable[str]) -> dict[str, str]:
    """Say for each channel what it is: "CT" where its name says so, else "MRI"."""
    return {name: "CT" if re.fullmatch(r"(nc|ce)?cta?(_\d+)?", name.casefold()) else "MRI" for name in channels}


def subject_and_session(case: str, description: Mapping[str, Any]) -> tuple[str, str]:
    """Find the patient and the time point of a case.

    A map `subject` in dataset.json goes first, then BIDS-like `sub-XX` and `ses-YY` in the case's name; else the case
    is a patient of its own.
    """
    entities = dict(re.findall(r"(?:^|[_/-])(sub|ses)-([A-Za-z0-9]+)", case))
    told = description.get("subject")
    subject = str(told[case]) if isinstance(told, Mapping) and case in told else ""
    if not subject:
        subject = f"sub-{entities['sub']}" if "sub" in entities else case
    return subject, entities.get("ses", "")


def site_of(case: str, description: Mapping[str, Any]) -> str:
    """Return the site that dataset.json gives: one name for all, or a map from case to name; else nothing."""
    told = description.get("site", "")
    return str(told.get(case, "")) if isinstance(told, Mapping) else str(told)


def scans_in(folder: Path) -> list[Path]:
    """Return the scans of a folder, sorted; hidden files (such as macOS's `._`) are none, nor pictures beside scans."""
    return any_format.scans_among(folder.iterdir()) if folder.is_dir() else []


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """Return so many paths at most, spread evenly over all.

    >>> spread([Path("a"), Path("b"), Path("c"), Path("d")], most=2)
    [PosixPath('a'), PosixPath('c')]
    """
    count = min(most, len(paths))
    return [paths[place * len(paths) // count] for place in range(count)]


def listed(names: Iterable[str], most: int = 8) -> str:
    """Return names in words; of many, the first.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def series_in(folder: Path) -> list[Path]:
    """Return what lies in a folder and is DICOM, sorted: folders of slices, and files."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and dicom.is_part(path))


def name_of(path: Path) -> str:
    """Return what a scan is called: its name without the ending of its format.

    >>> name_of(Path("p1.dcm")), name_of(Path("p1.nii.gz")), name_of(Path("1.2.840"))
    ('p1', 'p1', '1.2.840')
    """
    name = any_format.stem(path)
    return name[:-4] if name.lower().endswith(".dcm") else name


def has_description(folder: Path) -> bool:
    """Tell whether a folder says itself what it is, so that a look at its files need not."""
    keys = description_keys(folder).keys()
    described = {"channel_names", "labels"} <= keys or {"modality", "labels"} <= keys or "training" in keys
    return described or any((folder / name).is_file() for name in ("dataset_description.json", *LIST_NAMES))


def refuse_empty(dataset: Dataset) -> Dataset:
    """Return the dataset; raise `DataError` where no case has both images and a label map, and none is unlabelled."""
    if dataset.cases or dataset.unlabelled:
        return dataset
    notes = " ".join(f"{note}." for note in dataset.notes[:4])
    more = f" And {len(dataset.notes) - 4} more." if len(dataset.notes) > 4 else ""
    raise DataError(f"{dataset.root}: no case has both an image and a label map. {notes}{more} Add what is missing.")
