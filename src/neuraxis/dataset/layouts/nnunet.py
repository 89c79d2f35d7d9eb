"""nnU-Net's raw format, version 2.

    Dataset004_Hippocampus/
        dataset.json                      channel_names, labels, file_ending, ...
        imagesTr/hippocampus_001_0000.nii.gz   one file a channel
        labelsTr/hippocampus_001.nii.gz
        imagesTs/...                      images without label maps (optional)
        splits_final.json                 the data's own splits (optional; nnU-Net keeps it with the preprocessed data)

`dataset` in dataset.json may name the files of each case instead; its paths may lead anywhere, relative ones start at
the folder. Labels that are lists are regions, written in the order of `regions_class_order`. Beyond nnU-Net's own
keys, `site` (one name, or a map from case to name) and `subject` (a map from case to patient) are read.
The format: https://github.com/MIC-DKFZ/nnUNet, documentation/dataset_format.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.opening import Opening
from neuraxis.dataset.splits import Fold
from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.volume.formats import any_format


def _recognises(folder: Path) -> bool:
    return {"channel_names", "file_ending", "labels"} <= shared.description_keys(folder).keys()


def _read(folder: Path, opening: Opening) -> Dataset:
    description = shared.read_description(folder)
    where = str(folder / shared.DESCRIPTION)
    ending = description.get("file_ending")
    if ending not in any_format.known_endings():
        known = ", ".join(any_format.known_endings())
        raise DataError(f"{where}: file_ending is {ending!r:.40}; {known} are read. Convert the scans.")
    channels = shared.channel_names(description.get("channel_names"), f"{where}: channel_names")
    reader = _Reader(folder, description, channels, str(ending))
    cases, notes = reader.labelled()
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="nnunet",
            channels=channels,
            modality=shared.modalities(channels),
            labels=read_labels(description, f"{where}: labels"),
            cases=tuple(sorted(cases, key=lambda case: case.id)),
            unlabelled=tuple(reader.test_images()),
            own_folds=read_splits(folder / "splits_final.json"),
            notes=tuple(notes),
        )
    )


LAYOUT = shared.Layout("dataset.json with channel_names, labels and file_ending", _recognises, _read)


def read_labels(description: Mapping[str, Any], where: str) -> Labels:
    """Translate nnU-Net's labels: plain, or regions where any label joins several numbers; `ignore` is set apart.

    Raises:
        DataError: a value is neither a number nor a list of numbers, or `regions_class_order` does not fit.
    """
    raw = shared.names_and_numbers(description.get("labels"), where)
    joined: dict[str, tuple[int, ...]] = {}
    for name, value in raw.items():
        values = value if isinstance(value, list) else [value]
        joined[name] = tuple(shared.whole_number(number, f"{where}.{name}") for number in values)
    ignored = joined.pop("ignore", ())
    if len(ignored) > 1 or any(not numbers for numbers in joined.values()):
        raise DataError(f"{where}: 'ignore' is one number, and every other label has at least one. Mend the labels.")
    ignore = ignored[0] if ignored else None
    if all(len(numbers) == 1 for numbers in joined.values()):
        return shared.build_labels(where, names={name: numbers[0] for name, numbers in joined.items()}, ignore=ignore)
    regions = {name: numbers for name, numbers in joined.items() if set(numbers) != {0}}
    paint = [shared.whole_number(number, where) for number in description.get("regions_class_order") or ()]
    if len(paint) != len(regions):
        raise DataError(
            f"{where}: {len(regions)} regions, but regions_class_order has {len(paint)} numbers. Needed is one for "
            "each region, in the same order."
        )
    own = {numbers[0]: name for name, numbers in joined.items() if len(numbers) == 1}
    every = sorted({0, *(number for numbers in joined.values() for number in numbers), *paint})
    names = {own.get(number, "background" if number == 0 else f"label {number}"): number for number in every}
    return shared.build_labels(where, names=names, regions=regions, paint=tuple(paint), ignore=ignore)


def read_splits(path: Path) -> tuple[Fold, ...]:
    """Read nnU-Net's splits_final.json; none where the file is not there.

    Raises:
        DataError: it is not a list of objects with `train` and `val`.
    """
    if not path.exists():
        return ()
    content = read_json(path)
    folds = []
    for fold in content if isinstance(content, list) else [None]:
        sides = [fold.get(side) if isinstance(fold, dict) else None for side in ("train", "val")]
        if not all(isinstance(side, list) and all(isinstance(case, str) for case in side) for side in sides):
            raise DataError(f'{path}: needed is a list of {{"train": [cases], "val": [cases]}}. Mend or remove it.')
        training, validation = (tuple(sorted(side or ())) for side in sides)
        folds.append(Fold(training, validation))
    return tuple(folds)


@dataclass(frozen=True)
class _Reader:
    folder: Path
    description: Mapping[str, Any]
    channels: tuple[str, ...]
    ending: str

    def labelled(self) -> tuple[list[Case], list[str]]:
        """Return the complete cases, and notes on everything that is not."""
        images, labels = self._images(self.folder / "imagesTr"), self._labels()
        notes = [f"{any_format.stem(path)}: {path} {shared.ODD_NAME}, _0000{self.ending}" for path in self._strangers()]
        if "dataset" in self.description:
            images, labels = self._listed()
            notes = []
        cases = []
        for id in sorted(images.keys() | labels.keys()):
            files, label = images.get(id, {}), labels.get(id)
            problem = self._problem(id, files, label)
            if problem:
                notes.append(f"{id}: {problem}")
            elif label is not None:
                cases.append(self._case(id, files, label))
        told = self.description.get("numTraining")
        if isinstance(told, int) and told != len(cases):
            notes.append(f"{shared.DESCRIPTION}: numTraining is {told} and {shared.WRONG_COUNT}, {len(cases)}")
        return cases, notes

    def test_images(self) -> list[Case]:
        """Return the complete images of imagesTs."""
        images = self._images(self.folder / "imagesTs")
        return [self._case(id, files) for id, files in sorted(images.items()) if len(files) == len(self.channels)]

    def _case(self, id: str, files: Mapping[int, Path], label: Path | None = None) -> Case:
        subject, session = shared.subject_and_session(id, self.description)
        images = {name: ImageFile(files[place]) for place, name in enumerate(self.channels)}
        return Case(id, images, label, subject, shared.site_of(id, self.description), session)

    def _problem(self, id: str, files: Mapping[int, Path], label: Path | None) -> str:
        if not files:
            return f"label map {label} {shared.NO_IMAGE}"
        if label is None:
            return f"image {next(iter(files.values()))} {shared.NO_LABEL}"
        absent = [name for place, name in enumerate(self.channels) if place not in files]
        if absent:
            place = self.channels.index(absent[0])
            file = f"number {place}" if "dataset" in self.description else f"{id}_{place:04d}{self.ending}"
            return f"channel '{absent[0]}', {file}, {shared.MISSING_FILE}"
        if len(files) > len(self.channels):
            return f"{shared.MANY_FILES} ({len(files)}) than there are channels ({len(self.channels)})"
        lost = [path for path in (*files.values(), label) if not path.is_file()]
        return f"{lost[0]} {shared.MISSING_FILE}" if lost else ""

    def _images(self, folder: Path) -> dict[str, dict[int, Path]]:
        found: dict[str, dict[int, Path]] = {}
        for path in shared.scans_in(folder):
            match = re.fullmatch(rf"(.+)_(\d{{4}}){re.escape(self.ending)}", path.name)
            if match:
                found.setdefault(match[1], {})[int(match[2])] = path
        return found

    def _strangers(self) -> list[Path]:
        known = {path for files in self._images(self.folder / "imagesTr").values() for path in files.values()}
        return [path for path in shared.scans_in(self.folder / "imagesTr") if path not in known]

    def _labels(self) -> dict[str, Path]:
        scans = shared.scans_in(self.folder / "labelsTr")
        return {path.name.removesuffix(self.ending): path for path in scans if path.name.endswith(self.ending)}

    def _listed(self) -> tuple[dict[str, dict[int, Path]], dict[str, Path]]:
        images: dict[str, dict[int, Path]] = {}
        labels: dict[str, Path] = {}
        listing = self.description["dataset"]
        for id, entry in listing.items() if isinstance(listing, Mapping) else [("", None)]:
            files = entry.get("images") if isinstance(entry, Mapping) else None
            label = entry.get("label") if isinstance(entry, Mapping) else None
            if not isinstance(files, list) or not all(isinstance(path, str) for path in (*files, label)):
                raise DataError(
                    f'{self.folder / shared.DESCRIPTION}: dataset.{id}: needed is {{"images": [paths], "label": path}}.'
                )
            images[id] = {place: self.folder / path for place, path in enumerate(files)}
            labels[id] = self.folder / str(label)
        return images, labels
