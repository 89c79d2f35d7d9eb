"""Files that a repository holds as pointers alone: what git-annex writes in their place, and where they lie.

A pointer is a line with the name of the content, which tells the kind of its hash, its size and the hash itself
(git-annex.branchable.com, internals: pointer_file and key_format). So each file has a published hash.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from neuraxis.dataset.sources.source import Annex, SourceFile
from neuraxis.errors import BundleError

MAX_POINTER = 32 * 2**10  # a longer file is none
_POINTER = re.compile(rb"(?:(?:\.\./)*\.git)?/?annex/objects/(?:[^/\s]+/)*([^/\s]+)\s*")
_KEY = re.compile(r"(?:SHA256E?-s(\d{1,15})--([0-9a-f]{64})|MD5E?-s(\d{1,15})--([0-9a-f]{32}))(?:\.[\w-]{1,20}){0,4}")


def take_pointers(folder: Path, annex: Annex) -> tuple[SourceFile, ...]:
    """Remove the pointers below a folder and return the files that they stand for, with paths from `folder`.

    Raises:
        BundleError: a pointer names its content by no hash that can be checked.
    """
    taken = []
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_POINTER:
            continue
        found = _POINTER.fullmatch(path.read_bytes())
        if found is None:
            continue
        key = found[1].decode("ascii", "replace")
        known = _KEY.fullmatch(key)
        if known is None:
            raise BundleError(f"{path.name}: its content is called {key[:100]!a}, which tells no size and no hash.")
        size = int(known[1] or known[3])
        if not size:
            path.write_bytes(b"")
            continue
        taken.append(
            SourceFile(
                url=f"{annex.address}/{quote(key)}",
                path=path.relative_to(folder).as_posix(),
                stated_at=annex.stated_at,
                size=size,
                sha256=known[2] or "",
                md5=known[4] or "",
            )
        )
        path.unlink()
    return tuple(taken)
