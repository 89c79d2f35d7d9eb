"""Which cases train and which validate: by patient, reproducible, hashed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from neuraxis.dataset.case import Case
from neuraxis.errors import DataError


@dataclass(frozen=True)
class Fold:
    """Ids of the cases that train and of those that validate."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def split_by_patient(cases: Sequence[Case], folds: int = 5, seed: int = 0) -> tuple[Fold, ...]:
    """Deal patients out to folds, site by site, so that all folds hold about as many cases of each site.

    The order of a site's patients is that of a hash of their name and the seed, so that neither the order of the
    cases nor a random generator is involved.

    Raises:
        DataError: there are fewer patients than folds.
    """
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(case.subject or case.id, []).append(case)
    if len(patients) < folds:
        raise DataError(
            f"{len(patients)} patients cannot be dealt to {folds} folds. Add patients, or set splits.folds to "
            f"{max(2, len(patients))} or fewer."
        )

    def order(patient: str) -> tuple[str, str]:
        digest = hashlib.sha256(f"{seed}|{patient}".encode()).hexdigest()
        return patients[patient][0].site, digest

    held_out: list[list[str]] = [[] for _ in range(folds)]
    for position, patient in enumerate(sorted(patients, key=order)):
        held_out[position % folds].extend(case.id for case in patients[patient])
    everyone = {case.id for case in cases}
    return tuple(Fold(tuple(sorted(everyone - set(out))), tuple(sorted(out))) for out in held_out)


def thin_training(folds: Sequence[Fold], cases: Sequence[Case], share: float, seed: int = 0) -> tuple[Fold, ...]:
    """Return folds in which only a share of the training patients trains, one patient at least.

    Their order is that of a hash of their name and the seed, so that smaller shares are among larger ones.

    Args:
        folds: whose held-out side stays.
        cases: of the dataset.
        share: in (0, 1].
        seed: of the order.
    """
    patient_of = {case.id: case.subject or case.id for case in cases}

    def thinned(fold: Fold) -> Fold:
        patients = {patient_of[id] for id in fold.training}
        ordered = sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}|share|{patient}".encode()).hexdigest())
        kept = set(ordered[: max(1, round(share * len(ordered)))])
        return Fold(tuple(id for id in fold.training if patient_of[id] in kept), fold.validation)

    return tuple(folds) if share >= 1 else tuple(thinned(fold) for fold in folds)


def check_folds(folds: Sequence[Fold], cases: Sequence[Case], allow_leak: bool = False) -> None:
    """Refuse splits in which a patient both trains and validates, unless allowed, or that name cases not there.

    Raises:
        DataError: with the fold, and the patient or the cases.
    """
    subject_of = {case.id: case.subject or case.id for case in cases}
    for number, fold in enumerate(folds):
        missing = [id for id in (*fold.training, *fold.validation) if id not in subject_of]
        if missing:
            raise DataError(f"Fold {number} names '{missing[0]}', which is no labelled case. Mend the splits.")
        shared = {subject_of[id] for id in fold.training} & {subject_of[id] for id in fold.validation}
        if shared and not allow_leak:
            raise DataError(f"Fold {number}: patient '{min(shared)}' both trains and validates. Mend the splits.")
        if not fold.training or not fold.validation:
            raise DataError(f"Fold {number} has no case on one side. Mend the splits.")


def hash_folds(folds: Sequence[Fold]) -> str:
    """Return a hash of the splits, to be stored beside every score."""
    content = [[list(fold.training), list(fold.validation)] for fold in folds]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
