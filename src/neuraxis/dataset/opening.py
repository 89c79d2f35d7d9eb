"""Where a dataset lies, and how its folder is to be understood where it does not say so itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from neuraxis.errors import DataError, UsageError


@dataclass(frozen=True)
class Opening:
    """How a folder is to be understood.

    Attributes:
        layout: name of the layout, or "auto" to have it recognised.
        subject: regular expression whose one group finds the patient in a case's name; empty: as the layout does.
        label_table: file with the names of the labels; None: as the layout does.
        volume: of images that hold several where one is needed: the number of one, from 0 on, or the "mean" of all;
            None: the mean of BIDS series, while others are refused.

    Raises:
        UsageError: the expression is none, or has not one group.
    """

    layout: str = "auto"
    subject: str = ""
    label_table: Path | None = None
    volume: int | Literal["mean"] | None = None

    def __post_init__(self) -> None:
        if not self.subject:
            return
        try:
            groups = re.compile(self.subject).groups
        except re.error as error:
            raise UsageError(f"--subject {self.subject}: is no regular expression ({error}).") from error
        if groups != 1:
            raise UsageError(
                f"--subject {self.subject}: has {groups} groups. Needed is one, in brackets, around what names the "
                r"patient, such as '(sub-\d+)'."
            )

    def subject_of(self, case: str) -> str:
        r"""Return the patient that a case's name tells.

        Raises:
            DataError: the expression does not match.

        >>> Opening(subject=r"^1(\d\d)").subject_of("106014")
        '06'
        """
        match = re.search(self.subject, case)
        if match is None or not match[1]:
            raise DataError(
                f"{case}: --subject {self.subject} finds no patient in this name. Needed is an expression that "
                "matches every case."
            )
        return match[1]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        table = str(self.label_table.resolve()) if self.label_table else None
        return {"layout": self.layout, "subject": self.subject, "label_table": table, "volume": self.volume}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Opening:
        """Build it from what `to_dict` returned."""
        table = content["label_table"]
        return cls(content["layout"], content["subject"], Path(table) if table else None, content["volume"])


PLAIN_OPENING = Opening()


@dataclass(frozen=True)
class Place:
    """A dataset's folder, or the file that lists its cases, and how it is understood."""

    path: Path
    opening: Opening = PLAIN_OPENING


def places_of(datasets: Sequence[Place | Path | str]) -> tuple[Place, ...]:
    """Return where datasets lie, with absolute paths."""
    places = [one if isinstance(one, Place) else Place(Path(one)) for one in datasets]
    return tuple(Place(place.path.resolve(), place.opening) for place in places)


def places_to_dict(places: Sequence[Place]) -> dict[str, Any]:
    """Return places for JSON: their paths, and how they are understood where any says so."""
    plain = all(place.opening == PLAIN_OPENING for place in places)
    return {
        "datasets": [str(place.path) for place in places],
        "openings": None if plain else [place.opening.to_dict() for place in places],
    }


def places_from_dict(content: Mapping[str, Any]) -> tuple[Place, ...]:
    """Build places from a dict that holds what `places_to_dict` returned."""
    paths = [Path(path) for path in content["datasets"]]
    openings = content.get("openings") or [PLAIN_OPENING.to_dict()] * len(paths)
    return tuple(Place(path, Opening.from_dict(told)) for path, told in zip(paths, openings, strict=True))
