"""A lab's scans: cases, channels, labels, and the splits that the data bring along."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from neuraxis.dataset.case import Case
from neuraxis.dataset.coding import PLAIN
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.opening import PLAIN_OPENING, Opening
from neuraxis.dataset.splits import Fold
from neuraxis.errors import DataError
from neuraxis.files import sha256
from neuraxis.workers import map_in_order

log = logging.getLogger("neuraxis")


@dataclass(frozen=True)
class Dataset:
    """Labelled cases that share channels and labels, and unlabelled ones beside them.

    Attributes:
        name: short name; the site of its cases unless the data say otherwise.
        root: its folder.
        layout: name of the layout it was recognised as.
        channels: channel names in order, such as ("FLAIR", "T1").
        modality: channel name to what it is ("MRI", "CT", ...), which chooses the normalisation.
        labels: what the numbers of the label maps mean.
        cases: labelled cases, sorted by id.
        unlabelled: cases without a label map (test images).
        own_folds: splits that the data bring; empty where they bring none.
        notes: what the reader of the layout noticed, in words (such as missing pairs).
        opening: how its folder was understood.
    """

    name: str
    root: Path
    layout: str
    channels: tuple[str, ...]
    modality: dict[str, str]
    labels: Labels
    cases: tuple[Case, ...]
    unlabelled: tuple[Case, ...] = ()
    own_folds: tuple[Fold, ...] = ()
    notes: tuple[str, ...] = ()
    opening: Opening = PLAIN_OPENING

    def case(self, id: str) -> Case:
        """Return the case of that id.

        Raises:
            KeyError: there is none.
        """
        for case in self.cases:
            if case.id == id:
                return case
        raise KeyError(id)

    def only(self, ids: Iterable[str]) -> Dataset:
        """Return the dataset with these labelled cases alone."""
        wanted = set(ids)
        return replace(self, cases=tuple(case for case in self.cases if case.id in wanted))

    def content_hashes(self) -> dict[str, str]:
        """Return for each labelled case a hash of its files' bytes and what they mean, computed by threads."""
        hashes = map_in_order(_hash_case, self.cases)
        return {case.id: value for case, value in zip(self.cases, hashes, strict=True)}

    def content_hash(self) -> str:
        """Return one hash of all labelled cases: it changes when any file does, wherever the files lie."""
        lines = "".join(f"{id} {value}\n" for id, value in sorted(self.content_hashes().items()))
        return hashlib.sha256(lines.encode()).hexdigest()


def _hash_case(case: Case) -> str:
    files = [*(image.path for image in case.images.values()), *case.label_files]
    digest = hashlib.sha256(b"" if case.coding == PLAIN else case.coding.model_dump_json().encode())
    for path in files:
        try:
            for file in sorted(path.iterdir()) if path.is_dir() else [path]:
                status = file.stat()
                if file.is_file():
                    digest.update(_hash_file(file, status.st_size, status.st_mtime_ns).encode())
        except OSError as error:
            raise DataError(f"{case.id}: {path} cannot be read ({error.strerror}). Bring it back.") from error
    return digest.hexdigest()


@lru_cache(maxsize=100_000)
def _hash_file(path: Path, size: int, modified: int) -> str:
    return sha256(path)


def _joined_folds(parts: Sequence[Dataset]) -> tuple[Fold, ...]:
    """Join the splits that every dataset brings, fold by fold; none where they do not all bring as many."""
    counts = {len(part.own_folds) for part in parts}
    if len(counts) > 1:
        log.warning("The datasets bring different numbers of splits: none is used, patients are dealt anew.")
        return ()

    def ids(number: int, side: str) -> tuple[str, ...]:
        return tuple(f"{part.name}_{id}" for part in parts for id in getattr(part.own_folds[number], side))

    return tuple(Fold(ids(number, "training"), ids(number, "validation")) for number in range(counts.pop()))


def merge(datasets: Iterable[Dataset]) -> Dataset:
    """Join datasets of the same channels and labels; each one's name becomes its cases' site and prefix of their ids.

    Raises:
        DataError: channels or labels differ, or two have one name.
    """
    parts = list(datasets)
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    if len({part.name for part in parts}) < len(parts):
        raise DataError(f"Two datasets are called '{first.name}'. Rename one of the folders.")
    for part in parts[1:]:
        if part.channels != first.channels or not part.labels.agrees(first.labels):
            raise DataError(
                f"{part.root}: has channels {', '.join(part.channels)} and labels {part.labels.names}; {first.root} "
                f"has {', '.join(first.channels)} and {first.labels.names}. Needed are the same; fit them apart or "
                "mend one."
            )

    def renamed(part: Dataset, case: Case) -> Case:
        subject = f"{part.name}/{case.subject or case.id}"
        return replace(case, id=f"{part.name}_{case.id}", subject=subject, site=case.site or part.name)

    cases = [renamed(part, case) for part in parts for case in part.cases]
    unlabelled = [renamed(part, case) for part in parts for case in part.unlabelled]
    return replace(
        first,
        name="+".join(part.name for part in parts),
        cases=tuple(sorted(cases, key=lambda case: case.id)),
        unlabelled=tuple(unlabelled),
        own_folds=_joined_folds(parts),
        notes=tuple(note for part in parts for note in part.notes),
    )
