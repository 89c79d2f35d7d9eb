"""Tables that name labels: ITK-SNAP, FreeSurfer and 3D Slicer, BIDS, and plain JSON or CSV.

0    0    0    0        0  0  0    "Clear Label"         ITK-SNAP: number, RGB, opacity, two switches, name
17   Left-Hippocampus   220 216 20 0                     FreeSurfer and 3D Slicer: number, name, RGB, opacity
index<TAB>name<TAB>abbreviation<TAB>color                BIDS, `*_dseg.tsv`; a CSV has commas in place of tabs
{"background": 0, "lesion": 1}                           JSON, either way round
"""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuraxis.dataset.coding import tidy_colour
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.errors import DataError

ENDINGS = (".txt", ".label", ".lut", ".ctbl", ".tsv", ".csv", ".json")
MAX_BYTES = 2**22
_SNAP = re.compile(r'\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s+[\d.]+\s+\d+\s+\d+\s+"(.*)"\s*')
_LUT = re.compile(r"\s*(\d+)\s+(\S.*?)\s+(\d+)\s+(\d+)\s+(\d+)(?:\s+\d+)?\s*")


@dataclass(frozen=True)
class LabelTable:
    """Names of numbers.

    Attributes:
        names: number to name.
        colours: number to "#rrggbb", for those that have one.
    """

    names: dict[int, str]
    colours: dict[int, str]

    @property
    def by_colour(self) -> dict[str, int]:
        """Colour to number; empty where two labels share one."""
        joined = {colour: number for number, colour in self.colours.items()}
        return joined if len(joined) == len(self.colours) else {}

    def labels(self, numbers: set[int], where: str) -> Labels:
        """Return labels of these numbers; those that the table lacks are called by their number.

        Raises:
            DataError: two of them have one name.
        """
        chosen = {number: self.names.get(number, f"label {number}") for number in sorted(numbers - {0})}
        names = shared.names_and_numbers({str(number): name for number, name in chosen.items()}, where)
        colours = {name: self.colours[number] for name, number in names.items() if number in self.colours}
        return shared.build_labels(where, names={"background": 0, **names}, colours=colours)


def read_table(path: Path) -> LabelTable:
    """Read a table of labels, whichever of the known kinds it is.

    Raises:
        DataError: it cannot be read, or is none.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: is too large for a table of labels. Name another file with --label-table.")
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name a table of labels.") from error
    table = _parse(path, text)
    if table is None or not set(table.names) - {0}:
        raise DataError(
            f"{path}: is no table of labels. Needed is one of ITK-SNAP, FreeSurfer or 3D Slicer, a TSV or CSV with "
            'index and name, or JSON such as {"background": 0, "lesion": 1}.'
        )
    return table


def find_table(*folders: Path) -> tuple[Path, LabelTable] | None:
    """Return the only table of ITK-SNAP, FreeSurfer, 3D Slicer or BIDS that lies in one of the folders."""
    found = []
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            known = path.suffix.lower() in ENDINGS[:4] or path.name.endswith("dseg.tsv")
            if known and path.is_file() and path.stat().st_size <= MAX_BYTES:
                table = _parse(path, path.read_text("utf-8", errors="replace"))
                found += [(path, table)] if table is not None and set(table.names) - {0} else []
    return found[0] if len(found) == 1 else None


def with_table(dataset: Dataset, path: Path) -> Dataset:
    """Return a dataset whose labels are called as a table says.

    Raises:
        DataError: it is no table, or two labels would have one name.
    """
    table, labels = read_table(path), dataset.labels
    called = {name: table.names.get(number, name) for name, number in labels.names.items() if number != 0}
    if len(set(called.values())) < len(called):
        raise DataError(f"{path}: gives two labels of {dataset.name} one name. Mend the table.")
    colours = {
        called[name]: table.colours[number]
        for name, number in labels.names.items()
        if number in table.colours and number != 0
    }
    names = {called.get(name, name): number for name, number in labels.names.items()}
    changed = labels.model_copy(update={"names": names, "colours": {**labels.colours, **colours}})
    return replace(dataset, labels=changed)


def _parse(path: Path, text: str) -> LabelTable | None:
    if path.suffix.lower() == ".json":
        return _parse_json(text)
    if path.suffix.lower() in (".tsv", ".csv"):
        return _parse_columns(text, "\t" if path.suffix.lower() == ".tsv" else ",")
    names, colours = {}, {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        snap, lut = _SNAP.fullmatch(line), _LUT.fullmatch(line)
        if snap:
            number, red, green, blue, name = snap.groups()
        elif lut:
            number, name, red, green, blue = lut.groups()
        else:
            return None
        if max(int(red), int(green), int(blue)) > 255 or int(number) >= 2**15:
            return None
        names[int(number)] = name.strip() or f"label {number}"
        colours[int(number)] = f"#{int(red):02x}{int(green):02x}{int(blue):02x}"
    return LabelTable(names, colours) if names else None


def _parse_json(text: str) -> LabelTable | None:
    try:
        content: Any = json.loads(text)
        names = shared.names_and_numbers(content.get("labels", content), "labels")
        return LabelTable({shared.whole_number(number, name): name for name, number in names.items()}, {})
    except (ValueError, RecursionError, AttributeError, DataError):
        return None


def _parse_columns(text: str, separator: str) -> LabelTable | None:
    names: dict[int, str] = {}
    colours: dict[int, str] = {}
    try:
        rows = list(csv.DictReader(text.splitlines(), delimiter=separator))
        for row in rows:
            cells = {str(key).strip().casefold(): str(value or "").strip() for key, value in row.items()}
            number = int(float(cells.get("index") or cells.get("value") or cells["number"]))
            names[number] = cells["name"]
            colour = cells.get("color") or cells.get("colour") or ""
            colours |= {number: tidy_colour(colour)} if re.fullmatch(r"#?[0-9a-fA-F]{6}", colour) else {}
    except (ValueError, KeyError, OverflowError, csv.Error):
        return None
    return LabelTable(names, colours) if names else None
