"""Pictures and masks of the same names, side by side: JPG, PNG, BMP or TIFF.

    my-pictures/
        images/101_3.png, masks/101_3.png              masks in grey or in colours
    my-pictures/
        train/images/, train/masks/, valid/images/, valid/masks/, test/images/
    my-pictures/
        a.tif, a_mask.tif                              or all in one folder

Grey masks hold label numbers where these are few; many greys, as JPEG makes them, are cut at 127. Colours are found
out, or read from a table of labels. What train and valid hold is the split that the data bring; test is held apart.
The patient is `sub-XX` in a name, or what stands before the last number of names such as PATIENT_SLICE; else each
picture is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.coding import Coding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts import pairs
from neuraxis.dataset.layouts.found_colours import GREY, find_colours, pure_colours
from neuraxis.dataset.layouts.found_labels import UNSEEN, find_labels
from neuraxis.dataset.layouts.label_tables import LabelTable, find_table, read_table
from neuraxis.dataset.opening import Opening
from neuraxis.dataset.splits import Fold
from neuraxis.volume.formats.picture import NO_SPACING
from neuraxis.workers import map_in_order

PARTS = {"train": ("train", "training"), "valid": ("valid", "validation", "val"), "test": ("test", "testing")}
THRESHOLD = 127.0
MOST_GREYS = 32
_NUMBERED = re.compile(r"(.+?)[_-](\d+)")


def _recognises(folder: Path) -> bool:
    return not shared.has_description(folder) and any(_holds_pairs(part) for part in (folder, *_parts(folder).values()))


def _read(folder: Path, opening: Opening) -> Dataset:
    parts = {name: part for name, part in _parts(folder).items() if _holds_pairs(part) or name == "test"}
    found = {name: _matched(part) for name, part in (parts or {"": folder}).items()}
    kind = _Kind.of(
        [path for matched in found.values() for files in matched.images.values() for path in files.values()]
    )
    cases: list[Case] = []
    held: dict[str, list[Case]] = {name: [] for name in found}
    ids = [id for matched in found.values() for id in matched.images]
    for name, matched in found.items():
        for id in matched.complete if name != "test" else sorted(matched.images):
            whole = id if ids.count(id) == 1 else f"{name}_{id}"
            case = Case(whole, kind.images(matched.images[id]), matched.labels.get(id))
            held[name].append(case)
            cases += [case] if name != "test" else []
    grouped, remark = _with_patients([*cases, *held.get("test", [])])
    cases = [grouped[case.id] for case in cases]
    tests = [grouped[case.id].relabelled(None) for case in held.get("test", [])]
    others = [
        Case(id, kind.images(matched.images[id]))
        for name, matched in found.items()
        for id in matched.unlabelled
        if name != "test"
    ]
    labels, coded, told = _labels_of(cases, (folder, *folder.glob("*")), opening)
    notes = [note for name, matched in found.items() if name != "test" for note in matched.notes]
    notes += [f"the {len(tests)} pictures of test are held apart"] if tests else []
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="pictures",
            channels=kind.channels,
            modality=dict.fromkeys(kind.channels, "MRI"),
            labels=labels,
            cases=tuple(sorted(coded, key=lambda case: case.id)),
            unlabelled=tuple(sorted((*tests, *others), key=lambda case: case.id)),
            own_folds=_folds(held),
            notes=(*notes, *told, *([] if opening.subject else [remark]), NO_SPACING),
        ),
    )


LAYOUT = shared.Layout("folders images and masks of pictures, also within train, valid and test", _recognises, _read)


@dataclass(frozen=True)
class _Kind:
    """Whether the pictures are grey or in colours."""

    is_grey: bool

    @classmethod
    def of(cls, paths: Sequence[Path]) -> _Kind:
        seen = shared.spread(paths, 8)
        return cls(all(colours is not None and colours.is_grey for colours in map_in_order(find_colours, seen)))

    @property
    def channels(self) -> tuple[str, ...]:
        return (GREY,) if self.is_grey else ("red", "green", "blue")

    def images(self, files: Mapping[str, Path]) -> dict[str, ImageFile]:
        """Return the channels of a picture; a grey one may be stored with three."""
        path = next(iter(files.values()))
        if self.is_grey:
            return {GREY: ImageFile(path, "mean")}
        return {name: ImageFile(path, place) for place, name in enumerate(self.channels)}


def _parts(folder: Path) -> dict[str, Path]:
    below = {child.name.casefold(): child for child in (folder.iterdir() if folder.is_dir() else []) if child.is_dir()}
    return {part: below[name] for part, names in PARTS.items() for name in names if name in below}


def _holds_pairs(folder: Path) -> bool:
    found = pairs.find_folders(folder)
    if found is None:
        return pairs.is_flat(folder, pictures=True)
    return all(pairs.of_kind(shared.scans_in(part), pictures=True) for part in found)


def _matched(folder: Path) -> pairs.Pairs:
    found = pairs.find_folders(folder)
    if found is not None:
        images, labels = (pairs.of_kind(shared.scans_in(part), pictures=True) for part in found)
    else:
        below = next((folder / name for name in pairs.IMAGE_FOLDERS if (folder / name).is_dir()), folder)
        images, labels = pairs.split_flat(pairs.of_kind(shared.scans_in(below), pictures=True))
    return pairs.pair(images, labels)


def _with_patients(cases: Sequence[Case]) -> tuple[dict[str, Case], str]:
    """Return each case with its patient, and how that was read from the names."""
    told = {case.id: shared.subject_and_session(case.id, {}) for case in cases}
    if cases and all(subject != id for id, (subject, _) in told.items()):
        found = {case.id: replace(case, subject=told[case.id][0], session=told[case.id][1]) for case in cases}
        count = len({subject for subject, _ in told.values()})
        return found, f"sub- in a name is the patient: {count} patients; say it otherwise with --subject"
    matches = {case.id: _NUMBERED.fullmatch(case.id) for case in cases}
    begins = {match[1] for match in matches.values() if match}
    if cases and all(matches.values()) and len(begins) > 1:
        found = {case.id: replace(case, subject=match[1]) for case in cases if (match := matches[case.id])}
        remark = f"what stands before the last number of a name is the patient: {len(begins)} patients"
        return found, f"{remark}; say it otherwise with --subject"
    remark = "each picture is taken as a patient of its own; say with --subject how a patient is read from its name"
    return {case.id: replace(case, subject=case.id) for case in cases}, remark


def _labels_of(
    cases: Sequence[Case], folders: Sequence[Path], opening: Opening
) -> tuple[Labels, tuple[Case, ...], tuple[str, ...]]:
    """Return the labels, the cases with the coding that makes them, and what was noticed."""
    seen = [colours for colours in map_in_order(find_colours, _label_files(cases)) if colours is not None]
    named = read_table(opening.label_table) if opening.label_table else None
    if not seen:
        return UNSEEN, tuple(cases), ("no mask can be read, so the labels are not known",)
    if all(colours.is_grey for colours in seen):
        greys = set().union(*(colours.greys for colours in seen))
        if len(greys) <= MOST_GREYS and not any(colours.has_loss for colours in seen):
            found = find_labels(cases, folders, named)
            return found.labels, found.cases, found.notes
        coded = tuple(replace(case, coding=Coding(threshold=THRESHOLD)) for case in cases)
        return UNSEEN, coded, (f"the masks hold {len(greys)} greys; those above {THRESHOLD:g} are taken as label 1",)
    table = named or (found_table[1] if (found_table := find_table(*folders)) else None)
    names = _colour_names(table) if table is not None else {}
    if not names:
        names = {_called(colour): (colour, number) for number, colour in enumerate(sorted(pure_colours(seen)), start=1)}
    labels = shared.build_labels(
        "masks",
        names={"background": 0, **{name: number for name, (_, number) in names.items()}},
        colours={name: colour for name, (colour, _) in names.items()},
    )
    coding = Coding(colours=dict(names.values()))
    found_names = shared.listed(f"{name} {colour}" for name, (colour, _) in names.items())
    how = "by the table of labels" if table is not None else "as they were found"
    coded = tuple(replace(case, coding=coding) for case in cases)
    return labels, coded, (f"the masks are read by colour, {how}: {found_names}",)


def _label_files(cases: Sequence[Case]) -> list[Path]:
    return [case.label for case in cases if case.label is not None]


def _colour_names(table: LabelTable) -> dict[str, tuple[str, int]]:
    return {
        table.names[number]: (colour, number)
        for colour, number in table.by_colour.items()
        if number != 0 and number in table.names
    }


def _called(colour: str) -> str:
    known = {"#ff0000": "red", "#00ff00": "green", "#0000ff": "blue", "#ffff00": "yellow", "#00ffff": "cyan",
             "#ff00ff": "magenta", "#ffffff": "white"}  # fmt: skip
    return known.get(colour, colour)


def _folds(held: Mapping[str, Sequence[Case]]) -> tuple[Fold, ...]:
    if not held.get("train") or not held.get("valid"):
        return ()
    training, validation = (tuple(sorted(case.id for case in held[part])) for part in ("train", "valid"))
    return (Fold(training, validation),)
