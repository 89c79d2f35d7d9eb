"""The layout of MSLesSeg (Sci Data 12:920, 2025): patients, their time points, and the channels of each.

    MSLesSeg/
        train/P1/T1/P1_T1_FLAIR.nii.gz, P1_T1_T1.nii.gz, P1_T1_T2.nii.gz, P1_T1_MASK.nii.gz
        test/P54/...                                   used for nothing but to be segmented

The time points of one patient never part in a split.
"""

from __future__ import annotations

import re
from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.opening import Opening
from neuraxis.volume.formats.any_format import stem

CHANNELS = ("FLAIR", "T1", "T2")
LABELS = Labels(names={"background": 0, "lesion": 1})
_NAME = re.compile(r"(P\d+)_(?:(T\d+)_)?(FLAIR|T1|T2|MASK)", re.IGNORECASE)


def _recognises(folder: Path) -> bool:
    if shared.has_description(folder):
        return False
    return any(_NAME.fullmatch(stem(path)) for path in _scans(folder / "train"))


def _read(folder: Path, opening: Opening) -> Dataset:
    train, test = (_files(folder / part) for part in ("train", "test"))
    present = {name for files in train.values() for name in files}
    channels = tuple(name for name in CHANNELS if name in present)
    notes = [f"no case has the channel {name}, so it is left out" for name in CHANNELS if name not in present]
    cases = []
    for id, files in sorted(train.items()):
        absent = [name for name in channels if name not in files]
        if absent:
            notes.append(f"{id}: channel '{absent[0]}' {shared.MISSING_FILE}")
        elif "MASK" not in files:
            notes.append(f"{id}: image {files[channels[0]]} {shared.NO_LABEL}")
        elif channels:
            cases.append(_case(id, files, channels, files["MASK"]))
    unlabelled = [_case(id, files, channels) for id, files in sorted(test.items()) if set(channels) <= files.keys()]
    if any("MASK" in files for files in test.values()):
        notes.append(f"the label maps of test are left alone, so that its {len(unlabelled)} cases train nothing")
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="mslesseg",
            channels=channels,
            modality=dict.fromkeys(channels, "MRI"),
            labels=LABELS,
            cases=tuple(cases),
            unlabelled=tuple(unlabelled),
            notes=tuple(notes),
        )
    )


LAYOUT = shared.Layout("train/P1/T1/P1_T1_FLAIR and so on (MSLesSeg)", _recognises, _read)


def _scans(part: Path) -> list[Path]:
    folders = [part, *part.glob("P*"), *part.glob("P*/T*")]
    return [path for folder in sorted(folders) for path in shared.scans_in(folder)]


def _files(part: Path) -> dict[str, dict[str, Path]]:
    """Return case to channel (or MASK) to file."""
    found: dict[str, dict[str, Path]] = {}
    for path in _scans(part):
        match = _NAME.fullmatch(stem(path))
        if match:
            session = match[2] or (path.parent.name if re.fullmatch(r"T\d+", path.parent.name) else "")
            id = "_".join(filter(None, (match[1], session)))
            found.setdefault(id, {})[match[3].upper()] = path
    return found


def _case(id: str, files: dict[str, Path], channels: tuple[str, ...], label: Path | None = None) -> Case:
    subject, _, session = id.partition("_")
    return Case(id, {name: ImageFile(files[name]) for name in channels}, label, subject, session=session)
