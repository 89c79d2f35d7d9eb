"""`segment`: new scans become segmentations on their own grids, each with a JSON sidecar.

Everything that can be refused is refused before the first prediction. In a batch a bad case does not stop the
others; `segment-summary.json` tells how each one went.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from neuraxis.bundle.bundle import ModelBundle, open_bundle
from neuraxis.dataset.prediction import DISCLAIMER, Prediction
from neuraxis.errors import DataError, NeuraxisError, ResourceError, UsageError
from neuraxis.files import refuse_existing, write_json
from neuraxis.inference.predictor import Predictor, PredictorOptions, Ready
from neuraxis.pipelines.scans import Order, find_cases
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import nifti
from neuraxis.volume.volume import Volume

SUMMARY = "segment-summary.json"
log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class SegmentOptions(PredictorOptions):
    """How scans are predicted, and whether results that exist already may be replaced."""

    overwrite: bool = False


@dataclass(frozen=True)
class SegmentResult:
    """How one case went.

    Attributes:
        case: its id.
        path: the segmentation's file; None where it failed.
        prediction: the content of its sidecar: model, volumes in mL, warnings.
        error: why it failed, in words.
        exit_code: 0, or that of the error.
    """

    case: str
    path: Path | None = None
    prediction: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    exit_code: int = 0


def segment(
    scans: str | Path | Sequence[str | Path],
    model: str | Path | ModelBundle,
    into: str | Path,
    options: SegmentOptions | None = None,
    progress: Progress | None = None,
) -> tuple[SegmentResult, ...]:
    """Segment scans with a model.

    Args:
        scans: files, folders, or `CHANNEL=FILE` pairs of one case (see `find_cases`).
        model: a bundle, or where it lies.
        into: folder for `CASE.nii.gz` and `CASE.json`, or a `.nii.gz` file where there is exactly one case.
        options: how they are predicted.
        progress: told how far it is.

    Returns:
        How each case went, by rising id; a case that failed is among them with its error.

    Raises:
        BundleError: the model is refused.
        DataError: nothing was found, or it cannot be told which files make a case.
        UsageError: a result exists already, or would replace a scan.
    """
    options, into = options or SegmentOptions(), Path(into)
    bundle = model if isinstance(model, ModelBundle) else open_bundle(model, options.cache)
    named = [scans] if isinstance(scans, str | Path) else scans
    orders = find_cases(named, bundle.channels, bundle.recipe.missing.by_channel)
    places = _places(orders, into)
    summary = into / SUMMARY if len(orders) > 1 else None
    _refuse_outputs(orders, [*places, *([summary] if summary else [])], options)
    results: list[SegmentResult] = []
    try:
        work = list(zip(orders, places, strict=True))
        _segment_each(work, bundle, options, progress or Silent(), results)
    finally:
        if summary and results:
            write_json(summary, _summary(results, orders, bundle))
    return tuple(results)


def _segment_each(
    work: Sequence[tuple[Order, Path]],
    bundle: ModelBundle,
    options: SegmentOptions,
    progress: Progress,
    results: list[SegmentResult],
) -> None:
    """Append each case's result to a list; where it is interrupted, of those that were predicted.

    Two threads work beside the networks: while a case is predicted, one reads and prepares the next, and the other
    writes the one before. The first scan is read while the networks load.
    """
    alone = len(work) == 1
    inner, outer = (progress, Silent()) if alone else (Silent(), progress)
    written: list[Future[SegmentResult]] = []
    with _thread("read") as reader, _thread("write") as writer:
        first = reader.submit(_read, work[0][0])
        predictor = Predictor(bundle, options)
        ready = reader.submit(lambda: predictor.prepare(first.result(), _channels(work[0][0])))
        following = iter([order for order, _ in work[1:]])
        try:
            with outer.stage("segment", len(work)) as stage:
                for order, place in work:
                    present = ready
                    if (coming := next(following, None)) is not None:
                        ready = reader.submit(_prepare, coming, predictor)
                    found = _tried(order, _predict, order, present, predictor, inner)
                    wait(written)
                    written.append(writer.submit(_tried, order, _save, order, found, place, options.overwrite))
                    stage.advance(note=order.id)
        finally:
            results += [future.result() for future in written]


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"neuraxis-{name}")


def _read(order: Order) -> Volume:
    if order.case is None:
        raise order.problem or DataError(f"{order.id}: has no image. Add one or leave the case out.")
    return order.case.read_images()


def _prepare(order: Order, predictor: Predictor) -> Ready:
    return predictor.prepare(_read(order), _channels(order))


def _channels(order: Order) -> tuple[str, ...]:
    return tuple(order.case.images) if order.case else ()


def _predict(order: Order, ready: Future[Ready], predictor: Predictor, progress: Progress) -> Prediction:
    seen = ready.result()
    if seen.missing:
        log.info("%s: %s missing, filled in as the model's card says", order.id, ", ".join(seen.missing))
    prediction = predictor.predict(seen, progress)
    about = {
        "case": order.id,
        "images": {name: str(file.path) for name, file in order.case.images.items()} if order.case else {},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return replace(prediction, provenance={**about, **prediction.provenance})


def _save(order: Order, found: Prediction | SegmentResult, place: Path, overwrite: bool) -> SegmentResult:
    if isinstance(found, SegmentResult):
        return found
    found.save(place, overwrite)
    return SegmentResult(order.id, place, found.sidecar())


def _tried(order: Order, step: Callable[..., Result], *arguments: Any) -> Result | SegmentResult:
    """Do a step of one case; whatever goes wrong is its result."""
    try:
        return step(*arguments)
    except NeuraxisError as error:
        return SegmentResult(order.id, error=str(error), exit_code=error.exit_code)
    except MemoryError:
        text = f"{order.id}: memory ran out. Close other programs, crop the scan or use a larger machine."
        return SegmentResult(order.id, error=text, exit_code=ResourceError.exit_code)
    except Exception as error:
        log.exception("%s: failed by a fault of the program", order.id)
        text = f"{order.id}: failed by a fault of the program ({type(error).__name__}: {error}). Please report it."
        return SegmentResult(order.id, error=text, exit_code=NeuraxisError.exit_code)


def _places(orders: Sequence[Order], into: Path) -> list[Path]:
    """Return the file of each case's segmentation."""
    if into.name.endswith(nifti.SUFFIXES):
        if len(orders) > 1:
            raise UsageError(f"{into}: is one file, but {len(orders)} cases were found. Name a folder with --into.")
        return [into]
    if into.exists() and not into.is_dir():
        raise UsageError(f"{into}: is a file that is no NIfTI. Name a folder, or a file that ends in .nii.gz.")
    return [into / f"{order.id}.nii.gz" for order in orders]


def _refuse_outputs(orders: Sequence[Order], outputs: Sequence[Path], options: SegmentOptions) -> None:
    """Refuse to replace a result without leave, and to replace a scan at all."""
    scans = {file.path.resolve() for order in orders if order.case for file in order.case.images.values()}
    written = [file for output in outputs for file in _written(output, options.probabilities)]
    for file in written:
        if file.resolve() in scans:
            raise UsageError(f"{file}: is one of the scans and would be replaced. Name another place with --into.")
    for file in written:
        refuse_existing(file, options.overwrite)


def _written(output: Path, probabilities: bool) -> list[Path]:
    """Return every file that is written for one output: a segmentation, its sidecar, its probabilities."""
    if output.suffix == ".json":
        return [output]
    stem = output.name.removesuffix(".gz").removesuffix(".nii")
    names = [output.name, f"{stem}.json", *([f"{stem}_prob.nii.gz"] if probabilities else [])]
    return [output.with_name(name) for name in names]


def _summary(results: Sequence[SegmentResult], orders: Sequence[Order], bundle: ModelBundle) -> dict[str, Any]:
    reached = {result.case for result in results}
    return {
        "model": bundle.name,
        "model_hash": bundle.hash,
        "done": sum(result.exit_code == 0 for result in results),
        "failed": sum(result.exit_code != 0 for result in results),
        "not_reached": [order.id for order in orders if order.id not in reached],
        "cases": [
            {
                "case": result.case,
                "path": result.path,
                "volumes_ml": result.prediction.get("volumes_ml", {}),
                "warnings": result.prediction.get("warnings", []),
                "error": result.error,
                "exit_code": result.exit_code,
            }
            for result in results
        ],
        "notice": DISCLAIMER,
    }
