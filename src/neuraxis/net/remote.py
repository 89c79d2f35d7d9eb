"""A file on the net, known by its content, or at least by its size."""

from __future__ import annotations

import hashlib
import os
import re
import time
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from neuraxis.errors import BundleError
from neuraxis.net.web import AddressRefused, PassingTrouble, Patience, check_address, open_address, trouble_of

_TOTAL = re.compile(r"bytes 0-0/(\d{1,15})")


@dataclass(frozen=True)
class RemoteFile:
    """A file on the net, known by its content.

    Attributes:
        name: what messages call it.
        urls: where it lies; each is tried in turn.
        size: in bytes.
        sha256: in hex; empty where it is not known.
        md5: in hex; empty where it is not known. One of the two is needed, or `on_trust`.
        on_trust: take whatever comes, since nobody has published a hash.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str = ""
    md5: str = ""
    on_trust: bool = False

    def __post_init__(self) -> None:
        for url in self.urls:
            check_address(url)
        if not (self.sha256 or self.md5 or self.on_trust):
            raise ValueError(f"{self.name} has no hash to check it with")

    def content(self) -> dict[str, int | str]:
        """Return what tells the file from any other."""
        return {"size": self.size, "sha256": self.sha256, "md5": self.md5}

    def is_at(self, path: Path) -> bool:
        """Tell whether the file at `path` is this one."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as stream:
            return self.wrong_hash(stream.fileno()) is None

    def wrong_hash(self, handle: int) -> str | None:
        """Return in words which hash of an open file is wrong; None where all are right."""
        for kind, expected in (("SHA-256", self.sha256), ("MD5", self.md5)):
            if expected and (found := _hash_of(handle, kind)) != expected:
                return f"its {kind} is {found}, needed is {expected}"
        return None


def measure(url: str, patience: Patience | None = None) -> int | None:
    """Ask how large the file at an address is, in bytes; None where the server does not say.

    Raises:
        BundleError: it cannot be reached, or refuses.
    """
    patience = patience or Patience()
    for left in reversed(range(patience.tries)):
        try:
            with open_address(url, {"Range": "bytes=0-0"}, patience) as response:
                return _length(response)
        except AddressRefused as trouble:
            raise BundleError(f"{url}: {urlsplit(url).netloc} {trouble}. Check the address.") from trouble
        except PassingTrouble as trouble:
            if not left:
                raise BundleError(
                    f"{url}: {urlsplit(url).netloc} {trouble}. Check the network, try again."
                ) from trouble
            time.sleep(patience.pause_s)
    return None


def _length(response: HTTPResponse) -> int | None:
    if response.status == 206:
        found = _TOTAL.fullmatch(response.headers.get("Content-Range") or "")
        return int(found[1]) if found else None
    if response.status != 200:
        raise trouble_of(response)
    length = response.headers.get("Content-Length") or ""
    return int(length) if length.isdecimal() and len(length) < 16 else None


def _hash_of(handle: int, kind: str) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    with os.fdopen(os.dup(handle), "rb") as stream:
        if kind == "SHA-256":
            return hashlib.file_digest(stream, "sha256").hexdigest()
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
