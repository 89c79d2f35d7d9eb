"""Images and label maps of a folder paired by their names, with the channel at the end of an image's name.

images/patient07_FLAIR.nii.gz + images/patient07_T1.nii.gz + labels/patient07.nii.gz
images/p1.nrrd + labels/p1.nrrd
p1_image.nrrd + p1_label.nrrd                      in one folder
p1_FLAIR.mha + p1_T1.mha + p1_seg.mha              in one folder
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuraxis.dataset.layouts import layout as shared
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom import dicom

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "scans", "imagestr")
LABEL_FOLDERS = ("labels", "label", "masks", "mask", "segmentations", "segmentation", "annotations", "annotation",
                 "groundtruth", "ground_truth", "gt", "seg")  # fmt: skip
ONE = "image"
_LABEL = re.compile(r"(?i)(?:[_.-])(?:labels?|masks?|seg|segm|segmentations?|gt|groundtruth|manual|consensus)$")
_IMAGE = re.compile(r"(?i)(?:[_.-])(?:images?|img|scan)$")


@dataclass
class Pairs:
    """What lies in a folder, by case.

    Attributes:
        images: case to channel to file.
        labels: case to its label map.
        channels: of all cases with a label map, sorted by name.
        notes: on everything that has no partner.
    """

    images: dict[str, dict[str, Path]] = field(default_factory=dict)
    labels: dict[str, Path] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> list[str]:
        """Ids of the cases with a label map and every channel."""
        return [id for id in sorted(self.labels) if self.images.get(id, {}).keys() == set(self.channels)]

    @property
    def unlabelled(self) -> list[str]:
        """Ids of the cases with every channel and no label map."""
        return [id for id in sorted(self.images.keys() - self.labels) if self.images[id].keys() == set(self.channels)]


def find_folders(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of images and of label maps that lie side by side in a folder, or None."""
    below = {child.name: child for child in _children(folder) if child.is_dir()}
    lower = {name.casefold(): child for name, child in below.items()}
    images = next((lower[name] for name in IMAGE_FOLDERS if name in lower), None)
    labels = next((lower[name] for name in LABEL_FOLDERS if name in lower), None)
    if labels is None:
        others = [child for name, child in lower.items() if re.match(r"(label|mask|seg)", name)]
        labels = others[0] if len(others) == 1 else None
    return None if images is None or labels is None else (images, labels)


def volumes_in(folder: Path) -> list[Path]:
    """Return the scans of a folder that are no pictures; where there are none, what is DICOM."""
    return of_kind(shared.scans_in(folder), pictures=False) or shared.series_in(folder)


def holds_volumes(folder: Path) -> bool:
    """Tell whether `volumes_in` finds any, without a look at all of them."""
    return bool(of_kind(shared.scans_in(folder), pictures=False)) or any(map(dicom.is_part, _children(folder)))


def is_flat(folder: Path, pictures: bool) -> bool:
    """Tell whether images and label maps lie in one folder and can be told apart by their names."""
    scans = of_kind(shared.scans_in(folder), pictures)
    marked = {_LABEL.sub("", shared.name_of(path)) for path in scans if _LABEL.search(shared.name_of(path))}
    plain = [shared.name_of(path) for path in scans if not _LABEL.search(shared.name_of(path))]
    return any(name == id or name.startswith((f"{id}_", f"{id}-", f"{id}.")) for id in marked for name in plain)


def of_kind(scans: Iterable[Path], pictures: bool) -> list[Path]:
    """Return the pictures among scans, or those that are none."""
    return [path for path in scans if any_format.is_picture(path) == pictures]


def pair(images: Sequence[Path], labels: Sequence[Path]) -> Pairs:
    """Pair files by name.

    Args:
        images: one file a case and channel.
        labels: one file a case.
    """
    found = Pairs(labels=_by_case(labels, images))
    suffixes: set[str] = set()
    rest = []
    for path in images:
        id = _owner(shared.name_of(path), found.labels)
        if id is None:
            rest.append(path)
            continue
        channel = _channel(shared.name_of(path), id)
        suffixes.add(channel)
        _put(found, id, channel, path)
    for path in rest:
        name = shared.name_of(path)
        known = next((end for end in sorted(suffixes - {ONE}, key=len, reverse=True) if _ends(name, end)), ONE)
        _put(found, _IMAGE.sub("", name) if known == ONE else name[: -len(known) - 1], known, path)
    found.channels = tuple(sorted(suffixes)) or tuple(
        sorted({name for files in found.images.values() for name in files})
    )
    found.notes += _complaints(found)
    return found


def split_flat(scans: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images and the label maps of one folder, told apart by their names."""
    labels = [path for path in scans if _LABEL.search(shared.name_of(path))]
    return [path for path in scans if path not in labels], labels


def _by_case(labels: Sequence[Path], images: Sequence[Path]) -> dict[str, Path]:
    """Name each label map by its case: as it is called where an image is called so, else without `_seg` or such."""
    names = {shared.name_of(path) for path in images}
    found = {}
    for path in labels:
        name = shared.name_of(path)
        whole = name in names or any(image.startswith((f"{name}_", f"{name}-")) for image in names)
        found[name if whole else _LABEL.sub("", name)] = path
    return found


def _owner(name: str, labels: Mapping[str, Path]) -> str | None:
    """Return the case whose name an image's begins with, the longest."""
    ends = [match.start() for match in re.finditer(r"[_.-]", name)]
    return next((name[:end] for end in (len(name), *reversed(ends)) if name[:end] in labels), None)


def _channel(name: str, id: str) -> str:
    rest = name[len(id) :].lstrip("_.-")
    return ONE if not rest or _IMAGE.fullmatch(f"_{rest}") else rest


def _ends(name: str, channel: str) -> bool:
    return len(name) > len(channel) + 1 and name.endswith(channel) and name[-len(channel) - 1] in "_.-"


def _put(found: Pairs, id: str, channel: str, path: Path) -> None:
    files = found.images.setdefault(id, {})
    if channel in files:
        found.notes.append(f"{id}: {path} and {files[channel].name} are of one case; the latter is taken")
        return
    files[channel] = path


def _complaints(found: Pairs) -> list[str]:
    notes = []
    for id, path in sorted(found.labels.items()):
        files = found.images.get(id, {})
        absent = [name for name in found.channels if name not in files]
        if not files:
            notes.append(f"{id}: label map {path} {shared.NO_IMAGE}")
        elif absent:
            notes.append(f"{id}: channel '{absent[0]}' {shared.MISSING_FILE}")
    for id, files in sorted(found.images.items()):
        absent = [name for name in found.channels if name not in files]
        if id not in found.labels and found.labels:
            what = f"channel '{absent[0]}' {shared.MISSING_FILE}" if absent else f"image {shared.NO_LABEL}"
            notes.append(f"{id}: {what}")
    return notes


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return []
