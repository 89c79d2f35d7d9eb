"""Which prediction belongs to which reference, and do they lie on one grid.

Files are matched by case id: the file's name without its ending, and without what programs add to the name of a case,
such as `_seg` or ivadomed's `_pred`. Nothing is dropped in silence: a case without its partner, two files of one case,
or another grid stops the work, and the message lists them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.layouts.layout import DESCRIPTION, description_keys, scans_in, site_of, subject_and_session
from neuraxis.errors import DataError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.any_format import stem
from neuraxis.volume.grid import SAME_VOXELS

_LISTED = 20
_ADDED = ("_seg", "_dseg", "_pred", "_class-0_pred", "_prediction", "_segmentation", "_mask")


@dataclass(frozen=True)
class Pair:
    """A reference case and the file of its prediction."""

    reference: Case
    prediction: Path

    @property
    def reference_file(self) -> Path:
        """The reference's label map."""
        if self.reference.label is None:
            raise DataError(f"{self.reference.id}: has no label map. Add one or leave the case out.")
        return self.reference.label


def find_pairs(
    predictions: Path, references: Path | Dataset, cases: Sequence[str] | None = None, exclude: Sequence[str] = ()
) -> tuple[Pair, ...]:
    """Match predictions with references, sorted by case id.

    Args:
        predictions: a folder of label maps, or one label map.
        references: a folder of label maps, one label map, or a dataset, whose labelled cases count.
        cases: score these only (such as one fold); none given: all.
        exclude: ids of cases to leave out, whether they have a partner or not.

    Raises:
        DataError: a prediction or a reference lacks its partner, or there are two; all of them are named. A case to
            leave out is not there, or none is left.
    """
    if isinstance(references, Path) and references.is_file() and predictions.is_file():
        return (Pair(_case_of(references), predictions),)
    known = _references(references)
    if cases is not None:
        _refuse("Cases that were asked for have no reference", set(cases) - set(known), "Mend the list of cases.")
        known = {id: known[id] for id in cases}
    found = _predictions(predictions, set(known))
    if predictions.is_file():
        known = {id: case for id, case in known.items() if id in found}
    where = references.root if isinstance(references, Dataset) else references
    _refuse("Cases to leave out are not there", set(exclude) - set(known) - set(found), "Mend the list of cases.")
    known = {id: case for id, case in known.items() if id not in exclude}
    found = {id: path for id, path in found.items() if id not in exclude}
    if exclude and not known:
        raise DataError(f"{where}: every case is to be left out. Leave fewer out.")
    missing, extra = set(known) - set(found), set(found) - set(known)
    if cases is not None:
        extra = set()
    complaints = [
        f"{_count(missing)} of {where} without a prediction in {predictions}: {_listed(missing)}" if missing else "",
        f"{_count(extra)} of {predictions} without a reference in {where}: {_listed(extra)}" if extra else "",
    ]
    if missing or extra:
        raise DataError(
            f"{'; '.join(part for part in complaints if part)}. Needed is one file a case of the same name on both "
            "sides: predict what is missing, or take the others out."
        )
    return tuple(Pair(known[id], found[id]) for id in sorted(known))


def reference_cases(references: Path | Dataset) -> frozenset[str]:
    """Return the ids of the cases that have a reference.

    Raises:
        DataError: a folder holds no label map, or two of one case.
    """
    return frozenset(_references(references))


def predicted_cases(predictions: Path, known: frozenset[str]) -> frozenset[str]:
    """Return the ids of the cases that have a prediction; `known` are those of the references.

    Raises:
        DataError: a folder holds no label map, or two of one case.
    """
    return frozenset(_predictions(predictions, set(known)))


def check_grids(pairs: Iterable[Pair]) -> None:
    """Refuse predictions that lie on another grid than their reference; only headers are read.

    Raises:
        DataError: with every such case and both grids.
    """
    wrong = []
    for pair in pairs:
        reference, prediction = any_format.read_grid(pair.reference_file)[0], any_format.read_grid(pair.prediction)[0]
        if not prediction.matches(reference, SAME_VOXELS):
            apart = ""
            if prediction.shape == reference.shape:
                apart = f" (corners up to {prediction.corner_distance_mm(reference):.3g} mm apart)"
            wrong.append(f"{pair.reference.id}: {prediction.describe()} against {reference.describe()}{apart}")
    if wrong:
        more = f"; and {len(wrong) - _LISTED} more" if len(wrong) > _LISTED else ""
        raise DataError(
            f"{_count(wrong)} whose prediction and reference do not share a grid: {'; '.join(wrong[:_LISTED])}{more}. "
            "Needed is one grid: predict on the reference's scan, or resample with nearest neighbour."
        )


def description_beside(*folders: Path) -> Path | None:
    """Return the first dataset.json that lies in one of the folders or in the folder above it."""
    for folder in folders:
        for place in (folder / DESCRIPTION, folder.resolve().parent / DESCRIPTION):
            if place.is_file():
                return place
    return None


def prediction_case(pair: Pair) -> Case:
    """Return the prediction as a case, so that it is read and checked as references are."""
    return replace(pair.reference.relabelled(pair.prediction), images={})


def _references(references: Path | Dataset) -> dict[str, Case]:
    if isinstance(references, Dataset):
        return {case.id: case for case in references.cases if case.label is not None}
    if references.is_file():
        return {_case_of(references).id: _case_of(references)}
    return {id: _case_of(path) for id, path in _unique(references, _label_maps(references), set()).items()}


def _predictions(predictions: Path, known: set[str]) -> dict[str, Path]:
    files = [predictions] if predictions.is_file() else _label_maps(predictions)
    found = _unique(predictions, files, known)
    if predictions.is_file() and not set(found) <= known:
        raise DataError(
            f"{predictions}: no reference is called '{next(iter(found))}'. Name the reference's file, or give the "
            "prediction the name of its case."
        )
    return found


def _label_maps(folder: Path) -> list[Path]:
    """Return the NIfTI files that lie directly in a folder, without probabilities."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such file or folder. Name a folder of label maps (.nii.gz, .nii) or one.")
    files = scans_in(folder)
    probabilities = {f"{stem(path)}_prob" for path in files}
    files = [path for path in files if stem(path) not in probabilities]
    if not files:
        raise DataError(f"{folder}: holds no .nii.gz or .nii file. Name the folder in which the label maps lie.")
    return files


def _unique(folder: Path, files: list[Path], known: set[str]) -> dict[str, Path]:
    """Name each file by its case: as it is called where that is a known id, else without what programs add to it."""
    found: dict[str, Path] = {}
    for path in files:
        id = _id_of(stem(path), known)
        if id in found:
            raise DataError(f"{folder}: {found[id].name} and {path.name} are both of case '{id}'. Take one out.")
        found[id] = path
    return found


def _id_of(name: str, known: set[str]) -> str:
    """Return the case that a file's name means; of an unknown one the name without `_seg`."""
    if name in known:
        return name
    bare = [name.removesuffix(added) for added in _ADDED if name.endswith(added)]
    return next((id for id in bare if id in known), name.removesuffix("_seg"))


def _case_of(path: Path) -> Case:
    id = stem(path).removesuffix("_seg")
    described = description_beside(path.parent)
    description = description_keys(described.parent) if described else {}
    subject, session = subject_and_session(id, description)
    return Case(id, {}, path, subject, site_of(id, description), session)


def _refuse(what: str, names: set[str], advice: str) -> None:
    if names:
        raise DataError(f"{what}: {_listed(names)}. {advice}")


def _count(names: Sequence[str] | set[str]) -> str:
    return f"{len(names)} case{'' if len(names) == 1 else 's'}"


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:_LISTED]) + (f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else "")
