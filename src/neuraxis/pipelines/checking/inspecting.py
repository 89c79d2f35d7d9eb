"""`inspect`: a dataset as one page, in bounded memory, and going on where a killed inspection ended.

Each case is read once, by one worker, and what is kept of it goes as a line into a file beside the page. The line bears
a key of the case's files (names, sizes, times of change), so that an unchanged case is not read again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from neuraxis._version import __version__
from neuraxis.dataset.case import Case
from neuraxis.dataset.checks.check import Survey
from neuraxis.dataset.dataset import Dataset
from neuraxis.dataset.opening import Place
from neuraxis.errors import DataError, ResourceError, UsageError
from neuraxis.files import refuse_existing, write_text
from neuraxis.pipelines.checking.scans import dataset_of_scans, is_loose
from neuraxis.pipelines.runs.data import open_all
from neuraxis.preparation.estimate import room_for_jobs_gb
from neuraxis.processes import Job
from neuraxis.progress import Progress, Silent
from neuraxis.recipe.branches.labels import AS_STORED, LabelRecipe
from neuraxis.registry import need
from neuraxis.report.inspection.page import Inspection, inspection_html
from neuraxis.report.inspection.portrait import Portrait, portray
from neuraxis.report.inspection.thumbnail import Size
from neuraxis.volume.formats import any_format
from neuraxis.workers import Limits, side_by_side

log = logging.getLogger("neuraxis")
BYTES_A_VOXEL = 40  # of the largest channel, as it is sketched and counted
FORMAT = 2


@dataclass(frozen=True)
class Inspected:
    """Where the page is, and what stands on it."""

    page: Path
    inspection: Inspection


def inspect(
    datasets: Dataset | Place | Path | str | Sequence[Place | Path | str],
    into: Path | str = "inspection.html",
    progress: Progress | None = None,
    overwrite: bool = False,
    labels: LabelRecipe = AS_STORED,
) -> Inspected:
    """Describe a dataset on one page of HTML: sites, geometry, intensities, labels, pictures, outliers, findings.

    Args:
        datasets: one opened, or where one or several lie, which are joined; they may have no labels at all, and
            be single scans or a folder of DICOM.
        into: the page; `.jsonl` beside it holds what is known of each case, and may be deleted.
        progress: told how far it is.
        overwrite: whether a page that is there is replaced.
        labels: what the label maps become, where `datasets` is not opened yet.

    Raises:
        DataError: it is no dataset, or holds no case.
        UsageError: the page exists, or does not end in .html.
        MissingExtra: Pillow is not installed.
        ResourceError: a worker died, or the page cannot be written.
    """
    need("PIL", "report")
    began, into = time.monotonic(), Path(into)
    if into.suffix != ".html":
        raise UsageError(f"{into}: the page needs a name that ends in .html.")
    refuse_existing(into, overwrite)
    opened = datasets if isinstance(datasets, Dataset) else _opened(datasets, labels)
    if not (*opened.cases, *opened.unlabelled):
        raise DataError(f"{opened.root}: holds no case. Name a folder with scans.")
    portraits = _portray_all(opened, into.with_suffix(".jsonl"), progress or Silent())
    survey = Survey(opened)
    for portrait in portraits:
        survey.add(portrait.findings, portrait.counts, portrait.sketches, portrait.traits)
    facts = {
        "folder": opened.root.name,
        "neuraxis": __version__,
        "made": datetime.now(UTC).isoformat(timespec="minutes"),
        "cases": str(len(portraits)),
        "took": f"{time.monotonic() - began:.0f} s",
    }
    inspection = Inspection(opened, portraits, survey.findings(), facts)
    write_text(into, inspection_html(inspection), overwrite)
    return Inspected(into, inspection)


def _opened(datasets: Place | Path | str | Sequence[Place | Path | str], labels: LabelRecipe) -> Dataset:
    places = [datasets] if isinstance(datasets, Place | Path | str) else list(datasets)
    paths = [place.path if isinstance(place, Place) else Path(place) for place in places]
    return dataset_of_scans(paths) if paths and all(map(is_loose, paths)) else open_all(places, labels)


def _portray_all(dataset: Dataset, cache: Path, progress: Progress) -> list[Portrait]:
    cases = (*dataset.cases, *dataset.unlabelled)
    size = Size.of(len(cases))
    keys = [_key(case, dataset, size) for case in cases]
    known = _known(cache, set(keys))
    waiting = [number for number, key in enumerate(keys) if key not in known]
    jobs = [Job(cases[number].id, number, _memory_gb(cases[number])) for number in waiting]

    def work(number: int) -> dict[str, object]:
        return {"key": keys[number], "portrait": portray(cases[number], dataset, size).to_dict()}

    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        stream = cache.open("a", encoding="utf-8")
    except OSError as error:
        raise ResourceError(f"{cache}: cannot be written ({error.strerror}). Choose another --into.") from error
    with (
        stream,
        side_by_side(work, jobs, Limits(room_gb=room_for_jobs_gb())) as results,
        progress.stage("inspect", len(cases)) as stage,
    ):
        stage.advance(len(cases) - len(jobs))
        for done in results:
            known[done["key"]] = Portrait.from_dict(done["portrait"])
            stream.write(json.dumps(done, separators=(",", ":")) + "\n")
            stream.flush()
            stage.advance(note=known[done["key"]].case)
    return [known[key] for key in keys]


def _known(cache: Path, wanted: set[str]) -> dict[str, Portrait]:
    """Return the cases that an earlier inspection described; a line that was cut off is passed over."""
    found = {}
    for line in _lines(cache):
        try:
            content = json.loads(line)
            if content["key"] in wanted:
                found[content["key"]] = Portrait.from_dict(content["portrait"])
        except (ValueError, KeyError, TypeError):
            log.debug("%s: a line cannot be read and is passed over", cache)
    return found


def _lines(cache: Path) -> Iterator[str]:
    """Yield the lines of a file; one that ends without a newline is closed, so that the next begins by itself."""
    if not cache.is_file():
        return
    with cache.open("r+", encoding="utf-8", errors="replace") as stream:
        line = "\n"
        for line in stream:
            yield line
        if not line.endswith("\n"):
            stream.seek(0, 2)
            stream.write("\n")


def _key(case: Case, dataset: Dataset, size: Size) -> str:
    """Return a hash of what a case's description depends on: its files as they lie, channels, labels, picture size."""
    files = [file.path for file in case.images.values()] + list(case.label_files)
    lies: list[object] = []
    for path in files:
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            try:
                status = file.stat()
                lies.append([file.name, status.st_size, status.st_mtime_ns])
            except OSError:
                lies.append([file.name, -1, 0])
    images = {name: [str(file.path), file.index, file.series] for name, file in case.images.items()}
    about: Mapping[str, object] = {
        "format": FORMAT,
        "version": __version__,
        "case": [case.id, case.site, case.subject, case.session, images, [str(path) for path in case.label_files]],
        "coding": case.coding.model_dump(mode="json"),
        "files": lies,
        "dataset": [dataset.channels, dataset.modality, dataset.labels.model_dump(mode="json")],
        "size": [size.side, size.most_bytes],
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _memory_gb(case: Case) -> float:
    """Return what reading and describing a case takes, in GiB; of what cannot be read, nothing."""
    channels, largest = 0.0, 0
    for key in {(file.path, file.series) for file in case.images.values()}:
        try:
            grid, count = any_format.read_grid(*key)
        except DataError:
            continue
        voxels = grid.shape[0] * grid.shape[1] * grid.shape[2]
        channels += 8.0 * voxels * count
        largest = max(largest, voxels)
    return (channels + BYTES_A_VOXEL * largest) / 2**30
