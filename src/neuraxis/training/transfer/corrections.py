"""`fit --add`: label maps that someone corrected, and cases that came since, go into a dataset whose folds stay.

Who is held out stays as it was, with the label maps that were there: so a model that learned from the data before has
seen none of them, and scores before and after can be compared. A correction of a held-out case, and a new case of a
held-out patient, are left out of that fold; all others train.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from neuraxis.bundle.card import Card, CorrectedLabel, Corrections
from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.layout import scans_in
from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.splits import Fold, hash_folds
from neuraxis.errors import DataError, suggest
from neuraxis.files import read_json, sha256
from neuraxis.recipe.branches.labels import AS_STORED, LabelRecipe, relabel
from neuraxis.volume.formats.any_format import stem


@dataclass(frozen=True)
class Correction:
    """One label map that was put in.

    Attributes:
        case: of the dataset.
        kind: "replaced" the label map that the case had, or "added" a case that had none.
        file: where it lies.
        sha256: of that file.
        replaces: hash of the label map before; empty where there was none.
        written: when the file was written last, ISO 8601, UTC.
        model: that it was made with at first, where a sidecar of `segment` beside it says so.
        model_hash: of that model.
    """

    case: str
    kind: Literal["replaced", "added"]
    file: str
    sha256: str
    replaces: str = ""
    written: str = ""
    model: str = ""
    model_hash: str = ""


@dataclass(frozen=True)
class Corrected:
    """A dataset with corrections.

    Attributes:
        before: as it was.
        dataset: as it is.
        corrections: by rising case.
    """

    before: Dataset
    dataset: Dataset
    corrections: tuple[Correction, ...]

    def extend(self, folds: Iterable[Fold]) -> tuple[Fold, ...]:
        """Return folds of the data before with the cases that were added."""
        known = {case.id for case in self.before.cases}
        added = [case for case in self.dataset.cases if case.id not in known]
        return tuple(self._extended(fold, added) for fold in folds)

    def on_card(self, card: Card, folds: Sequence[Fold], number: int) -> Card:
        """Return a card that says what was corrected, without names of cases and files.

        Args:
            card: of the bundle that will come.
            folds: what `extend` returned.
            number: of the one that is held out.
        """
        known = {case.id for case in self.before.cases}
        inner = [
            Fold(*(tuple(id for id in side if id in known) for side in (fold.training, fold.validation)))
            for fold in folds
        ]
        used = self._used(folds[number])
        labels = tuple(
            CorrectedLabel(sha256=one.sha256, replaces=one.replaces, written=one.written, model_hash=one.model_hash)
            for one in used
        )
        part = Corrections(data_hash=self.before.content_hash(), split_hash=hash_folds(inner), labels=labels)
        replaced = sum(one.kind == "replaced" for one in used)
        notes = [f"Label maps corrected: {replaced}; cases added: {len(used) - replaced} (see corrections)."]
        if spare := len(self.corrections) - len(used):
            notes.append(f"Corrections and cases of held-out patients, left out: {spare}.")
        data = card.training_data
        told = data.model_copy(update={"notes": (*data.notes, *notes)})
        return card.model_copy(update={"training_data": told, "corrections": part})

    def refuse_unused(self, fold: Fold) -> None:
        """Refuse corrections of which none trains.

        Raises:
            DataError: all are of patients who are held out.
        """
        if not self._used(fold):
            raise DataError(
                f"--add: all {len(self.corrections)} corrected cases are of held-out patients: nothing would be "
                "learned from them. Hold out another fold with --fold, or correct others."
            )

    def facts(self, fold: Fold) -> list[dict[str, Any]]:
        """Return each correction, and whether it trains or is left out, JSON-able."""
        used = {one.case for one in self._used(fold)}
        return [{**asdict(one), "use": "training" if one.case in used else "left out"} for one in self.corrections]

    def _used(self, fold: Fold) -> list[Correction]:
        training = set(fold.training)
        return [one for one in self.corrections if one.case in training]

    def _extended(self, fold: Fold, added: Sequence[Case]) -> Fold:
        held_out = {_patient(self.before.case(id)) for id in fold.validation}
        training = [case.id for case in added if _patient(case) not in held_out]
        return Fold((*fold.training, *training), fold.validation)


def with_held_out(dataset: Dataset, before: Dataset, fold: Fold) -> Dataset:
    """Return a corrected dataset in which held-out cases are as they were before, and cases of no side are left out."""
    training, held_out = set(fold.training), set(fold.validation)
    cases = [case for case in dataset.cases if case.id in training]
    cases += [case for case in before.cases if case.id in held_out]
    return replace(dataset, cases=tuple(sorted(cases, key=lambda case: case.id)))


def correct(dataset: Dataset, folders: Sequence[Path], labels: LabelRecipe = AS_STORED) -> Corrected:
    """Put corrected label maps and added cases into a dataset; later folders go over earlier ones.

    Args:
        dataset: the labelled cases, and unlabelled ones that may get a label map.
        folders: each a folder of label maps that are named as the cases are, or a dataset of its own.
        labels: what the label maps of such datasets become; those that are named as the cases are hold the labels
            of `dataset`.

    Raises:
        DataError: a folder holds nothing of use, a label map belongs to no case, a dataset has other channels or
            labels, or its cases bear images that another case has.
    """
    cases, found = {case.id: case for case in dataset.cases}, {}
    for folder in folders:
        if scans_in(folder):
            named = _label_maps(dataset, cases, folder)
        else:
            named = _whole_cases(dataset, cases, _opened(folder, dataset, labels))
        for case in named:
            kept = dataset.case(case.id) if case.id in {one.id for one in dataset.cases} else None
            found[case.id] = _described(case, kept)
            cases[case.id] = case
    changed = [one for one in found.values() if one.sha256 != one.replaces]
    if not changed:
        raise DataError(
            f"--add {folders[0]}: every label map in it is the one that the case has already. Leave it out."
        )
    every = tuple(case for _, case in sorted(cases.items()))
    given = {case.id for case in every}
    unlabelled = tuple(case for case in dataset.unlabelled if case.id not in given)
    corrected = replace(dataset, cases=every, unlabelled=unlabelled)
    return Corrected(dataset, corrected, tuple(sorted(changed, key=lambda one: one.case)))


def _label_maps(dataset: Dataset, cases: Mapping[str, Case], folder: Path) -> list[Case]:
    known = {**{case.id: case for case in dataset.unlabelled}, **cases}
    named = []
    for file in scans_in(folder):
        if stem(file).removesuffix("_prob") in known and stem(file) not in known:
            continue  # probabilities that `segment` wrote beside a segmentation
        if stem(file) not in known:
            raise DataError(
                f"{file}: {dataset.name} has no case '{stem(file)}'. {suggest(stem(file), list(known)[:20])} Needed is "
                "a label map named as its case is, or a whole dataset."
            )
        named.append(known[stem(file)].relabelled(file.absolute()))
    return named


def _opened(folder: Path, dataset: Dataset, labels: LabelRecipe) -> Dataset:
    added = open_dataset(folder)
    return added if added.labels.agrees(dataset.labels) else relabel(added, labels)


def _whole_cases(dataset: Dataset, cases: Mapping[str, Case], added: Dataset) -> list[Case]:
    folder = added.root
    if added.channels != dataset.channels or not added.labels.agrees(dataset.labels):
        raise DataError(
            f"--add {folder}: has channels {', '.join(added.channels)} and labels {added.labels.names}; {dataset.name} "
            f"has {', '.join(dataset.channels)} and {dataset.labels.names}. Needed are the same."
        )
    images = {_images_hash(case): case.id for case in dataset.cases}
    for case in added.cases:
        owner = images.get(_images_hash(case))
        if owner is None and case.id in images.values():
            raise DataError(
                f"--add {folder}: its case '{case.id}' has other images than that of {dataset.name}. Rename it."
            )
        if owner is not None and owner != case.id:
            raise DataError(
                f"--add {folder}: its case '{case.id}' has the images of '{owner}' in {dataset.name}. Name it "
                f"'{owner}', so that both stay on one side of the splits."
            )
    return [
        replace(cases[case.id], label=case.label, more_labels=case.more_labels, coding=case.coding)
        if case.id in cases
        else replace(case, site=case.site or added.name)
        for case in added.cases
    ]


def _described(case: Case, kept: Case | None) -> Correction:
    if case.label is None:
        raise DataError(f"{case.id}: has no label map. Add one or leave the case out.")
    beside = case.label.with_name(f"{stem(case.label)}.json")
    told = read_json(beside) if beside.is_file() else {}
    told = told if isinstance(told, dict) else {}
    written = datetime.fromtimestamp(case.label.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return Correction(
        case=case.id,
        kind="added" if kept is None else "replaced",
        file=str(case.label),
        sha256=sha256(case.label),
        replaces=sha256(kept.label) if kept and kept.label else "",
        written=written,
        model=str(told.get("model", ""))[:200],
        model_hash=str(told.get("model_hash", ""))[:64],
    )


def _images_hash(case: Case) -> tuple[tuple[str, int | str | None], ...]:
    return tuple((sha256(image.path), image.index) for image in case.images.values())


def _patient(case: Case) -> str:
    return case.subject or case.id
