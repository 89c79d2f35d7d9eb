"""The unlabelled scans that previews show, found and prepared before training begins."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence

import numpy as np

from neuraxis.dataset.case import Case
from neuraxis.errors import DataError, NeuraxisError, RecipeError, ResourceError, UsageError, suggest
from neuraxis.pipelines.scans import find_cases
from neuraxis.preparation.prepare import prepare_volume
from neuraxis.preparation.prepared import Prepared
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.recipe import Recipe

log = logging.getLogger("neuraxis")
MOST = 12


def find_scans(given: Sequence[str], recipe: Recipe, channels: tuple[str, ...]) -> tuple[Case, ...]:
    """Return the cases that files and folders hold, 12 at most.

    Args:
        given: files, folders, or CHANNEL=FILE, beside those that the recipe names.
        recipe: of the training.
        channels: of its scans.

    Raises:
        UsageError: the recipe makes no previews.
        DataError: there are none, or a case is incomplete or cannot be told from another.
    """
    if given and not recipe.previews.every:
        raise UsageError(
            "--preview: the recipe has previews.every = 0, so nothing would be shown. Leave one of them out."
        )
    scans = (*recipe.previews.files, *given) if recipe.previews.every else ()
    cases = []
    for order in find_cases(scans, channels)[:MOST] if scans else ():
        if order.case is None:
            raise order.problem or ValueError(f"{order.id}: has neither files nor a problem.")
        for file in order.case.images.values():
            if not file.path.is_file():
                raise DataError(f"{file.path}: no such file. Name scans to preview that are there.")
        cases.append(order.case)
    return tuple(cases)


def refuse_unknown_cases(recipe: Recipe, known: Sequence[str]) -> None:
    """Refuse a recipe that wants to see a case which the data do not have.

    Raises:
        RecipeError: with the nearest one.
    """
    for id in recipe.previews.cases:
        if id not in known:
            raise RecipeError(f"previews.cases: the data hold no case '{id}'. {suggest(id, list(known)[:20])}")


def prepare_scans(
    given: Sequence[str], recipe: Recipe, channels: tuple[str, ...], progress: Progress | None = None
) -> Mapping[str, Prepared]:
    """Find and prepare unlabelled scans as the network will see them; they lie in unnamed files, not in memory.

    By now a run has begun: scans that are gone or refused are told in the log and left out, and training goes on.

    Args:
        given: as for `find_scans`.
        recipe: of the training.
        channels: of its scans.
        progress: who shows how far it is.
    """
    prepared: dict[str, Prepared] = {}
    try:
        cases = find_scans(given, recipe, channels)
        if cases:
            with (progress or Silent()).stage("prepare the scans to preview", len(cases)) as stage:
                for case in cases:
                    found = prepare_volume(case.read_images(apart=True), channels, recipe.preparation)
                    prepared[case.id] = Prepared(_on_disk(found.image), found.way_back)
                    stage.advance(note=case.id)
    except NeuraxisError as error:
        log.warning("previews: %s Training goes on without it.", error)
    return prepared


def _on_disk(image: np.ndarray) -> np.ndarray:
    """Return the same values in a file that vanishes with the last one who reads it."""
    with tempfile.TemporaryFile(prefix="neuraxis-") as scratch:
        try:
            image.tofile(scratch)
            scratch.flush()
            return np.memmap(scratch, image.dtype, "r", shape=image.shape)
        except OSError as error:
            raise ResourceError(
                f"{tempfile.gettempdir()}: holds no {image.nbytes / 2**30:.1f} GiB for a scan to preview "
                f"({error.strerror}). Make room, or preview fewer scans."
            ) from error
