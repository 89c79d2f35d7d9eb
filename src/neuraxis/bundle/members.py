"""The files of a bundle: which names there may be, how large they are, and the hashes that hold them together."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from neuraxis.errors import BundleError
from neuraxis.files import sha256

CARD, SUMS, QUALITY, PREVIOUS = "bundle.json", "SHA256SUMS", "quality.json", "previous.nxb"
MIB = 2**20
MAX_CARD = 16 * MIB
# every name a bundle may hold, and its largest size in bytes
ALLOWED = (
    (re.compile(r"bundle\.json|quality\.json"), MAX_CARD),
    (re.compile(r"SHA256SUMS"), MIB),
    (re.compile(r"fold-(0|[1-9][0-9]{0,2})(\.int8)?\.onnx"), 2048 * MIB),
    (re.compile(r"fold-(0|[1-9][0-9]{0,2})\.safetensors"), 16384 * MIB),
    (re.compile(r"(previous|member-[1-9])\.nxb"), 16384 * MIB),
)
LINE = re.compile(r"([0-9a-f]{64})  (\S+)")


def check_names(sizes: Mapping[str, int], source: str) -> None:
    """Refuse a name that no bundle holds, a file beyond its limit, and a bundle without card or hashes.

    Args:
        sizes: name to size in bytes.
        source: the bundle's name for messages.

    Raises:
        BundleError: with the name.
    """
    for name, size in sizes.items():
        limits = [limit for pattern, limit in ALLOWED if pattern.fullmatch(name)]
        if not limits:
            raise BundleError(
                f"{source}: holds {ascii(name)[:120]}, which is no part of a bundle. Remove it, or fetch it again."
            )
        if size > limits[0]:
            raise BundleError(f"{source}: {name} has {size} bytes, more than {limits[0]}. The bundle is refused.")
    for name in (CARD, SUMS):
        if name not in sizes:
            raise BundleError(f"{source}: has no {name}, so it is no bundle of neuraxis, or not whole. Fetch it again.")


def list_folder(folder: Path, source: str) -> dict[str, int]:
    """Return name and size of every file of a bundle's folder.

    Raises:
        BundleError: there is a link, a folder or anything else that is no plain file.
    """
    sizes = {}
    for entry in sorted(folder.iterdir()):
        status = entry.lstat()
        if not stat.S_ISREG(status.st_mode):
            kind = (
                "link" if stat.S_ISLNK(status.st_mode) else "folder" if stat.S_ISDIR(status.st_mode) else "special file"
            )
            raise BundleError(
                f"{source}: {ascii(entry.name)[:120]} is a {kind}; a bundle holds plain files. Remove it."
            )
        sizes[entry.name] = status.st_size
    return sizes


def check_hashes(folder: Path, names: Iterable[str], source: str) -> None:
    """Refuse files whose hash is not the one in `SHA256SUMS`, and a list that is not of exactly these files.

    Raises:
        BundleError: with the file.
    """
    listed = _read_sums(folder / SUMS, source)
    present = set(names) - {SUMS}
    odd = sorted(present ^ set(listed))
    if odd:
        where = "is not listed in SHA256SUMS" if odd[0] in present else "is listed in SHA256SUMS but missing"
        raise BundleError(f"{source}: {ascii(odd[0])[:120]} {where}. Fetch the bundle again.")
    for name in sorted(present):
        if sha256(folder / name) != listed[name]:
            raise BundleError(
                f"{source}: {name} is changed or damaged: its SHA-256 is not the noted one. Fetch it again."
            )


def format_sums(hashes: Mapping[str, str]) -> str:
    """Return the text of `SHA256SUMS`, which `sha256sum -c SHA256SUMS` reads too."""
    return "".join(f"{hashes[name]}  {name}\n" for name in sorted(hashes))


def _read_sums(path: Path, source: str) -> dict[str, str]:
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    found = [LINE.fullmatch(line) for line in lines]
    listed = {match[2]: match[1] for match in found if match}
    if len(listed) < len(lines):
        raise BundleError(f"{source}: SHA256SUMS is not a list of hashes, each name once. Fetch the bundle again.")
    return listed
