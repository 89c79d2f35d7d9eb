"""What preparing takes, told from headers before any voxel is read: memory for each case, and room on disk."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from neuraxis.dataset.case import Case
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.fingerprint import Fingerprint
from neuraxis.errors import ResourceError
from neuraxis.hardware import available_memory_gb
from neuraxis.recipe.branches.space import WorkingSpace
from neuraxis.recipe.preparation import PreparationRecipe
from neuraxis.volume.formats import any_format

log = logging.getLogger("neuraxis")
SHARE_OF_MEMORY = 0.8

_BASE_GB = 0.1  # of a worker: what it changes of the memory that it shares, and what allocation wastes
_GROWTH = 1.02  # noise does not compress, and its chunks have heads
_FILES = 150_000  # bytes of a case whatever its size: voxels to centre patches on, heads of files


@dataclass(frozen=True)
class Need:
    """What preparing one case takes.

    Attributes:
        memory_gb: at its peak, in GiB.
        disk_bytes: at most, where voxels do not compress.
        is_sure: whether the box that is kept is known; else `disk_bytes` counts the whole scan.
    """

    memory_gb: float
    disk_bytes: int
    is_sure: bool = True


def estimate_needs(
    cases: Sequence[Case], dataset: Dataset, recipe: PreparationRecipe, fingerprint: Fingerprint | None = None
) -> tuple[Need, ...]:
    """Estimate every case, from the fingerprint where it is given, else from the headers of the scans.

    Raises:
        DataError: a header is refused.
    """
    seen = {case.id: case for case in fingerprint.cases} if fingerprint else {}
    space, needs = WorkingSpace.of(recipe), []
    for case in cases:
        if case.id in seen:
            known = seen[case.id]
            own, shape, cropped, spacing = known.shape, known.shape, known.cropped_shape, known.spacing_mm
        else:
            file = list(case.images.values())[recipe.reference_of(list(case.images))]
            grid = any_format.read_grid(file.path, file.series)[0]
            own, shape, cropped, spacing = grid.shape, grid.shape, grid.shape, grid.spacing_mm
        shape, cropped, spacing = space.shapes(shape, cropped, spacing)
        box = cropped if recipe.crop == "nonzero" else shape
        is_sure = case.id in seen or recipe.crop == "none"
        need = _need(shape, box, recipe.prepared_shape(box, spacing), dataset, is_sure)
        needs.append(_with_gathering(need, own, shape, dataset) if recipe.changes_scans else need)
    return tuple(needs)


def refuse_too_little_room(needs: Sequence[Need], folder: Path) -> str:
    """Say how much room the cases take, and refuse a disk that has less.

    Returns:
        A line such as "60 cases take up to 0.02 GB, 72 GB are free".

    Raises:
        ResourceError: less is free than needed.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    needed, free = sum(need.disk_bytes for need in needs), shutil.disk_usage(there).free
    line = f"{len(needs)} case{'s' * (len(needs) != 1)} take up to {_gb(needed)} GB, {_gb(free)} GB are free"
    if needed > free and all(need.is_sure for need in needs):
        raise ResourceError(f"{folder}: {line}. Make room, or name another place with --into.")
    return line


def room_for_jobs_gb() -> float:
    """Return the memory that cases under way may take together, in GiB."""
    return SHARE_OF_MEMORY * available_memory_gb()


def _need(
    grid: tuple[int, ...], box: tuple[int, ...], new: tuple[int, ...], dataset: Dataset, is_sure: bool = True
) -> Need:
    """Add up the arrays that are alive at the same time, in bytes a voxel.

    Reading: each channel as stored (4, one of them twice) and as float32 (4). Resampling: all channels before (4) and
    after (4), the label map (2), and one channel's copy and two stops on its way. Writing: the channels before and
    after, both label maps, and the target with the places of its voxels. Soft labels are read and resampled as float32
    (4, twice), and kept as float16.
    """
    channels, labels = len(dataset.channels), dataset.labels
    outputs = 2 * len(labels.shared) if labels.soft else len(labels.regions) or 1
    voxels, kept, prepared = math.prod(grid), math.prod(box), math.prod(new)
    shares = 8 * len(labels.shared) if labels.soft else 0
    held = voxels * (4 * channels + 2 + shares) + prepared * (4 * channels + shares)
    reading = voxels * (8 * channels + 8 + shares)
    resampling = held + 4 * kept + 8 * max(kept, prepared)
    writing = held + prepared * (4 + 9 * outputs)
    memory = _BASE_GB + max(reading, resampling, writing) / 2**30
    return Need(memory, int(_GROWTH * prepared * (4 * channels + outputs)) + _FILES, is_sure)


def _with_gathering(need: Need, own: tuple[int, ...], shape: tuple[int, ...], dataset: Dataset) -> Need:
    """Add what bringing a scan into another space takes: its channels before and after, and maps of one of them.

    How large channels with grids of their own are is taken to be as the reference channel.
    """
    before, after = math.prod(own), math.prod(shape)
    room = 8 * len(dataset.channels) * before + 4 * len(dataset.channels) * after + 24 * max(before, after)
    return Need(need.memory_gb + room / 2**30, need.disk_bytes, need.is_sure)


def _gb(count: float) -> str:
    return f"{count / 1e9:.2g}" if count < 1e10 else f"{count / 1e9:.0f}"
