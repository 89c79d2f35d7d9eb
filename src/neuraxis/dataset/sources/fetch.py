"""From a dataset's name to a folder that is whole: licence, download, check, unpacking, and the lock beside it.

Everything comes into `INTO.part` first, archives and files alike, and goes on there after a cut. Archives are unpacked
within it, and only what is complete gets the folder's name.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from neuraxis.dataset.sources.annex import take_pointers
from neuraxis.dataset.sources.listing import list_bucket
from neuraxis.dataset.sources.lock import Checked, Lock, LockedFile, lock_path, now, read_lock, write_lock
from neuraxis.dataset.sources.pairing import write_pairs
from neuraxis.dataset.sources.source import Annex, Source, SourceFile, find_source
from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.files import ExtractionLimits, extract_tar, extract_zip, folder_lock, sha256
from neuraxis.net.download import FetchOptions, fetch_file
from neuraxis.net.remote import RemoteFile, measure
from neuraxis.net.stream import fetch_stream
from neuraxis.net.web import Patience, offline_error
from neuraxis.progress import Progress, Silent

LIMITS = ExtractionLimits(members=500_000, total_bytes=200 * 2**30, ratio=1100)  # deflate itself ends at 1032
_OF_POINTERS = replace(LIMITS, links_as_text=True)
_ARCHIVES, _FILES = "archives", "files"
_FEW = 12  # files that are shown and noted one by one
_ANOTHER = ("sent another file", "offers", "sends more")


@dataclass(frozen=True)
class SourceOptions:
    """How a dataset is fetched.

    Attributes:
        accept_licence: the licence was read and is accepted.
        ask: asked with the dataset where `accept_licence` is not set; tells whether the licence is accepted.
        offline: open no connection.
        patience: how long servers are waited for.
    """

    accept_licence: bool = False
    ask: Callable[[Source], bool] | None = None
    offline: bool = False
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class FetchedDataset:
    """What came of it.

    Attributes:
        name: of the dataset.
        path: its folder; None where a person must do it.
        fetched: whether it came over the net; False where it was there already.
        on_trust: files nobody has published a hash of, so that the first download decides.
        lock: the file that tells what came.
        steps: what a person must do, where no program may fetch it.
    """

    name: str
    path: Path | None
    fetched: bool = False
    on_trust: int = 0
    lock: Path | None = None
    steps: tuple[str, ...] = ()


def fetch_dataset(
    name: str, into: Path | str | None = None, options: SourceOptions | None = None, progress: Progress | None = None
) -> FetchedDataset:
    """Fetch a public dataset from its source, or say how a person gets it.

    Args:
        name: as `neuraxis dataset list` shows it.
        into: the folder to make; None takes the dataset's name in the current folder.
        options: licence, offline, patience.
        progress: who shows how far it is.

    Raises:
        UnknownName: no dataset is called so.
        UsageError: the licence is not accepted, or the folder holds something else.
        BundleError: a file cannot be fetched, is wrong, or is not what came the first time.
        ResourceError: the disk is full, or another process is fetching it.
    """
    source = find_source(name)
    return fetch_source(source, Path(os.path.abspath(into or name)), options or SourceOptions(), progress or Silent())


def fetch_source(source: Source, into: Path, options: SourceOptions, progress: Progress) -> FetchedDataset:
    """Fetch a dataset of which all is known (see `fetch_dataset`)."""
    if source.steps:
        return FetchedDataset(source.name, None, steps=source.steps)
    lock = read_lock(into)
    if lock is not None and lock.dataset != source.name:
        raise UsageError(f"{lock_path(into)}: is of the dataset {lock.dataset[:60]!a}. Name another place with --into.")
    if into.exists():
        if lock is None:
            raise UsageError(f"{into} exists already, and no fetch made it. Name another place with --into.")
        return FetchedDataset(source.name, into, on_trust=lock.on_trust, lock=lock_path(into))
    if options.offline:
        raise offline_error(f"{source.name}: is not at {into}")
    _accept(source, options)
    lock = lock or Lock(dataset=source.name, licence=_licence(source), accepted=now())
    part = into.with_name(into.name + ".part")
    with folder_lock(part):
        try:
            made = _fetch_all(source, part, into, (lock, options), progress)
            os.replace(made, into)
        except OSError as error:
            raise ResourceError(f"{into}: cannot be written ({error.strerror}). Choose another --into.") from error
        finally:
            if into.exists() or not any(path.is_file() and path.name != ".lock" for path in part.rglob("*")):
                shutil.rmtree(part, ignore_errors=True)
    found = read_lock(into) or lock
    return FetchedDataset(source.name, into, True, found.on_trust, lock_path(into))


def _accept(source: Source, options: SourceOptions) -> None:
    if options.accept_licence or (options.ask is not None and options.ask(source)):
        return
    page = f" ({source.licence.stated_at[0]})" if source.licence else ""
    raise UsageError(
        f"{source.name}: its licence is {_licence(source)}{page}. Read it, and accept it with --accept-licence."
    )


def _licence(source: Source) -> str:
    return source.licence.says if source.licence else "not stated"


def _fetch_all(source: Source, part: Path, into: Path, settled: tuple[Lock, SourceOptions], progress: Progress) -> Path:
    """Fetch and unpack everything below `part`; return the folder that is the dataset."""
    lock, options = settled
    files = source.every_file()
    if source.listing is not None:
        files = (*files, *list_bucket(source.listing, options.patience))
    lock = _fetch_files(files, part, into, (lock, options.patience), progress)
    unpacked = part / _FILES
    held: tuple[SourceFile, ...] = ()
    for file in files:
        if file.unpack:
            with progress.stage(f"unpack {file.path}", 1) as stage:
                held += _unpack(file, part / _ARCHIVES / file.path, unpacked, source.annex)
                stage.advance(1)
    _fetch_files(held, part, into, (lock, options.patience), progress)
    made = unpacked / source.top if source.top else unpacked
    if not made.is_dir():
        raise BundleError(f"{source.name}: its archive has no folder {source.top!a}. It may have been rearranged.")
    if source.pairs is not None:
        write_pairs(made, source.pairs, source.name)
    return made


def _fetch_files(
    files: tuple[SourceFile, ...], part: Path, into: Path, settled: tuple[Lock, Patience], progress: Progress
) -> Lock:
    """Fetch files to their places below `part`; return the lock with all of them, which is written also after a cut."""
    if not files:
        return settled[0]
    lock, patience = settled
    many = len(files) > _FEW
    try:
        with progress.stage(f"fetch {lock.dataset}, files", len(files)) as stage:
            for file in files:
                known = lock.files.get(file.path)
                place = part / (_ARCHIVES if file.unpack else _FILES) / file.path
                _fetch_one(lock.dataset, file, place, (known, patience), Silent() if many else progress)
                lock = _noted(lock, file, place, known)
                stage.advance(1, file.path)
                if not many:
                    write_lock(into, lock)
    finally:
        if lock.files:
            write_lock(into, lock)
    return lock


def _fetch_one(
    name: str, file: SourceFile, place: Path, known: tuple[LockedFile | None, Patience], progress: Progress
) -> None:
    """Fetch one file, against its published hash, or against what came the first time."""
    first, patience = known
    label = file.path if len(file.path) < 60 else f"...{file.path[-57:]}"
    expected = file.sha256 or (first.sha256 if first and not file.md5 else "")
    size = file.size or (first.size if first else None) or measure(file.url, patience)
    place.parent.mkdir(parents=True, exist_ok=True)
    if size is None:
        if not place.exists():
            fetch_stream(label, file.url, place, patience, progress)
        if expected and sha256(place) != expected:
            place.unlink()
            raise _changed(name, file)
        return
    remote = RemoteFile(label, (file.url,), size, expected, file.md5, on_trust=not (expected or file.md5))
    try:
        fetch_file(remote, place, FetchOptions(overwrite=True, patience=patience), progress)
    except BundleError as error:
        published = file.size or file.sha256 or file.md5
        if first is not None and not published and any(words in str(error) for words in _ANOTHER):
            raise _changed(name, file) from error
        raise


def _changed(name: str, file: SourceFile) -> BundleError:
    return BundleError(
        f"{name}: {file.path} is not what came the first time, as the lock beside the folder tells. Where the "
        "publisher has replaced it on purpose, remove the lock and fetch again."
    )


def _noted(lock: Lock, file: SourceFile, place: Path, known: LockedFile | None) -> Lock:
    """Return the lock with a file that has come."""
    found = sha256(place)
    if known is not None and known.sha256 != found:
        raise _changed(lock.dataset, file)
    checked: Checked = "published" if file.sha256 or file.md5 else "first download"
    entry = LockedFile(url=file.url, size=place.stat().st_size, sha256=found, checked_with=checked)
    return lock.model_copy(update={"files": {**lock.files, file.path: entry}})


def _unpack(file: SourceFile, archive: Path, into: Path, annex: Annex | None) -> tuple[SourceFile, ...]:
    """Unpack an archive beside the others; return the files that it holds as pointers alone.

    What a cut left half done is done anew. What pointers stand for and was fetched before stays in its place.
    """
    fresh = archive.with_name(archive.name + ".unpacked")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    limits = LIMITS if annex is None else _OF_POINTERS
    (extract_tar if file.unpack == "tar" else extract_zip)(archive, fresh, limits)
    held = () if annex is None else take_pointers(fresh, annex)
    _merge(fresh, into)
    return held


def _merge(fresh: Path, into: Path) -> None:
    """Move what was unpacked to the rest; folders that are there already are joined."""
    into.mkdir(parents=True, exist_ok=True)
    for path in sorted(fresh.iterdir()):
        target = into / path.name
        if path.is_dir() and target.is_dir():
            _merge(path, target)
        else:
            os.replace(path, target)
    fresh.rmdir()
