"""From scans to prepared arrays: one volume for inference, a whole dataset for training."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import Fingerprint
from neuraxis.dataset.labels import Labels
from neuraxis.errors import DataError
from neuraxis.hardware import usable_cores
from neuraxis.preparation import steps
from neuraxis.preparation.estimate import estimate_needs, refuse_too_little_room, room_for_jobs_gb
from neuraxis.preparation.normalise import head_of, normalise
from neuraxis.preparation.prepared import Prepared
from neuraxis.preparation.previous import Previous
from neuraxis.preparation.space.gather import gather, reference_of
from neuraxis.preparation.store import Store
from neuraxis.preparation.turn import turn_of
from neuraxis.processes import Job
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.intensity import blocks_of_rows
from neuraxis.volume.volume import Volume
from neuraxis.workers import Limits, side_by_side

log = logging.getLogger("neuraxis")


def prepare_volume(
    volume: Volume,
    channels: tuple[str, ...],
    recipe: PreparationRecipe,
    label: np.ndarray | None = None,
    labels: Labels | None = None,
    previous: Previous | None = None,
) -> Prepared:
    """Turn, crop, resample and normalise a scan.

    Args:
        volume: (C, X, Y, Z), its channels in the order of `channels`; they lie on one grid, or apart where the recipe
            brings them together.
        channels: channel names, which choose the normalisation.
        recipe: the decisions.
        label: label map (X, Y, Z) on the same grid (of the reference channel), prepared along; of soft labels the
            shares (S, X, Y, Z) of the numbers in `labels.shared`.
        labels: what its numbers mean; needed with `label`.
        previous: what the first stage of a cascade found; its labels become channels after those of the scan.
    """
    if volume.channels != len(channels):
        raise ValueError(f"{volume.channels} channels were given where {', '.join(channels)} are needed.")
    gathered = gather(volume, channels, recipe)
    volume = gathered.volume
    turn = turn_of(volume.stored, recipe)
    array = turn.apply(volume.array)
    way = steps.plan_way(array, turn.grid(volume.grid), recipe, turn)
    if gathered.to_native is not None:
        way = replace(way, native=gathered.native, to_native=gathered.to_native)
    boxes = steps.cut(array, way)
    inside = head_of(boxes) if previous or "zscore_head" in recipe.normalisation.values() else None
    image = np.empty((len(channels) + (len(previous.numbers) if previous else 0), *way.shape), np.float32)
    if previous and inside is not None:
        previous.write(image[len(channels) :], way, recipe, inside)
        inside |= previous.cut(way) != 0  # nnU-Net normalises over these, too
    for box, name, out in zip(boxes, channels, image, strict=False):
        first = box if recipe.normalise_on == "resampled" else normalise(box, name, recipe, inside)
        resampled = steps.resample(first[None], way, recipe.image_order, recipe.clip_overshoot)[0]
        out[...] = normalise(resampled, name, recipe) if recipe.normalise_on == "resampled" else resampled
    if label is None or labels is None:
        return Prepared(image, way, warnings=gathered.warnings)
    brought = steps.cut(turn.apply(gathered.bring(label)), way)
    if labels.soft:
        return Prepared(image, way, labels.encode_shares(steps.resample_shares(brought, way)), gathered.warnings)
    resampled = steps.resample_target(brought, way, recipe.label_order)
    blocks = [labels.encode(resampled[rows]) for rows in blocks_of_rows(resampled)]  # it takes eight bytes a voxel
    return Prepared(image, way, np.concatenate(blocks, axis=1), gathered.warnings)


def prepare_case(case: Case, dataset: Dataset, recipe: PreparationRecipe) -> Prepared:
    """Read a labelled case and prepare it.

    Raises:
        DataError: a file is refused, image and label map do not share a grid, or a voxel is not finite.
    """
    volume, labels = case.read_images(apart=recipe.space != "native"), dataset.labels
    label = case.read_shares(labels.shared) if labels.soft else case.read_label()
    for name, single in zip(dataset.channels, volume.each, strict=True):
        channel = single.array
        if not np.isfinite(channel.sum(dtype=np.float64)) and not np.isfinite(channel).all():
            raise DataError(
                f"{case.id}: '{name}' holds NaN or infinity. Needed are finite numbers: export the scan again, or "
                "replace them."
            )
    native = reference_of(volume, dataset.channels, recipe)
    if not native.grid.matches(label.grid, SAME_VOXELS):
        raise DataError(
            f"{case.id}: image and label map do not share a grid: {native.grid.describe()} against "
            f"{label.grid.describe()}. Resample one onto the other or leave the case out."
        )
    drawn = label.array if labels.soft else label.array[0]
    prepared = prepare_volume(replace(volume, name=case.id), dataset.channels, recipe, drawn, labels)
    for warning in prepared.warnings:
        log.warning("%s: %s", case.id, warning)
    return prepared


def prepare_dataset(
    dataset: Dataset,
    recipe: PreparationRecipe,
    into: Path,
    progress: Progress | None = None,
    fingerprint: Fingerprint | None = None,
    workers: int = 0,
) -> Store:
    """Prepare every labelled case into a chunked store; cases that are there already are kept.

    The store is bound to the recipe and the files: where either changed, a case is prepared again. As many cases are
    under way at once as there are workers, and as fit into the memory that is free.

    Args:
        dataset: the cases.
        recipe: the decisions.
        into: folder of the store.
        progress: who shows how far it is; the size on disk is announced before.
        fingerprint: of the dataset; without it the sizes are read from the headers.
        workers: processes; 0 means one per usable core.

    Raises:
        DataError: a case is refused.
        ResourceError: disk or memory does not suffice, or a worker died; the message names the case.
    """
    store = Store(into)
    keys = _keys(dataset, recipe)
    open_cases = [case for case in dataset.cases if not store.holds(case.id, keys[case.id])]

    def work(case: Case) -> str:
        store.put(case.id, prepare_case(case, dataset, recipe), keys[case.id])
        return case.id

    needs = estimate_needs(open_cases, dataset, recipe, fingerprint)
    room = room_for_jobs_gb()
    jobs = [Job(case.id, case, need.memory_gb) for case, need in zip(open_cases, needs, strict=True)]
    if open_cases:
        log.info("%s: %s", into, refuse_too_little_room(needs, into))
        _tell_of_memory(jobs, workers, room)
        store.open_library()
    with (
        side_by_side(work, jobs, Limits(workers, room)) as results,  # before the stage, whose display may be a thread
        (progress or Silent()).stage("prepare", len(dataset.cases)) as stage,
    ):
        stage.advance(len(dataset.cases) - len(open_cases))
        for done in results:
            stage.advance(note=done)
        store.settle([case.id for case in dataset.cases])  # those of an earlier call that was killed, too
    return store


def _tell_of_memory(jobs: Sequence[Job[Case]], workers: int, room_gb: float) -> None:
    """Say where memory is what holds up the work."""
    largest = max(jobs, key=lambda job: job.memory_gb)
    if largest.memory_gb > room_gb:
        log.warning(
            "%s: needs about %.1f GiB of memory, %.1f GiB are free to use. It is prepared alone and may fail: close "
            "other programs, or take a larger machine.",
            largest.name,
            largest.memory_gb,
            room_gb,
        )
    elif largest.memory_gb * min(workers or usable_cores(), len(jobs)) > room_gb:
        log.info("cases of up to %.1f GiB: as many at once as fit into %.1f GiB", largest.memory_gb, room_gb)


def _keys(dataset: Dataset, recipe: PreparationRecipe) -> dict[str, str]:
    decisions = f"{recipe.model_dump_json()}|{dataset.channels}|{dataset.labels.model_dump_json()}"
    hashes = dataset.content_hashes()
    return {id: hashlib.sha256(f"{content}|{decisions}".encode()).hexdigest() for id, content in hashes.items()}
