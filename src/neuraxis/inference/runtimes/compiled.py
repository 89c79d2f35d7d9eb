"""Compiled networks kept on disk, each with its checksum, so that a damaged one is never run.

A file is the content's length and CRC-32 in 16 bytes, 16 zeros so that the content lies on a round address, then the
content. A SHA-256 would say no more of damage and take a third of the time that loading takes. A file is written whole
or not at all; what nobody used for `KEEP_DAYS` is deleted when another is written.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from pathlib import Path

import numpy as np
from isal import isal_zlib

from neuraxis.errors import ResourceError
from neuraxis.files import atomic_path

KEEP_DAYS = 60
SUFFIX = ".compiled"
_HEAD = struct.Struct("<QQ16x")
log = logging.getLogger(__name__)


def load(place: Path) -> np.ndarray | None:
    """Return the content of a file as bytes mapped from disk; None where it is not there or damaged."""
    try:
        if place.stat().st_size <= _HEAD.size:
            return None
        mapped = np.memmap(place, np.uint8, "r")
        os.utime(place)
    except OSError:
        return None
    content = np.asarray(mapped[_HEAD.size :])
    if mapped[: _HEAD.size].tobytes() != _head(content.data):
        log.warning("%s is damaged; the network is compiled again.", place)
        return None
    return content


def keep(place: Path, content: bytes) -> None:
    """Write a file; where that is not possible the next run compiles again."""
    try:
        _tidy(place.parent)
        with atomic_path(place) as part, part.open("wb") as stream:
            stream.write(_head(content))
            stream.write(content)
    except (OSError, ResourceError) as error:
        log.info("The compiled network was not kept: %s", error)


def _head(content: bytes | memoryview) -> bytes:
    return _HEAD.pack(len(content), isal_zlib.crc32(content))


def _tidy(folder: Path) -> None:
    oldest = time.time() - KEEP_DAYS * 86_400
    for place in folder.glob(f"*{SUFFIX}"):
        if place.stat().st_mtime < oldest:
            place.unlink(missing_ok=True)
