"""Compiled networks kept on disk, each with its hash, so that a damaged one is never run.

A file is the SHA-256 of the content, then the content. It is written whole or not at all; what nobody used for
`KEEP_DAYS` is deleted when another is written.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from pathlib import Path

import numpy as np

from neuraxis.errors import ResourceError
from neuraxis.files import atomic_path

KEEP_DAYS = 60
SUFFIX = ".compiled"
_DIGEST = 32
log = logging.getLogger(__name__)


def load(place: Path) -> np.ndarray | None:
    """Return the content of a file as bytes mapped from disk; None where it is not there or damaged."""
    try:
        if place.stat().st_size <= _DIGEST:
            return None
        mapped = np.memmap(place, np.uint8, "r")
        os.utime(place)
    except OSError:
        return None
    content = np.asarray(mapped[_DIGEST:])
    if hashlib.sha256(content.data).digest() != mapped[:_DIGEST].tobytes():
        log.warning("%s is damaged; the network is compiled again.", place)
        return None
    return content


def keep(place: Path, content: bytes) -> None:
    """Write a file; where that is not possible the next run compiles again."""
    try:
        _tidy(place.parent)
        with atomic_path(place) as part, part.open("wb") as stream:
            stream.write(hashlib.sha256(content).digest())
            stream.write(content)
    except (OSError, ResourceError) as error:
        log.info("The compiled network was not kept: %s", error)


def _tidy(folder: Path) -> None:
    oldest = time.time() - KEEP_DAYS * 86_400
    for place in folder.glob(f"*{SUFFIX}"):
        if place.stat().st_mtime < oldest:
            place.unlink(missing_ok=True)
