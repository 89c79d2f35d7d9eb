"""The files of a bucket that lists itself, page by page (Amazon S3, ListObjectsV2)."""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from neuraxis.dataset.sources.source import Listing, SourceFile
from neuraxis.errors import BundleError
from neuraxis.files import plain_path
from neuraxis.net.web import Patience, fetch_text

MAX_PAGE = 4 * 2**20
MAX_FILES = 200_000
_ENTRY = re.compile(r"<Contents>(.*?)</Contents>", re.DOTALL)
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


def list_bucket(listing: Listing, patience: Patience | None = None) -> tuple[SourceFile, ...]:
    """Return the files below a bucket's prefix; the hash is there where the bucket's tag is an MD5.

    Raises:
        BundleError: it cannot be listed, or lists what no file can be called.
    """
    files: list[SourceFile] = []
    address = f"{listing.bucket}?list-type=2&prefix={quote(listing.prefix, safe='')}"
    following = ""
    while True:
        page = fetch_text(address + following, MAX_PAGE, patience=patience)
        if "<ListBucketResult" not in page:
            raise BundleError(f"{address}: lists no files. Check the address, or fetch the dataset by hand.")
        found = [file for entry in _ENTRY.findall(page) if (file := _file(listing, entry))]
        files += found
        token = _text(page, "NextContinuationToken")
        if _text(page, "IsTruncated") != "true" or not token:
            break
        if not found or len(files) > MAX_FILES:
            raise BundleError(f"{address}: lists more than {MAX_FILES} files, or goes on without any. It is refused.")
        following = f"&continuation-token={quote(token, safe='')}"
    if not files:
        raise BundleError(f"{address}: lists no files. Check the address, or fetch the dataset by hand.")
    return tuple(files)


def _file(listing: Listing, entry: str) -> SourceFile | None:
    """Return what an entry tells; None for a folder's own entry and for an empty file."""
    key, size, tag = (_text(entry, name) for name in ("Key", "Size", "ETag"))
    inside = key.removeprefix(listing.prefix)
    if not size.isdecimal() or len(size) > 15 or not key.startswith(listing.prefix):
        raise BundleError(f"{listing.bucket}: lists {key[:100]!a} without a size or outside of {listing.prefix}.")
    if not inside or inside.endswith("/") or size == "0":
        return None
    if plain_path(inside) is None or not inside.isprintable() or len(inside) > 300:
        raise BundleError(f"{listing.bucket}: lists {key[:100]!a}, which would leave the folder. It is refused.")
    known = _MD5.fullmatch(tag)
    url = f"{listing.bucket}/{quote(key)}"
    return SourceFile(url=url, path=inside, stated_at=listing.stated_at, size=int(size), md5=known[1] if known else "")


def _text(xml: str, tag: str) -> str:
    """Return the text of the first element of a name; empty where there is none."""
    found = re.search(rf"<{tag}>([^<]*)</{tag}>", xml)
    return html.unescape(found[1]) if found else ""
