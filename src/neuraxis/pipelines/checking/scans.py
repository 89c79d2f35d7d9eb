"""The checks of a training on scans that are to be segmented, with or without the model that is to do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.case import Case, ImageFile
from neuraxis.dataset.checks.check import in_order
from neuraxis.dataset.checks.examination import examine_case
from neuraxis.dataset.checks.finding import Finding
from neuraxis.dataset.checks.traits import note_traits
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.labels import Labels
from neuraxis.dataset.layouts.recognise import recognising
from neuraxis.errors import DataError
from neuraxis.pipelines.scans import Order, every_series, find_cases
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.any_format import ending_of, is_scan, stem
from neuraxis.volume.formats.dicom.dicom import is_part
from neuraxis.workers import map_in_order

UNLIKE = 2.0
_NO_LABELS = Labels(names={"background": 0, "label": 1})


@dataclass(frozen=True)
class CheckedScan:
    """One scan and what was found.

    Attributes:
        case: its files; None where a model finds too few.
        id: its name.
        grid: its shape, spacing and orientation in words; empty where it could not be read.
        findings: errors first.
    """

    case: Case | None
    id: str
    grid: str
    findings: tuple[Finding, ...]


def check_scans(scans: Sequence[Path | str], model: ModelBundle | Path | str | None = None) -> tuple[CheckedScan, ...]:
    """Look for what would spoil a segmentation.

    Args:
        scans: files, or folders of DICOM; with a model also folders and `CHANNEL=FILE` pairs, as `segment` takes them.
        model: what they are to be segmented with: its channels must be there, its spacing is compared.

    Raises:
        DataError: nothing was found, or it cannot be told which files make a case.
        BundleError: the model is refused.
    """
    if model is None:
        missing = next((scan for scan in scans if not Path(scan).exists()), None)
        if missing is not None:
            raise DataError(f"{missing}: no such file. Name a scan.")
        orders = tuple(order for path in map(Path, scans) for order in _orders(path))
        return tuple(map_in_order(lambda order: _check(order, None), orders))
    bundle = model if isinstance(model, ModelBundle) else open_bundle(model)
    orders = find_cases(scans, bundle.channels, bundle.recipe.missing.by_channel)
    return tuple(map_in_order(lambda order: _check(order, bundle), orders))


def is_loose(path: Path) -> bool:
    """Tell whether a path holds scans that belong to no dataset: a file, or a folder of DICOM of no known layout."""
    if path.is_dir():
        return is_part(path) and not recognising(path)
    return is_scan(path) or is_part(path)


def dataset_of_scans(paths: Sequence[Path]) -> Dataset:
    """Return scans that belong to no dataset as one without labels, each as its only channel, "image".

    Raises:
        DataError: none of them can be told apart as a scan.
    """
    orders = [order for path in paths for order in _orders(path)]
    cases = tuple(order.case for order in orders if order.case is not None)
    if not cases:
        problem = next((order.problem for order in orders if order.problem), None)
        raise problem or DataError(f"{paths[0]}: holds no scan. Name a file, or a folder of DICOM.")
    plain = tuple(replace(case, images={"image": next(iter(case.images.values()))}) for case in cases)
    name, modality = any_format.shown(paths[0]), {"image": "MRI"}
    return Dataset(
        Path(name).name, paths[0], "scans", ("image",), modality, _NO_LABELS, (), plain,
        notes=tuple(f"{order.id}: {order.problem}".rstrip(".") for order in orders if order.problem),
    )  # fmt: skip


def _orders(path: Path) -> tuple[Order, ...]:
    if is_part(path) and not is_scan(path):
        try:
            return every_series(path)
        except DataError as error:
            return (Order(Path(any_format.shown(path)).name, problem=error),)
    return (Order(_id(path), Case(_id(path), {"image": ImageFile(path)})),)


def _id(path: Path) -> str:
    return stem(path) if ending_of(path) else path.name


def _check(order: Order, bundle: ModelBundle | None) -> CheckedScan:
    if order.case is None:
        message, _, advice = str(order.problem or f"{order.id}: has no image").partition(". ")
        finding = Finding(order.id, "error", "channel_missing", message, advice or "Add its files.")
        return CheckedScan(None, order.id, "", (finding,))
    seen = examine_case(order.case, _NO_LABELS)
    if bundle is not None and seen.grid is not None:
        usual = bundle.card["training_data"]["median_spacing_mm"] or bundle.recipe.preparation.spacing_mm
        pairs = zip(sorted(seen.grid.spacing_mm), sorted(usual), strict=False)
        apart = [max(a / b, b / a) for a, b in pairs if a and b]
        if apart and max(apart) > UNLIKE:
            words = ", ".join(f"{size:g}" for size in usual)
            message = f"the scan has {seen.grid.describe()}; the model learned at about {words} mm"
            seen.report("warning", "spacing_unlike", message, "Judge the segmentation with care.")
    notes = (_of_one(note, order.id) for note in note_traits({order.id: seen.traits}))
    grid = seen.grid.describe() if seen.grid else ""
    return CheckedScan(order.case, order.id, grid, in_order([*seen.findings, *notes]))


def _of_one(note: Finding, id: str) -> Finding:
    """Return a note about one case of a dataset as one about that case alone."""
    return replace(note, case=id, message=note.message.removeprefix("1 case ").removesuffix(f" ({id})"))
