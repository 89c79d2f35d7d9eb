"""Downloads whose size nobody tells: they cannot go on where they stopped, and begin anew after each trouble.

Such are archives that a server packs while it sends them. That one is whole is told by the end of the transfer coding
(RFC 9112, section 7.1); what has no such end is refused.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path
from urllib.parse import urlsplit

from neuraxis.errors import BundleError, ResourceError
from neuraxis.files import atomic_path
from neuraxis.net.web import AddressRefused, PassingTrouble, Patience, chunks, open_address, trouble_of
from neuraxis.progress import Progress, Silent, Stage

MB = 10**6


def fetch_stream(
    name: str, url: str, into: Path, patience: Patience | None = None, progress: Progress | None = None
) -> None:
    """Fetch a file of unknown size whole.

    Args:
        name: what messages call it.
        url: where it lies.
        into: the file to write.
        patience: how long the server is waited for.
        progress: who shows how far it is.

    Raises:
        BundleError: it cannot be fetched; nothing of it is kept.
        ResourceError: the disk is full, or the folder cannot be written to.
    """
    patience = patience or Patience()
    with (progress or Silent()).stage(f"fetch {name}, MB", 0) as stage:
        for left in reversed(range(patience.tries)):
            try:
                return _fetch(url, into, patience, stage)
            except AddressRefused as trouble:
                raise BundleError(f"{name}: {urlsplit(url).netloc} {trouble}. Nothing was kept.") from trouble
            except PassingTrouble as trouble:
                if not left:
                    advice = "Nothing was kept, since its server cannot send a part. Type the same command again."
                    raise BundleError(f"{name}: {urlsplit(url).netloc} {trouble}. {advice}") from trouble
                time.sleep(patience.pause_s)
            except OSError as error:
                advice = "Make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Choose another --into"
                raise ResourceError(f"{into}: cannot be written ({error.strerror}). {advice}.") from error


def _fetch(url: str, into: Path, patience: Patience, stage: Stage) -> None:
    with open_address(url, {}, patience) as response:
        if response.status != 200:
            raise trouble_of(response)
        if (response.headers.get("Transfer-Encoding") or "").strip().lower() != "chunked":
            raise AddressRefused("tells neither the size of the file nor where it ends")
        size = 0
        with atomic_path(into) as part, part.open("wb") as stream:
            for chunk in chunks(response, patience):
                stream.write(chunk)
                before, size = size // MB, size + len(chunk)
                if size // MB > before:
                    stage.advance(size // MB - before, total=size // MB)
