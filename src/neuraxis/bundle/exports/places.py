"""A folder that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from neuraxis.errors import ResourceError, UsageError
from neuraxis.files import refuse_existing, sync


@contextlib.contextmanager
def new_folder(into: Path, overwrite: bool, mark: str) -> Iterator[Path]:
    """Yield an empty folder beside `into`; on success its files are synced to disk and it is renamed to `into`.

    After an exception nothing is left behind, and an existing `into` is untouched.

    Args:
        into: the folder to write.
        overwrite: whether an older export may be replaced.
        mark: a file that every export of this kind holds. What exists and does not hold it is never replaced.

    Raises:
        UsageError: `into` exists and `overwrite` is false, or it is something else than an older export.
        ResourceError: the folder cannot be written to, or the disk is full.
    """
    refuse_existing(into, overwrite)
    if into.is_symlink() or (into.exists() and not _is_replaceable(into, mark)):
        raise UsageError(
            f"{into}: is no folder of such an export ({mark} is not in it), so it is not replaced. Name another place "
            "with --into."
        )
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=into.parent))
    except OSError as error:
        why = f"cannot be written to ({error.strerror})"
        raise ResourceError(f"{into.parent}: {why}. Choose another --into.") from error
    try:
        fresh, old = part / "new", part / "old"
        fresh.mkdir()
        yield fresh
        for path in fresh.rglob("*"):
            sync(path)
        if into.exists():
            into.rename(old)
        try:
            fresh.rename(into)
        except OSError:
            if old.exists():
                old.rename(into)
            raise
        sync(into.parent)
    except OSError as error:
        named = [os.fspath(name) for name in (error.filename, error.filename2) if name is not None]
        if error.errno is not None and (not named or any(name.startswith(str(part)) for name in named)):
            raise ResourceError(f"{into}: could not be written ({error.strerror}). Make room and try again.") from error
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_replaceable(place: Path, mark: str) -> bool:
    return place.is_dir() and ((place / mark).is_file() or not any(place.iterdir()))
