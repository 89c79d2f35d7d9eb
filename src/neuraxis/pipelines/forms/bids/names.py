"""Names after BIDS: read from a scan's own name where it has one, made up safely where it has none.

>>> name = parse(Path("raw/sub-01/anat/sub-01_ses-2_acq-iso_FLAIR.nii.gz"))
>>> name.datatype, name.suffix, name.stem(desc="ms")
('anat', 'FLAIR', 'sub-01_ses-2_acq-iso_desc-ms')
>>> made_up("Patient 7, left").stem()
'sub-Patient7left'
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.volume.formats.any_format import stem

DESCRIPTION = "dataset_description.json"
# What a derivative may be named with, in BIDS's order. `desc` and `label` are the derivative's own.
_ENTITIES = {
    "anat": ("sub", "ses", "task", "acq", "ce", "rec", "run", "echo", "part", "space", "chunk", "res"),
    "func": ("sub", "ses", "task", "acq", "ce", "rec", "dir", "run", "echo", "part", "space", "chunk", "res"),
    "dwi": ("sub", "ses", "acq", "rec", "dir", "run", "part", "space", "chunk", "res"),
}
_FUNCTIONAL = {"bold", "cbv", "sbref", "phase"}
_ENTITY = re.compile(r"([a-z]+)-([0-9A-Za-z+]+)")
_MOST_PARENTS = 12


@dataclass(frozen=True)
class BidsName:
    """What BIDS says of a file by its name.

    Attributes:
        entities: short name to value, `sub` first.
        datatype: the folder below subject and session: anat, func or dwi.
        suffix: what kind of scan it is, such as "FLAIR"; empty where that is not known.
        source: the file's place in its dataset, with slashes; empty where it lies in none.
        root: the dataset that it lies in.
    """

    entities: Mapping[str, str]
    datatype: str = "anat"
    suffix: str = ""
    source: str = ""
    root: Path | None = None

    def folder(self) -> Path:
        """Return the folder for files of this name, relative to the dataset's."""
        session = [f"ses-{self.entities['ses']}"] if "ses" in self.entities else []
        return Path(f"sub-{self.entities['sub']}", *session, self.datatype)

    def stem(self, **more: str) -> str:
        """Return the name without suffix and ending; `more` are entities at its end, left out where empty."""
        kept = [(key, self.entities[key]) for key in _ENTITIES[self.datatype] if key in self.entities]
        return "_".join(f"{key}-{value}" for key, value in [*kept, *more.items()] if value)


def parse(path: Path) -> BidsName | None:
    """Return what a path's name says after BIDS; None where it is no such name."""
    *parts, suffix = stem(path).split("_")
    pairs = [_ENTITY.fullmatch(part) for part in parts]
    entities = {pair[1]: pair[2] for pair in pairs if pair}
    if not parts or not all(pairs) or next(iter(entities)) != "sub" or not suffix.isalnum():
        return None
    datatype = path.parent.name if path.parent.name in _ENTITIES else ""
    datatype = datatype or ("func" if suffix in _FUNCTIONAL else "dwi" if suffix == "dwi" else "anat")
    if datatype == "func" and "task" not in entities:
        datatype = "anat"
    root = _root(path)
    source = path.absolute().relative_to(root).as_posix() if root else ""
    return BidsName(entities, datatype, suffix, source, root)


def made_up(id: str, taken: bool = False) -> BidsName:
    """Return a name for a case that has none after BIDS: its letters and digits.

    Args:
        id: of the case.
        taken: whether another case has the same letters and digits; then a few more tell them apart.
    """
    plain = letters(id)
    return BidsName({"sub": f"{plain}x{short_hash(id)}" if taken or not plain else plain})


def letters(text: str) -> str:
    """Return the letters and digits of a text, without accents and anything else that BIDS does not take."""
    return re.sub(r"[^0-9A-Za-z]", "", text)


def short_hash(text: str) -> str:
    """Return six letters and digits that differ between texts."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def read_description(root: Path) -> dict[str, object]:
    """Return a dataset's description; empty where it cannot be read."""
    try:
        content = read_json(root / DESCRIPTION)
    except DataError:
        return {}
    return content if isinstance(content, dict) else {}


def _root(path: Path) -> Path | None:
    """Return the nearest folder above a file that describes itself as a dataset."""
    parents = path.absolute().parents[:_MOST_PARENTS]
    return next((folder for folder in parents if (folder / DESCRIPTION).is_file()), None)
