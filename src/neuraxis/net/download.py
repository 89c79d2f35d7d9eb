"""Downloads that go on where they stopped, and that are used only when their hash is right.

What arrives is written to `NAME.part`, with `NAME.part.json` beside it, which says of which content it is and where it
came from. A process that is killed leaves both, and the next one asks for the rest: with `Range`, and with `If-Range`
where the server gave a strong ETag. The hash is taken of the whole file before it gets its name, so what a server
sends by mistake or on purpose is never used; wrong bytes are removed.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.files import refuse_existing, sync, write_json
from neuraxis.net.remote import RemoteFile
from neuraxis.net.web import (
    AddressRefused,
    PassingTrouble,
    Patience,
    answer_of,
    chunks,
    offline_error,
    open_address,
    trouble_of,
)
from neuraxis.progress import Progress, Silent, Stage

MB = 10**6
STEP = 2**16  # bytes that count as getting on
MAX_PAUSE_S = 30.0
_RANGE = re.compile(r"bytes (\d{1,15})-\d{1,15}/(\d{1,15}|\*)")

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FetchOptions:
    """How a file is fetched.

    Attributes:
        offline: open no connection; what is there already is used.
        overwrite: whether another file of that name may be replaced.
        check: called with the file once its hash is right and before it gets its name; it raises where it is refused.
        patience: how long servers are waited for.
    """

    offline: bool = False
    overwrite: bool = False
    check: Callable[[Path], object] | None = None
    patience: Patience = field(default_factory=Patience)


def fetch_file(
    file: RemoteFile, into: Path, options: FetchOptions | None = None, progress: Progress | None = None
) -> bool:
    """Fetch a file, unless it is in place already.

    Args:
        file: what it is and where it lies.
        into: the file to write.
        options: offline, overwrite, check, patience.
        progress: who shows how far it is.

    Returns:
        Whether it was fetched; False where it was there already.

    Raises:
        BundleError: no address gave the file, or it is not there while offline. What arrived is kept for the next
            call, unless it is wrong.
        UsageError: another file has that name.
        ResourceError: the disk is full, the folder cannot be written to, or another process is fetching it.
    """
    options = options or FetchOptions()
    part = into.with_name(into.name + ".part")
    try:
        if _is_in_place(file, into, options):
            return False
        if options.offline and not part.exists():
            raise offline_error(f"{file.name}: is not at {into}")
        into.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part) as handle, (progress or Silent()).stage(f"fetch {file.name}, MB", _mb(file.size)) as stage:
            if _is_in_place(file, into, options):  # another process was first
                part.unlink()
                return False
            _Download(file, into, handle, options, stage).run()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Make room and type the same command again to go on" if full else "Choose another --into"
        raise ResourceError(f"{into}: cannot be written ({error.strerror}). {advice}.") from error
    return True


class _WrongHash(Exception):
    """The bytes are there, but they are not the file."""


class _Download:
    """One file on its way: the bytes that are there, and the addresses that may have the rest."""

    def __init__(self, file: RemoteFile, into: Path, handle: int, options: FetchOptions, stage: Stage) -> None:
        self._file, self._into, self._handle = file, into, handle
        self._part = into.with_name(into.name + ".part")
        self._note = into.with_name(into.name + ".part.json")
        self._options, self._stage = options, stage
        self._shown = 0
        self._in_parts = True  # whether the server knows how to send the rest alone
        self._of_one_answer = False
        self._origin = self._read_note()
        self._size = os.fstat(handle).st_size

    def run(self) -> None:
        """Fetch, check and put into place; on failure keep what may be right and remove what is wrong."""
        done = False
        try:
            self._show()
            self._fetch()
            self._check()
            os.fsync(self._handle)
            os.replace(self._part, self._into)
            done = True
            sync(self._into.parent)
        except KeyboardInterrupt:
            if self._size:
                logger.info(self._kept())
            raise
        finally:
            if not done and not self._size:
                self._part.unlink(missing_ok=True)
            if done or not self._size:
                self._note.unlink(missing_ok=True)

    def _fetch(self) -> None:
        troubles = []
        for url in self._file.urls:
            try:
                return self._fetch_from(url)
            except AddressRefused as trouble:
                troubles.append(f"{urlsplit(url).netloc} {trouble}")
        advice = self._kept() if self._size else "Nothing was kept. Check the network and the address."
        raise BundleError(f"{self._file.name}: could not be fetched: {'; '.join(troubles)}. {advice}")

    def _fetch_from(self, url: str) -> None:
        """Fetch what is missing from one address and take the hash.

        Bytes of several answers may be of different files. Where their hash is wrong, all is fetched once more before
        the address is given up.
        """
        idle, again, self._in_parts = 0, True, True
        while True:
            before = self._size
            try:
                if self._size != self._file.size:
                    self._ask(url)
                return self._take_hash()
            except _WrongHash as wrong:
                final = self._of_one_answer or not again
                self._begin()
                if final:
                    raise AddressRefused(f"sent another file: {wrong}") from wrong
                again = False
            except PassingTrouble as trouble:
                idle = 0 if self._size - before >= STEP else idle + 1
                if idle >= self._options.patience.tries:
                    raise AddressRefused(str(trouble)) from trouble
                pause_s = self._options.patience.pause_s * 2 ** max(0, idle - 1)
                time.sleep(min(max(trouble.pause_s, pause_s), MAX_PAUSE_S))

    def _ask(self, url: str) -> None:
        """Ask an address for what is missing, and write what comes."""
        if self._options.offline:
            raise offline_error(f"{self._file.name}: is not whole at {self._part}")
        if self._size > self._file.size:
            self._begin()
        headers = {}
        if self._size and self._in_parts:
            headers["Range"] = f"bytes={self._size}-"
            if self._origin.get("url") == url and self._origin.get("etag"):
                headers["If-Range"] = self._origin["etag"]
        with open_address(url, headers, self._options.patience) as response:
            if self._is_rest(response):
                self._of_one_answer = False
            else:
                self._begin()
                self._of_one_answer = True
            self._need_room()
            self._write_note(url, response)
            self._copy(response)

    def _is_rest(self, response: HTTPResponse) -> bool:
        """Tell whether an answer is the part that was asked for, or the whole; raise where it is neither."""
        if response.status == 206 and self._size:
            found = _RANGE.fullmatch(response.headers.get("Content-Range") or "")
            if not found or int(found[1]) != self._size or found[2] not in ("*", str(self._file.size)):
                self._in_parts = False
                raise PassingTrouble("sent another part than was asked for")
        elif response.status == 416 and self._size and self._in_parts:
            self._in_parts = False
            raise PassingTrouble(answer_of(response))
        elif response.status != 200:
            raise trouble_of(response)
        there = self._size if response.status == 206 else 0
        length = response.headers.get("Content-Length") or ""
        if length.isdecimal() and there + int(length) != self._file.size:
            raise AddressRefused(f"offers {there + int(length)} bytes, needed are {self._file.size}")
        return response.status == 206

    def _copy(self, response: HTTPResponse) -> None:
        for chunk in chunks(response, self._options.patience):
            if self._size + len(chunk) > self._file.size:
                self._begin()
                raise AddressRefused(f"sends more than the {self._file.size} bytes of the file")
            rest = memoryview(chunk)
            while rest:
                written = os.pwrite(self._handle, rest, self._size)
                self._size, rest = self._size + written, rest[written:]
            self._show()
        if self._size < self._file.size:
            raise PassingTrouble(f"ended the connection after {self._size} of {self._file.size} bytes")

    def _take_hash(self) -> None:
        wrong = self._file.wrong_hash(self._handle)
        if wrong:
            raise _WrongHash(wrong)

    def _check(self) -> None:
        try:
            if self._options.check is not None:
                self._options.check(self._part)
        except BundleError as error:
            self._begin()
            raise BundleError(str(error).replace(str(self._part), str(self._into))) from error

    def _begin(self) -> None:
        """Forget every byte."""
        os.ftruncate(self._handle, 0)
        self._size = 0
        self._show()

    def _need_room(self) -> None:
        missing, free = self._file.size - self._size, shutil.disk_usage(self._into.parent).free
        if missing > free:
            raise ResourceError(
                f"{self._into}: the disk has {_mb(free)} MB free, {_mb(missing)} MB are needed. Make room or choose "
                "another --into."
            )

    def _read_note(self) -> dict[str, str]:
        """Return where the bytes came from; where they are of another file, forget them."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            same = all(note[key] == value for key, value in self._file.content().items())
        except (OSError, ValueError, KeyError, TypeError) as error:
            if os.fstat(self._handle).st_size:
                raise UsageError(
                    f"{self._part}: is in the way, and nothing that a download left behind. Move it, or choose another "
                    "--into."
                ) from error
            return {}
        if not same:
            os.ftruncate(self._handle, 0)
            return {}
        return {key: note[key] for key in ("url", "etag") if isinstance(note.get(key), str)}

    def _write_note(self, url: str, response: HTTPResponse) -> None:
        etag = (response.headers.get("ETag") or "").strip()
        strong = re.fullmatch(r'"[!#-~]{1,200}"', etag)
        origin = {"url": url, "etag": etag if strong else ""}
        if origin != self._origin or not self._note.exists():
            write_json(self._note, {**self._file.content(), **origin})
            self._origin = origin

    def _show(self) -> None:
        now = self._size // MB if self._size < self._file.size else _mb(self._size)
        if now != self._shown:
            self._stage.advance(now - self._shown)
            self._shown = now

    def _kept(self) -> str:
        return (
            f"{self._size} of {self._file.size} bytes are kept in {self._part}; type the same command again to go on."
        )


def _is_in_place(file: RemoteFile, into: Path, options: FetchOptions) -> bool:
    """Tell whether the file is there already; refuse another one of that name."""
    if file.is_at(into):
        if options.check is not None:
            options.check(into)
        return True
    if into.is_dir():
        raise UsageError(f"{into}: is a folder. Name a file with --into.")
    refuse_existing(into, options.overwrite)
    return False


@contextmanager
def _locked(part: Path) -> Iterator[int]:
    """Open the unfinished file as its only writer; the system frees the place when the process dies, however it dies.

    Another process may have finished or removed the file between its opening and its lock; then it is opened anew.
    """
    import fcntl

    while True:
        handle = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise UsageError(f"{part}: is in the way. Move it, or choose another --into.")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ResourceError(
                    f"{part}: another neuraxis process is fetching it. Wait for it, or choose another --into."
                ) from error
            if part.exists() and os.path.samestat(os.fstat(handle), part.stat()):
                yield handle
                return
        finally:
            os.close(handle)


def _mb(size: int) -> int:
    return math.ceil(size / MB)
