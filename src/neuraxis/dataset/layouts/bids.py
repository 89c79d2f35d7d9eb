"""BIDS: raw scans with label maps among the derivatives, or derivatives alone.

    my-study/
        dataset_description.json, participants.tsv        sites from its column site, or institution, or centre
        sub-01/ses-01/anat/sub-01_ses-01_T2w.nii.gz       ses- is the time point
        sub-01/func/sub-01_task-rest_bold.nii.gz          4D: its mean, or the volume that --volume names
        derivatives/labels/sub-01/ses-01/anat/sub-01_ses-01_T2w_label-lesion_seg.nii.gz
        derivatives/labels/sub-01/anat/sub-01_dseg.nii.gz, dseg.tsv

A label map that names its scan's suffix (T2w) is of that one; else of every image that lies on its grid. Several masks
of a scan are painted one over the other, lesions last. Without raw scans the images of derivatives are taken.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.coding import PLAIN, Coding
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts import layout as shared
from neuraxis.dataset.layouts.bids_names import SERIES, BidsName
from neuraxis.dataset.layouts.found_labels import UNSEEN, find_labels
from neuraxis.dataset.layouts.label_tables import read_table
from neuraxis.dataset.opening import Opening
from neuraxis.errors import DataError, MissingExtra
from neuraxis.volume.formats import any_format
from neuraxis.volume.grid import SAME_VOXELS

SITES = ("site", "institution_id", "institution", "center", "centre", "scanner_site")
HALF = 0.5
Scan = tuple[str, str, str]


def _recognises(folder: Path) -> bool:
    if {"channel_names", "modality", "training"} & shared.description_keys(folder).keys():
        return False
    subjects = [child for root in _roots(folder) for child in root.glob("sub-*") if child.is_dir()]
    return any((child / part).is_dir() for child in subjects for part in ("anat", "func", "dwi", "perf", "ct")) or any(
        next(child.glob("ses-*/*/"), None) for child in subjects
    )


def _read(folder: Path, opening: Opening) -> Dataset:
    raw, *derived = ([BidsName.of(path) for path in _scans(root)] for root in _roots(folder))
    names = [*raw, *(name for every in derived for name in every)]
    labels = [name for name in names if name.kind in ("mask", "numbered", "soft")]
    images = [name for name in raw if name.kind == "image"] or [name for name in names if name.kind == "image"]
    sites = _sites(folder)
    notes: list[str] = []
    chosen = _choose_labels(labels, notes)
    channels = _choose_channels(images, chosen, notes)
    cases, unlabelled = [], []
    for scan, files in sorted(_by_scan(images, channels).items()):
        own = [name for name in chosen if _is_of(name, scan, files)]
        short = _short(channels)
        absent = [short[channel] for channel in channels if channel not in files]
        if absent:
            notes += [f"{_id(scan)}: channel '{absent[0]}' {shared.MISSING_FILE}"] if own else []
            continue
        found = {short[channel]: _image(files[channel], opening) for channel in channels}
        cases += [_Found(_case(scan, found, sites), own)] if own else []
        unlabelled += [] if own else [_case(scan, found, sites)]
    notes += _alone(chosen, [name for found in cases for name in found.labels])
    told, labelled, remarks = _label(cases, folder, opening)
    named = tuple(_short(channels)[channel] for channel in channels)
    return shared.refuse_empty(
        Dataset(
            name=folder.name,
            root=folder,
            layout="bids",
            channels=named,
            modality={name: "CT" if name.rpartition("_")[2].casefold() == "ct" else "MRI" for name in named},
            labels=told,
            cases=labelled,
            unlabelled=tuple(unlabelled),
            notes=(*notes, *remarks),
        ),
    )


LAYOUT = shared.Layout("folders sub-01 with anat, func or dwi, also in derivatives (BIDS)", _recognises, _read)


@dataclass(frozen=True)
class _Found:
    """A case with the names of its label maps."""

    case: Case
    labels: Sequence[BidsName]


def _roots(folder: Path) -> list[Path]:
    derivatives = folder / "derivatives"
    below = sorted(child for child in derivatives.iterdir() if child.is_dir()) if derivatives.is_dir() else []
    return [folder, *below, *([derivatives] if derivatives.is_dir() else [])]


def _scans(root: Path) -> list[Path]:
    folders = [*root.glob("sub-*/*/"), *root.glob("sub-*/ses-*/*/")]
    return sorted(path for folder in folders if not folder.name.startswith("ses-") for path in shared.scans_in(folder))


def _choose_labels(labels: Sequence[BidsName], notes: list[str]) -> list[BidsName]:
    """Return the label maps that are read: numbered ones where there are any, else masks."""
    labels = [name for name in labels if "space" not in name.entities] or labels
    numbered = [name for name in labels if name.kind == "numbered"]
    if not numbered:
        return list(labels)
    first, *others = sorted({name.structure for name in numbered})
    if others:
        notes.append(f"of several numbered label maps a scan, '{first}' is read; not {shared.listed(others)}")
        numbered = [name for name in numbered if name.structure == first]
    left = sorted({name.structure for name in labels if name.kind != "numbered"})
    notes += [f"masks beside the numbered label maps were not read: {shared.listed(left)}"] if left else []
    return numbered


def _choose_channels(images: Sequence[BidsName], labels: Sequence[BidsName], notes: list[str]) -> tuple[str, ...]:
    """Return the kinds of scan that the label maps are of; without label maps those that every scan has."""
    if not labels:
        each = [set(files) for files in _by_scan(images, None).values()]
        return tuple(sorted(set.intersection(*each))) if each else ()
    for label in labels:
        own = [image for image in images if image.scan[:2] == label.scan[:2] and label.belongs_to(image)]
        if len({image.channel for image in own}) > 1 and not label.image:
            own = [image for image in own if _on_one_grid(image.path, label.path)] or own
        if own:
            left = sorted({image.channel for image in images} - {image.channel for image in own})
            notes += [f"images that no label map is of were not read: {shared.listed(left)}"] if left else []
            return tuple(sorted({image.channel for image in own}))
    return ()


def _on_one_grid(image: Path, label: Path) -> bool:
    try:
        return any_format.read_grid(image)[0].matches(any_format.read_grid(label)[0], SAME_VOXELS)
    except (DataError, MissingExtra):
        return False


def _by_scan(images: Iterable[BidsName], channels: Sequence[str] | None) -> dict[Scan, dict[str, BidsName]]:
    """Return subject, session and run to channel to image; where there are several of one kind the first counts."""
    found: dict[Scan, dict[str, BidsName]] = {}
    for image in images:
        if channels is None or image.channel in channels:
            found.setdefault(image.scan, {}).setdefault(image.channel, image)
    return found


def _is_of(label: BidsName, scan: Scan, files: Mapping[str, BidsName]) -> bool:
    return label.scan[:2] == scan[:2] and any(label.belongs_to(image) for image in files.values())


def _short(channels: Sequence[str]) -> dict[str, str]:
    """Return what each channel is called: its suffix alone where that tells it from the others."""
    suffixes = [channel.rpartition("_")[2] for channel in channels]
    return {
        channel: suffix if suffixes.count(suffix) == 1 else channel
        for channel, suffix in zip(channels, suffixes, strict=True)
    }


def _image(name: BidsName, opening: Opening) -> ImageFile:
    of_series = "mean" if opening.volume is None else opening.volume
    return ImageFile(name.path, of_series if name.image.casefold() in SERIES else None)


def _id(scan: Scan) -> str:
    told = zip(("sub", "ses", "run"), scan, strict=True)
    return "_".join(f"{key}-{value}" for key, value in told if value)


def _case(scan: Scan, images: Mapping[str, ImageFile], sites: Mapping[str, str]) -> Case:
    subject, session, _ = scan
    return Case(_id(scan), images, None, f"sub-{subject}", sites.get(f"sub-{subject}", ""), session)


def _alone(labels: Sequence[BidsName], used: Sequence[BidsName]) -> list[str]:
    taken = {name.path for name in used}
    return [f"{_id(name.scan)}: label map {name.path} {shared.NO_IMAGE}" for name in labels if name.path not in taken]


def _label(found: Sequence[_Found], folder: Path, opening: Opening) -> tuple[Labels, tuple[Case, ...], tuple[str, ...]]:
    """Return the labels, the labelled cases, and what was noticed."""
    if not found:
        return UNSEEN, (), ("no label map was found, so the labels are not known",)
    if found[0].labels[0].kind == "numbered":
        cases = [one.case.relabelled(one.labels[0].path) for one in found]
        named = read_table(opening.label_table) if opening.label_table else None
        places = {place for one in found for place in (one.labels[0].path.parent, one.labels[0].path.parents[2])}
        told = find_labels(cases, (*_roots(folder), *sorted(places)), named)
        return told.labels, told.cases, told.notes
    names = sorted({name.structure for one in found for name in one.labels}, key=_depth)
    labels = shared.build_labels("masks", names={"background": 0, **{name: n for n, name in enumerate(names, start=1)}})
    labelled, notes = [], []
    for one in found:
        own = {name.structure: name for name in reversed(one.labels)}
        absent = [name for name in names if name not in own]
        if absent:
            notes.append(f"{one.case.id}: its mask of '{absent[0]}' {shared.MISSING_FILE}")
            continue
        labelled.append(_with_masks(one.case, [own[name] for name in names]))
    if len(names) > 1:
        notes.append(f"the masks are labels in this order, later ones over earlier ones: {', '.join(names)}")
    return labels, tuple(labelled), tuple(notes)


def _with_masks(case: Case, masks: Sequence[BidsName]) -> Case:
    """Return a case with its masks as layers; anything from a half on belongs to the structure."""
    layers = tuple({1: number} for number in range(1, len(masks) + 1))
    first, *more = [name.path for name in masks]
    coding = Coding(threshold=HALF, layers=layers if more else ())
    plain = case.relabelled(first)
    return Case(
        plain.id, plain.images, first, plain.subject, plain.site, plain.session, more_labels=tuple(more),
        coding=coding if coding != PLAIN else PLAIN,
    )  # fmt: skip


def _depth(structure: str) -> tuple[int, str]:
    """Order structures so that what lies inside others comes after them."""
    name = structure.casefold()
    inner = any(word in name for word in ("lesion", "tumo", "wmh", "stroke"))
    middle = any(word in name for word in ("gm", "grey", "gray", "canal"))
    return 2 * inner + (middle and not inner), name


def _sites(folder: Path) -> dict[str, str]:
    """Return participant to site, as participants.tsv tells; nothing where it does not."""
    for root in _roots(folder):
        path = root / "participants.tsv"
        if path.is_file() and path.stat().st_size < 2**24:
            lines = path.read_text("utf-8-sig", errors="replace").splitlines()
            rows = [{str(key).strip().casefold(): str(value or "").strip() for key, value in row.items()}
                    for row in csv.DictReader(lines, delimiter="\t")]  # fmt: skip
            column = next((name for name in SITES if rows and name in rows[0]), "")
            if column:
                known = {row.get("participant_id", ""): row[column] for row in rows}
                return {id: "" if site.casefold() == "n/a" else site for id, site in known.items()}
    return {}
