"""A dataset as a BIDS dataset: the scans as raw data, the label maps as derivatives in `derivatives/labels`.

BIDS names scans by their contrast, so only channels whose contrast has a name there can be written.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.structures import structures_of
from neuraxis.errors import DataError
from neuraxis.files import write_json, write_text
from neuraxis.pipelines.forms.bids.derivatives import BIDS_VERSION, Derivatives
from neuraxis.pipelines.forms.bids.names import DESCRIPTION, letters, short_hash
from neuraxis.pipelines.forms.datasets.files import ENDING, write_channels
from neuraxis.pipelines.forms.form import Export
from neuraxis.progress import Progress

_CONTRASTS = (
    (r"flair", "FLAIR"),
    (r"t1w?(post|gd|ce?|contrast)|t1w?_(post|gd|ce?)", "ce-gadolinium_T1w"),
    (r"t1(w|pre|n)?", "T1w"),
    (r"t2(w|spin)?", "T2w"),
    (r"t2f", "FLAIR"),
    (r"t2(\*|star)w?", "T2starw"),
    (r"pdw?", "PDw"),
)


def write(dataset: Dataset, folder: Path, progress: Progress) -> None:
    """Fill an empty folder with a BIDS dataset.

    Raises:
        DataError: a case is refused, or a channel has no name in BIDS.
        ResourceError: it cannot be written.
    """
    contrasts = {channel: _contrast(channel, dataset) for channel in dataset.channels}
    if len(set(contrasts.values())) < len(contrasts):
        raise DataError(f"{dataset.name}: two of {', '.join(contrasts)} would bear one name in BIDS. Rename one.")
    places = _places([*dataset.cases, *dataset.unlabelled])
    scans = {
        case.id: [folder / places[case.id].with_name(f"{places[case.id].name}_{contrasts[name]}{ENDING}")
                  for name in case.images]
        for case in (*dataset.cases, *dataset.unlabelled)
    }  # fmt: skip
    write_json(folder / DESCRIPTION, {"Name": dataset.name, "BIDSVersion": BIDS_VERSION, "DatasetType": "raw"})
    write_text(folder / "README.md", f"# {dataset.name}\n\nScans in BIDS; label maps in derivatives/labels.\n")
    structures = structures_of(dataset.labels)
    only = structures[0].name if len(structures) == 1 else ""
    named = {case.id: ImageFile(scans[case.id][0]) for case in dataset.cases}
    with progress.stage("write", len(scans)) as stage:
        for case in (*dataset.cases, *dataset.unlabelled):
            scans[case.id][0].parent.mkdir(parents=True, exist_ok=True)
            write_channels(case, scans[case.id])
            stage.advance(note=case.id)
    derivatives = Derivatives(folder / "derivatives" / "labels", named, "", only)
    for case in dataset.cases:
        volume = case.read_label()
        volume = volume.with_array(volume.array.astype(np.uint8)) if volume.array.max(initial=0) < 256 else volume
        derivatives.write(Export(case.id, volume, structures, named[case.id]))
    _write_participants(folder, dataset, places)


def _contrast(channel: str, dataset: Dataset) -> str:
    plain = channel.strip().casefold().replace("-", "_").replace(" ", "_")
    found = next((name for pattern, name in _CONTRASTS if re.fullmatch(pattern, plain)), "")
    if not found or dataset.modality.get(channel) == "CT":
        raise DataError(
            f"{dataset.name}: the channel '{channel}' has no name in BIDS that is known here; T1, T1post, T2, T2star, "
            "FLAIR and PD have. Choose --as nnunet."
        )
    return found


def _places(cases: list[Case]) -> dict[str, Path]:
    """Return for each case the path of its scans without their contrast; two cases never share one."""
    found: dict[str, Path] = {}
    subjects: dict[str, str] = {}
    for case in cases:
        patient = case.subject or case.id
        plain = letters(patient.removeprefix("sub-"))
        taken = plain in subjects.values() and subjects.get(patient) != plain
        subject = subjects.setdefault(patient, f"{plain}x{short_hash(patient)}" if taken or not plain else plain)
        session = letters(case.session.removeprefix("ses-"))
        parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
        place = Path(*parts, "anat", "_".join(parts))
        if place in found.values():
            place = place.with_name(f"{place.name}_acq-{letters(case.id)}x{short_hash(case.id)}")
        found[case.id] = place
    return found


def _write_participants(folder: Path, dataset: Dataset, places: dict[str, Path]) -> None:
    """Write who was scanned where, if sites are known."""
    sites = {places[case.id].parts[0]: case.site for case in (*dataset.cases, *dataset.unlabelled)}
    if not any(sites.values()):
        return
    lines = [f"{subject}\t{' '.join(site.split()) or 'n/a'}" for subject, site in sorted(sites.items())]
    write_text(folder / "participants.tsv", "\n".join(["participant_id\tsite", *lines]) + "\n")
    write_json(folder / "participants.json", {"site": {"Description": "where the scans were made"}})
