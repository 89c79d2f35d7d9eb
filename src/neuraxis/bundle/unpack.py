"""A bundle file becomes a folder once: unpacked beside others in the cache, checked, then moved into place.

The place is named by the file's own SHA-256, so a changed file is another place. `checked.json` notes what the files
looked like after their check; a place whose files look otherwise is made anew. Processes that unpack the same file at
once each make their own folder, and the first to finish wins.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED

from neuraxis.bundle.card import parse_raw
from neuraxis.bundle.members import CARD, MAX_CARD, check_names
from neuraxis.errors import BundleError, NeuraxisError, ResourceError
from neuraxis.files import cache_folder, check_members, extract_zip, write_json

CHECKS = 1  # raised when the checks become stricter, so that older places are checked again
DAY = 86_400
KEEP_DAYS = 60
MARKER, FILES = "checked.json", "files"


def unpack(archive: Path, cache: Path | None, check: Callable[[Path], object]) -> Path:
    """Return the folder with the checked files of a bundle file.

    Args:
        archive: the bundle file.
        cache: folder of caches; None takes the user's.
        check: called with the unpacked folder before anybody else sees it; it raises where the folder is refused.

    Raises:
        BundleError: the archive, or by `check` its content, is refused.
        ResourceError: the cache cannot be written to.
    """
    before = _look(archive)
    key = _hash(archive)
    try:
        places = (cache or cache_folder()) / "bundles"
        place = places / key
        if _is_checked(place):
            with contextlib.suppress(OSError):  # a cache that may only be read serves too
                os.utime(place)
            return place / FILES
        places.mkdir(parents=True, exist_ok=True)
        _tidy(places)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=places))
    except OSError as error:
        raise _lacking(archive, error) from error
    try:
        _fill(archive, part, check)
        if _look(archive) != before:
            raise BundleError(f"{archive}: was changed while it was read. Try again.")
        return _move(part, place) / FILES
    except OSError as error:
        raise _lacking(archive, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(archive: Path, part: Path, check: Callable[[Path], object]) -> None:
    files = part / FILES
    files.mkdir()
    try:
        _check_archive(archive)
        extract_zip(archive, files)
    except NeuraxisError:
        raise
    except Exception as error:  # zipfile, zlib and struct raise many kinds on damaged input
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # EINVAL: sought before the file's start
            raise
        raise BundleError(f"{archive}: is not a readable bundle file ({error}). Fetch it again.") from error
    check(files)
    for file in files.iterdir():
        file.chmod(0o444)
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
    write_json(part / MARKER, {"checks": CHECKS, "files": _state(files)})


def _check_archive(archive: Path) -> None:
    """Refuse by its table of contents what should not even be unpacked, and tell a newer schema first of all."""
    with zipfile.ZipFile(archive) as content:
        members = content.infolist()
        check_members(archive, members)
        odd = [ascii(m.filename)[:120] for m in members if m.compress_type not in (ZIP_STORED, ZIP_DEFLATED)]
        if odd:
            raise BundleError(f"{archive}: {odd[0]} is packed in a way that bundles do not use. Fetch it again.")
        sizes = {member.filename: member.file_size for member in members}
        if sizes.get(CARD, MAX_CARD + 1) <= MAX_CARD:
            parse_raw(content.read(CARD), str(archive))
    check_names(sizes, str(archive))
    if sum(member.compress_size for member in members) > archive.stat().st_size:
        raise BundleError(f"{archive}: its members overlap. The bundle is refused.")


def _move(part: Path, place: Path) -> Path:
    """Move a finished folder to its place; another process may have been first, or a damaged one may stand there."""
    for _ in range(10):
        try:
            part.rename(place)
            return place
        except OSError:
            if _is_checked(place):
                return place
            aside = Path(tempfile.mkdtemp(prefix=".part-", dir=place.parent))
            try:
                place.rename(aside / "old")
            except FileNotFoundError:
                pass
            finally:
                shutil.rmtree(aside, ignore_errors=True)
    raise ResourceError(f"{place}: cannot be written to. Remove that folder and try again.")


def _is_checked(place: Path) -> bool:
    try:
        marker = json.loads((place / MARKER).read_text(encoding="utf-8"))
        return bool(marker == {"checks": CHECKS, "files": _state(place / FILES)})
    except (OSError, ValueError):
        return False


def _state(files: Path) -> dict[str, list[int]]:
    return {file.name: [file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(files.iterdir())}


def _look(archive: Path) -> tuple[int, int, int]:
    status = archive.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _hash(archive: Path) -> str:
    try:
        with archive.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BundleError(f"{archive}: cannot be read ({error.strerror}). Check its permissions.") from error


def _tidy(places: Path) -> None:
    """Remove what was left by a killed process a day ago, and bundles not opened for long."""
    for place in places.iterdir():
        try:
            days = (time.time() - place.stat().st_mtime) / DAY
        except FileNotFoundError:
            continue  # another process has just moved it
        if days > KEEP_DAYS or (place.name.startswith(".part-") and days > 1):
            shutil.rmtree(place, ignore_errors=True)


def _lacking(archive: Path, error: OSError) -> ResourceError:
    return ResourceError(
        f"{archive}: could not be unpacked into the cache ({error.filename or ''} {error.strerror}). "
        "Free some disk space, or set HOME to a writable folder."
    )
