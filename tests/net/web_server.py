"""A web server on this machine that does as each test says: serves well, cuts, stalls, lies or sends elsewhere.

Test files load it by its path, since tests are no package.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neuraxis.errors import BundleError, NeuraxisError
from neuraxis.net.download import FetchOptions, fetch_file
from neuraxis.net.remote import RemoteFile
from neuraxis.net.web import Patience

CONTENT = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)
HALF = 150_000
QUICK = Patience(timeout_s=0.4, slowest=1024, tries=3, pause_s=0.01)


class Handler(BaseHTTPRequestHandler):
    """Notes each request and answers it as the next act of its address says; the last act goes on."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Server = self.server  # type: ignore[assignment]
        server.asked.append((self.path, dict(self.headers)))
        acts = server.acts[self.path]
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        self.close_connection = True
        with contextlib.suppress(OSError):  # the other side hung up, as some tests want it to
            act(self)

    def answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length is None or length >= 0:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


Act = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.acts: dict[str, list[Act]] = defaultdict(lambda: [serve()])
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()

    def url(self, path: str = "/m.nxb", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def header(self, name: str) -> list[str | None]:
        return [headers.get(name) for _, headers in self.asked]


def serve(content: bytes = CONTENT, etag: str = "", until: int | None = None, ranges: bool = True) -> Act:
    """Serve as a good server does, or stop at byte `until` though more was promised."""

    def act(handler: Handler) -> None:
        start, tag = 0, {"ETag": etag} if etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        if asked and ranges and handler.headers.get("If-Range", etag) == etag:
            start = int(asked[1])
            tag["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.answer(206 if start else 200, content[start:until], len(content) - start, **tag)

    return act


def says(status: int, body: bytes = b"<html>no</html>", **headers: str) -> Act:
    return lambda handler: handler.answer(status, body, **headers)


def moved(target: str, status: int = 302) -> Act:
    return says(status, b"", Location=target)


def stall(until: int, content: bytes = CONTENT) -> Act:
    """Send the first bytes, then nothing, and keep the connection."""

    def act(handler: Handler) -> None:
        serve(content, until=until)(handler)
        handler.server.over.wait(20)  # type: ignore[attr-defined]

    return act


def drip(handler: Handler) -> None:
    """Send a byte every now and then, so that the connection is never silent for long."""
    handler.answer(200, b"", len(CONTENT))
    for byte in CONTENT:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.server.over.wait(0.05):  # type: ignore[attr-defined]
            return


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@contextmanager
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def wanted(*urls: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("lesions", urls, len(content), hashlib.sha256(content).hexdigest())


def fetch(server: Server, into: Path, *paths: str, **options: object) -> bool:
    urls = [server.url(path) for path in paths or ("/m.nxb",)]
    return fetch_file(wanted(*urls), into, FetchOptions(patience=QUICK, **options))  # type: ignore[arg-type]


def refusal(
    server: Server, into: Path, *paths: str, error: type[NeuraxisError] = BundleError, **options: object
) -> str:
    """Fetch what must be refused, in one line."""
    with pytest.raises(error) as caught:
        fetch(server, into, *paths, **options)
    message = str(caught.value)
    assert message.isprintable()
    assert caught.value.exit_code == error.exit_code
    return message


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def interrupted(server: Server, folder: Path) -> None:
    """Leave half a file behind."""
    server.acts["/m.nxb"] = [serve(until=HALF)]
    refusal(server, folder / "m.nxb")
    server.acts["/m.nxb"] = [serve()]
