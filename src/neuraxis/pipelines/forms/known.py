"""What is known of a label map by what lies beside it: the names of its numbers, and what made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.volume.formats import any_format


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


def known_of(label_map: Path) -> Known:
    """Return what the sidecar that `segment` wrote says, or else the dataset that the file lies in.

    A BIDS sidecar of ours is one as well; of other JSON nothing is taken.
    """
    sidecar = _sidecar(label_map.with_name(f"{any_format.stem(label_map)}.json"))
    labels = _labels(sidecar.get("labels"))
    if labels is None:
        labels, sidecar = _labels_of_dataset(label_map.absolute().parent), {}
    names = {number: name for name, number in labels.names.items() if number != 0} if labels else {}
    return Known(names, {}, sidecar)


def _sidecar(path: Path) -> dict[str, Any]:
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
        return open_dataset(folder.parent).labels
    except DataError:
        return None
