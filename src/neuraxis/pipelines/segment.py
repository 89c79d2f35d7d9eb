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
from neuraxis.dataset.case import ImageFile
from neuraxis.dataset.prediction import DISCLAIMER, Prediction
from neuraxis.errors import DataError, NeuraxisError, ResourceError, UsageError
from neuraxis.files import refuse_existing, write_json
from neuraxis.inference.predictor import Predictor, PredictorOptions, Ready
from neuraxis.pipelines.forms.target import Target, open_target
from neuraxis.pipelines.prompting.wishes import HintGiver, PromptWishes
from neuraxis.pipelines.scans import Order, find_cases
from neuraxis.progress import Progress, Silent
from neuraxis.volume.formats import any_format
from neuraxis.volume.volume import Volume

SUMMARY = "segment-summary.json"
log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True)
class SegmentOptions(PredictorOptions):
    """How scans are predicted, in which forms results go out, and whether older ones may be replaced.

    Attributes:
        forms: names of further forms beside NIfTI, or "bids" alone (see: neuraxis catalog forms).
        overwrite: whether results that exist already are replaced.
        prompts: where prompts come from, for a model that is told where to look.
    """

    forms: tuple[str, ...] = ()
    overwrite: bool = False
    prompts: PromptWishes = field(default_factory=PromptWishes)


@dataclass(frozen=True)
class SegmentResult:
    """How one case went.

    Attributes:
        case: its id.
        path: the segmentation's file; None where it failed.
        more: files in the further forms that were asked for.
        prediction: the content of its sidecar: model, volumes in mL, warnings.
        error: why it failed, in words.
        exit_code: 0, or that of the error.
    """

    case: str
    path: Path | None = None
    more: tuple[Path, ...] = ()
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
        into: folder for `CASE.nii.gz` and `CASE.json`, or a `.nii.gz` file where there is exactly one case; in BIDS
            the folder of the derivatives.
        options: how they are predicted.
        progress: told how far it is.

    Returns:
        How each case went, by rising id; a case that failed is among them with its error.

    Raises:
        BundleError: the model is refused.
        DataError: nothing was found, or it cannot be told which files make a case.
        UsageError: a result exists already, or would replace a scan; or prompts cannot be used.
    """
    options, into = options or SegmentOptions(), Path(into)
    bundle = model if isinstance(model, ModelBundle) else open_bundle(model, options.cache)
    named = [scans] if isinstance(scans, str | Path) else scans
    orders = find_cases(named, bundle.channels, bundle.recipe.missing.by_channel)
    target = open_target(options.forms, into, {order.id: _scan(order) for order in orders}, bundle.labels, bundle.name)
    summary = target.summary_folder / SUMMARY if len(orders) > 1 else None
    outputs = [file for order in orders for file in target.files(order.id, options.probabilities)]
    _refuse_outputs(orders, [*outputs, *([summary] if summary else [])], options.overwrite)
    results: list[SegmentResult] = []
    try:
        _segment_each(orders, target, bundle, options, progress or Silent(), results)
    finally:
        if summary and results:
            write_json(summary, _summary(results, orders, bundle))
    return tuple(results)


def _segment_each(
    orders: Sequence[Order],
    target: Target,
    bundle: ModelBundle,
    options: SegmentOptions,
    progress: Progress,
    results: list[SegmentResult],
) -> None:
    """Append each case's result to a list; where it is interrupted, of those that were predicted.

    Two threads work beside the networks: while a case is predicted, one reads and prepares the next, and the other
    writes the one before. The first scan is read while the networks load.
    """
    alone, giver = len(orders) == 1, HintGiver(options.prompts, bundle, options)
    inner, outer = (progress, Silent()) if alone else (Silent(), progress)
    written: list[Future[SegmentResult]] = []
    with _thread("read") as reader, _thread("write") as writer:
        first = reader.submit(_read, orders[0])
        predictor = Predictor(bundle, options)
        ready = reader.submit(lambda: _examine(orders[0], first.result(), predictor, giver))
        following = iter(orders[1:])
        try:
            with outer.stage("segment", len(orders)) as stage:
                for order in orders:
                    present = ready
                    if (coming := next(following, None)) is not None:
                        ready = reader.submit(_prepare, coming, predictor, giver)
                    found = _tried(order, _predict, order, present, predictor, inner)
                    wait(written)
                    written.append(writer.submit(_tried, order, _save, order, found, target, options.overwrite))
                    stage.advance(note=order.id)
        finally:
            results += [future.result() for future in written]


def _thread(name: str) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix=f"neuraxis-{name}")


def _read(order: Order) -> Volume:
    if order.case is None:
        raise order.problem or DataError(f"{order.id}: has no image. Add one or leave the case out.")
    return order.case.read_images(apart=True)


def _prepare(order: Order, predictor: Predictor, giver: HintGiver) -> Ready:
    return _examine(order, _read(order), predictor, giver)


def _examine(order: Order, scan: Volume, predictor: Predictor, giver: HintGiver) -> Ready:
    return predictor.prepare(scan, _channels(order), giver.hints(order.id, scan))


def _channels(order: Order) -> tuple[str, ...]:
    return tuple(order.case.images) if order.case else ()


def _predict(order: Order, ready: Future[Ready], predictor: Predictor, progress: Progress) -> Prediction:
    seen = ready.result()
    if seen.missing:
        log.info("%s: %s missing, filled in as the model's card says", order.id, ", ".join(seen.missing))
    prediction = predictor.predict(seen, progress)
    about = {
        "case": order.id,
        "images": {name: _told(file) for name, file in order.case.images.items()} if order.case else {},
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return replace(prediction, provenance={**about, **prediction.provenance})


def _told(file: ImageFile) -> str:
    """Return where an image lies as a sidecar may say it."""
    return any_format.shown(file.path) + (f":{file.series}" if file.series else "")


def _save(order: Order, found: Prediction | SegmentResult, target: Target, overwrite: bool) -> SegmentResult:
    if isinstance(found, SegmentResult):
        return found
    place, *more = target.write(order.id, found, overwrite)
    return SegmentResult(order.id, place, tuple(more), found.sidecar())


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


def _scan(order: Order) -> ImageFile | None:
    """Return the scan whose grid the result is on: the first channel that is there."""
    return next(iter(order.case.images.values()), None) if order.case else None


def _refuse_outputs(orders: Sequence[Order], outputs: Sequence[Path], overwrite: bool) -> None:
    """Refuse to replace a result without leave, and to replace a scan at all."""
    scans = {file.path.resolve() for order in orders if order.case for file in order.case.images.values()}
    for file in outputs:
        if file.resolve() in scans:
            raise UsageError(f"{file}: is one of the scans and would be replaced. Name another place with --into.")
    for file in outputs:
        refuse_existing(file, overwrite)


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
                "more": result.more,
                "volumes_ml": result.prediction.get("volumes_ml", {}),
                "warnings": result.prediction.get("warnings", []),
                "error": result.error,
                "exit_code": result.exit_code,
            }
            for result in results
        ],
        "notice": DISCLAIMER,
    }
