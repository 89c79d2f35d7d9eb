"""Files that are whole or not there: atomic writing, locks, hashes, and the one safe extraction of archives."""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import json
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from neuraxis.errors import BundleError, DataError, ResourceError, UsageError

MAX_MEMBERS = 10_000
MAX_EXTRACTED_BYTES = 20 * 2**30
MAX_RATIO = 200


@dataclass(frozen=True)
class ExtractionLimits:
    """What an archive may hold at most.

    Attributes:
        members: files and folders.
        total_bytes: of all files together, unpacked.
        ratio: of a file's size to what it takes in the archive.
        links_as_text: whether a link in a zip becomes a file that holds its target; else the archive is refused.
    """

    members: int = MAX_MEMBERS
    total_bytes: int = MAX_EXTRACTED_BYTES
    ratio: int = MAX_RATIO
    links_as_text: bool = False


USUAL_LIMITS = ExtractionLimits()
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES}


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `UsageError` where `path` exists and overwriting was not asked for."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists already. Name another place with --into, or allow it with --overwrite.")


@contextlib.contextmanager
def atomic_path(path: Path, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside `path`; on success it is synced to disk and renamed to `path`.

    After an exception nothing is left behind, and an existing `path` is untouched. The temporary name keeps
    the suffixes of `path`, so that writers which look at them behave.

    Raises:
        UsageError: `path` exists and `overwrite` is false.
        ResourceError: the folder cannot be written to, or the disk is full.
    """
    path = Path(path)
    refuse_existing(path, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".part-", suffix=path.name[-60:], dir=path.parent)
    except OSError as error:
        why = f"cannot be written to ({error.strerror})"
        raise ResourceError(f"{path.parent}: {why}. Choose another --into.") from error
    os.close(handle)
    part = Path(name)
    try:
        yield part
        sync(part)
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
        sync(path.parent)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(part)):
            raise ResourceError(f"{path}: could not be written ({error.strerror}).") from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str, overwrite: bool = True) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path, overwrite) as part:
        part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def whole_folder(into: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `into`; it gets its name when it is complete, else nothing is left.

    Raises:
        UsageError: `into` exists and is no empty folder.
        ResourceError: the folder above cannot be written to.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{into} exists already and is not empty. Name another place with --into.")
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=into.parent))
    except OSError as error:
        why = f"cannot be written to ({error.strerror})"
        raise ResourceError(f"{into.parent}: {why}. Choose another --into.") from error
    try:
        yield part
        part.chmod(0o777 & ~_umask())
        os.replace(part, into)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Iterable[object]], overwrite: bool = True) -> None:
    """Write a table atomically, a header and lines of as many cells."""
    with atomic_path(path, overwrite) as part, part.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(header)
        table.writerows(lines)


def write_json(path: Path, content: Any, overwrite: bool = True) -> None:
    """Write JSON atomically; NaN and infinity become null, as strict readers need it."""
    write_text(path, json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n", overwrite)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        DataError: it is missing or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Name a JSON file.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not valid JSON ({error}). Mend or remove it.") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the only writer's place in `folder`; the system frees it when the process dies, however it dies.

    Raises:
        ResourceError: another process holds it, or the folder cannot be written to.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("w")
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be written to ({error.strerror}). Choose another --into.") from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ResourceError(
                f"{folder}: another neuraxis process is writing here. Wait for it or name another --into."
            ) from error
        yield


def extract_zip(archive: Path, into: Path, limits: ExtractionLimits = USUAL_LIMITS) -> None:
    """Extract a zip whose every member was checked first: no code runs and nothing leaves `into`.

    Raises:
        BundleError: not a zip, or a member that is absolute, climbs out, is a link, comes twice or is a bomb.
    """
    with _refusing(archive, into, "zip"), zipfile.ZipFile(archive) as content:
        members = content.infolist()
        check_members(archive, members, limits)
        for member in members:
            content.extract(member, into)


def extract_tar(archive: Path, into: Path, limits: ExtractionLimits = USUAL_LIMITS) -> None:
    """Extract a tar, packed or not, of folders and plain files alone; owners, rights and times are not taken over.

    Raises:
        BundleError: not a tar, or a member that is absolute, climbs out, is a link or device, comes twice, or is too
            much. What came before it lies in `into` then.
    """
    seen: set[str] = set()
    total = 0
    with _refusing(archive, into, "tar"), tarfile.open(archive, "r:*") as content:
        for count, member in enumerate(content, 1):
            path = _checked_path(archive, member.name, seen)
            total += member.size
            if count > limits.members:
                raise BundleError(f"{archive}: holds more than {limits.members} files. It is refused.")
            if total > limits.total_bytes:
                raise BundleError(f"{archive}: unpacks to more than {limits.total_bytes >> 30} GiB. It is refused.")
            if member.isdir():
                (into / path).mkdir(parents=True, exist_ok=True)
                continue
            source = content.extractfile(member) if member.isreg() else None
            if source is None:
                raise BundleError(f"{archive}: member {member.name!a} is a link or device. The archive is refused.")
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            with source, (into / path).open("xb") as target:
                shutil.copyfileobj(source, target, 2**20)


@contextlib.contextmanager
def _refusing(archive: Path, into: Path, kind: str) -> Iterator[None]:
    """Turn what goes wrong while unpacking into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            why = f"cannot be written to ({error.strerror})"
            raise ResourceError(f"{into}: {why}. Make room or choose another folder.") from error
        raise BundleError(f"{archive}: cannot be unpacked ({error.strerror or error}). Fetch it again.") from error
    except (
        zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error, EOFError, ValueError, RuntimeError
    ) as error:  # fmt: skip
        raise BundleError(f"{archive}: is not a readable {kind} archive ({error}). Fetch it again.") from error


def check_members(archive: Path, members: list[zipfile.ZipInfo], limits: ExtractionLimits = USUAL_LIMITS) -> None:
    """Refuse an archive with a member that must not be extracted (see `extract_zip`)."""
    if len(members) > limits.members:
        raise BundleError(f"{archive}: holds {len(members)} files, more than {limits.members}. It is refused.")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        _checked_path(archive, name, seen)
        if stat.S_ISLNK(member.external_attr >> 16) and not limits.links_as_text:
            raise BundleError(f"{archive}: member {name!a} is a link. The archive is refused.")
        if member.file_size > max(2**20, member.compress_size * limits.ratio):
            raise BundleError(f"{archive}: member {name!a} unpacks to {member.file_size} bytes, a bomb. It is refused.")
    if sum(member.file_size for member in members) > limits.total_bytes:
        raise BundleError(f"{archive}: unpacks to more than {limits.total_bytes >> 30} GiB. It is refused.")


def plain_path(name: str) -> PurePosixPath | None:
    """Return the relative path that a name from elsewhere stands for; None where it would leave the folder.

    >>> plain_path("sub-01/anat/T1w.nii.gz")
    PurePosixPath('sub-01/anat/T1w.nii.gz')
    >>> plain_path("../../etc/passwd") is None
    True
    """
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or not path.parts
    return None if leaves or any(sign in name for sign in "\\:\0") else path


def _checked_path(archive: Path, name: str, seen: set[str]) -> PurePosixPath:
    """Return the path of an archive's member; refuse one that leaves the folder or comes twice."""
    path = plain_path(name)
    if path is None:
        raise BundleError(f"{archive}: member {name!a} would leave the folder. The archive is refused.")
    if str(path).casefold() in seen:
        raise BundleError(f"{archive}: member {name!a} is there twice. The archive is refused.")
    seen.add(str(path).casefold())
    return path


def cache_folder() -> Path:
    """Return the folder for caches that may be deleted at any time; a temporary one where home is not writable."""
    try:
        folder = Path.home() / ".cache" / "neuraxis"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):
        pass
    folder = Path(tempfile.gettempdir()) / f"neuraxis-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise ResourceError(f"{folder}: belongs to another user. Set HOME to a writable folder for the cache.")
    return folder


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if content - content == 0 else None
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, Path):
        return str(content)
    if hasattr(content, "tolist"):  # numpy's numbers and arrays
        return _finite(content.tolist())
    return content


def sync(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
