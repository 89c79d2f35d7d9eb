"""Servers that answer with something else, lie about lengths, fall silent or send elsewhere; and no network at all."""

from __future__ import annotations

import importlib.util
import socket
import time
from pathlib import Path

import pytest

from neuraxis.errors import BundleError
from neuraxis.net import web
from neuraxis.net.download import FetchOptions, fetch_file
from neuraxis.net.remote import RemoteFile
from neuraxis.net.web import AddressRefused, check_address, fetch_text, open_address

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).with_name("web_server.py"))
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
CONTENT = web_server.CONTENT
HALF = web_server.HALF
OTHER = web_server.OTHER
QUICK = web_server.QUICK
Act = web_server.Act
Handler = web_server.Handler
Server = web_server.Server
drip = web_server.drip
fetch = web_server.fetch
interrupted = web_server.interrupted
moved = web_server.moved
names = web_server.names
refusal = web_server.refusal
running = web_server.running
says = web_server.says
serve = web_server.serve
server = web_server.server
stall = web_server.stall
wanted = web_server.wanted

# --- answers other than the file --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "asked"), [(404, 1), (403, 1), (401, 1), (304, 1), (500, 3), (503, 3), (429, 3)])
def test_an_answer_other_than_success_is_told_and_passing_ones_are_tried_again(
    server: Server, tmp_path: Path, status: int, asked: int
) -> None:
    server.acts["/m.nxb"] = [says(status, b"" if status == 304 else b"no")]
    assert f"answers {status} (" in refusal(server, tmp_path / "m.nxb")
    assert len(server.asked) == asked
    assert names(tmp_path) == []


def test_a_server_in_trouble_for_a_moment_is_waited_for(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    server.acts["/m.nxb"] = [says(503, Retry_After="7"), says(429, Retry_After="999999999"), says(500), serve()]
    with pytest.raises(BundleError):
        fetch(server, tmp_path / "m.nxb")
    assert fetch(server, tmp_path / "m.nxb")
    assert waited == [7.0, 0.02]


def test_a_servers_own_words_are_not_shown(server: Server, tmp_path: Path) -> None:
    def escape(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.1 404 \x1b[2J\x1b[31mowned\r\nContent-Length: 0\r\n\r\n")

    server.acts["/m.nxb"] = [escape]
    message = refusal(server, tmp_path / "m.nxb")
    assert "owned" not in message
    assert "answers 404 (Not Found)" in message


def test_what_is_no_http_is_told(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [lambda handler: handler.wfile.write(b"SSH-2.0-\x1b[2J\r\n")]
    assert "cannot be reached" in refusal(server, tmp_path / "m.nxb")


def test_a_port_where_nobody_listens_is_told_and_the_mirror_asked(server: Server, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/m.nxb"
        assert fetch_file(wanted(closed, server.url()), tmp_path / "m.nxb", FetchOptions(patience=QUICK))
        with pytest.raises(BundleError, match=r"cannot be reached .Connection refused"):
            fetch_file(wanted(closed), tmp_path / "n.nxb", FetchOptions(patience=QUICK))


def test_a_mirror_goes_on_with_what_the_source_began(server: Server, tmp_path: Path) -> None:
    server.acts["/source"] = [serve(etag='"a"', until=HALF), says(404)]
    server.acts["/mirror"] = [serve(etag='"b"')]
    assert fetch(server, tmp_path / "m.nxb", "/source", "/mirror")
    assert [path for path, _ in server.asked] == ["/source", "/source", "/mirror"]
    assert server.header("Range")[-1] == f"bytes={HALF}-"
    assert server.header("If-Range")[-1] is None


def test_a_mirror_without_the_file_does_not_cost_what_is_kept(server: Server, tmp_path: Path) -> None:
    server.acts["/source"] = [serve(until=HALF)]
    server.acts["/mirror"] = [says(200, b"<html>we moved</html>")]
    message = refusal(server, tmp_path / "m.nxb", "/source", "/mirror")
    assert f"{HALF} of {len(CONTENT)} bytes are kept" in message
    assert "offers 21 bytes" in message


# --- lengths ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1, 10**12])
def test_a_length_that_is_not_the_files_is_refused_before_anything_is_read(
    server: Server, tmp_path: Path, length: int
) -> None:
    server.acts["/m.nxb"] = [lambda handler: handler.answer(200, CONTENT, length)]
    assert f"offers {length} bytes, needed are {len(CONTENT)}" in refusal(server, tmp_path / "m.nxb")
    assert names(tmp_path) == []


def test_bytes_without_a_stated_length_are_taken(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [lambda handler: handler.answer(200, CONTENT, -1)]
    assert fetch(server, tmp_path / "m.nxb")


def test_bytes_without_end_are_cut_off(server: Server, tmp_path: Path) -> None:
    sent = []

    def endless(handler: Handler) -> None:
        handler.answer(200, b"", -1)
        while not handler.server.over.is_set():  # type: ignore[attr-defined]
            handler.wfile.write(OTHER)
            sent.append(len(OTHER))

    server.acts["/m.nxb"] = [endless]
    assert "sends more than the 300000 bytes" in refusal(server, tmp_path / "m.nxb")
    assert names(tmp_path) == []
    assert sum(sent) < 50 * len(CONTENT)


def test_chunks_are_put_together_and_broken_ones_told(server: Server, tmp_path: Path) -> None:
    def chunked(handler: Handler) -> None:
        handler.answer(200, b"", -1, Transfer_Encoding="chunked")
        for start in range(0, len(CONTENT), 100_000):
            handler.wfile.write(b"186a0\r\n" + CONTENT[start : start + 100_000] + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    def broken(handler: Handler) -> None:
        handler.answer(200, b"", -1, Transfer_Encoding="chunked")
        handler.wfile.write(b"zzz\r\n")

    server.acts["/m.nxb"] = [broken, chunked]
    assert fetch(server, tmp_path / "m.nxb")
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


# --- slow servers -----------------------------------------------------------------------------------------------------


def test_a_server_that_falls_silent_is_left(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [stall(HALF), serve()]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("Range") == [None, f"bytes={HALF}-"]


def test_a_server_that_never_answers_is_told(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [lambda handler: handler.server.over.wait(20)]
    assert "no answer in time" in refusal(server, tmp_path / "m.nxb")
    assert names(tmp_path) == []


def test_a_server_that_drips_is_left_for_its_mirror(server: Server, tmp_path: Path) -> None:
    server.acts["/slow"] = [drip]
    assert fetch(server, tmp_path / "m.nxb", "/slow", "/m.nxb")
    assert [path for path, _ in server.asked] == ["/slow"] * QUICK.tries + ["/m.nxb"]


# --- redirects and addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_with_the_range(server: Server, tmp_path: Path, status: int) -> None:
    with running() as other:
        server.acts["/m.nxb"] = [moved(other.url("/store", "localhost"), status)]
        other.acts["/store"] = [serve(until=HALF), serve()]
        assert fetch(server, tmp_path / "m.nxb")
        assert other.header("Range") == [None, f"bytes={HALF}-"]
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/m.nxb",
        "data:text/plain,hello",
        "http://models.example.org/m.nxb",
        "//models.example.org/m.nxb",
        "https://user:secret@models.example.org/m.nxb",
        "https://",
        "http://[::1/m.nxb",
        "http://127.0.0.1:99999/m.nxb",
        "javascript:alert(1)",
    ],
)
def test_a_redirect_that_leaves_the_allowed_addresses_is_refused_unasked(
    server: Server, tmp_path: Path, target: str, only_local: list[object]
) -> None:
    server.acts["/m.nxb"] = [moved(target)]
    assert "redirects to what is refused" in refusal(server, tmp_path / "m.nxb")
    assert names(tmp_path) == []
    assert len(server.asked) == 1
    assert len(only_local) == 1


def test_redirects_in_a_ring_end(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [moved("/m.nxb")]
    assert "redirects more than 5 times" in refusal(server, tmp_path / "m.nxb")


def test_a_page_of_the_net_cannot_send_to_this_machine(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    real = web._send
    moving = server.url("/moving")
    server.acts["/moving"] = [moved(server.url("/secret"))]
    monkeypatch.setattr(web, "_send", lambda url, *rest: real(moving if "example" in url else url, *rest))
    with (
        pytest.raises(AddressRefused, match="redirects to this machine"),
        open_address("https://models.example.org/m.nxb", {}, QUICK),
    ):
        pass
    assert [path for path, _ in server.asked] == ["/moving"]


@pytest.mark.parametrize(
    "url",
    [
        "http://models.example.org/m.nxb",
        "file:///etc/passwd",
        "ftp://models.example.org/m",
        "/etc/passwd",
        "",
        "https://",
        "https:///m",
        "https://a:b@models.example.org/m",
        "https://models.example.org/a b",
        "https://models.example.org/\n",
        "https://modèles.example.org/m",
        "https://models.example.org:0/m",
        "https://models.example.org:x/m",
        "http://localhost.example.org/m",
        "http://127.0.0.1.example.org/m",
        "http://10.0.0.1/m",
    ],
)
def test_only_https_and_this_machine_are_allowed(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_address(url)
    with pytest.raises(ValueError, match=r"."):
        wanted(url)


@pytest.mark.parametrize(
    "url", ["https://models.example.org/m?download=1", "http://localhost:8/m", "http://127.0.0.1/m", "http://[::1]:8/m"]
)
def test_these_addresses_are_allowed(url: str) -> None:
    check_address(url)


def test_a_file_without_a_hash_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="no hash"):
        RemoteFile("m", ("https://models.example.org/m",), 10)


def test_what_is_local_goes_past_the_proxy(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url("/"))
        assert fetch(server, tmp_path / "m.nxb")
        assert proxy.asked == []


# --- offline ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every socket and every look-up of a name fail the test."""

    def forbidden(*_: object, **__: object) -> None:
        pytest.fail("a connection was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)


@pytest.fixture
def only_local(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note whom connections are opened to, and let any to another machine fail the test."""
    opened: list[object] = []
    real = socket.create_connection

    def noted(address: tuple[str, int], *rest: object, **more: object) -> socket.socket:
        opened.append(address)
        assert address[0] in ("127.0.0.1", "localhost")
        return real(address, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "create_connection", noted)
    return opened


def test_offline_no_connection_is_opened(tmp_path: Path, no_network: None) -> None:
    into = tmp_path / "missing" / "m.nxb"
    with pytest.raises(BundleError, match=r"while offline .NEURAXIS_OFFLINE"):
        fetch_file(wanted("https://models.example.org/m.nxb"), into, FetchOptions(offline=True))
    with pytest.raises(BundleError, match=r"while offline .NEURAXIS_OFFLINE"):
        fetch_text("https://models.example.org/registry.json", 1000, offline=True)
    assert names(tmp_path) == []


def test_offline_a_file_in_place_is_used(tmp_path: Path, no_network: None) -> None:
    (tmp_path / "m.nxb").write_bytes(CONTENT)
    file = wanted("https://models.example.org/m.nxb")
    assert not fetch_file(file, tmp_path / "m.nxb", FetchOptions(offline=True))


def test_offline_an_unfinished_file_is_kept(server: Server, tmp_path: Path) -> None:
    interrupted(server, tmp_path)
    server.asked.clear()
    assert "is not whole" in refusal(server, tmp_path / "m.nxb", offline=True)
    assert server.asked == []
    assert (tmp_path / "m.nxb.part").stat().st_size == HALF


def test_the_proof_of_being_offline_would_find_a_connection(tmp_path: Path, no_network: None) -> None:
    with pytest.raises(pytest.fail.Exception, match="a connection was opened"):
        fetch_file(wanted("https://models.example.org/m.nxb"), tmp_path / "m.nxb", FetchOptions(patience=QUICK))


# --- small texts ------------------------------------------------------------------------------------------------------


def test_a_text_is_fetched_up_to_its_limit(server: Server) -> None:
    server.acts["/r.json"] = [says(200, b"[1, 2]")]
    assert fetch_text(server.url("/r.json"), 6, patience=QUICK) == "[1, 2]"
    with pytest.raises(BundleError, match="sends more than 5 bytes"):
        fetch_text(server.url("/r.json"), 5, patience=QUICK)


@pytest.mark.parametrize(("act", "reason"), [(says(404), "answers 404"), (says(200, b"\xff\xfe"), "is no text")])
def test_a_text_that_is_not_there_is_told(server: Server, act: Act, reason: str) -> None:
    server.acts["/r.json"] = [act]
    with pytest.raises(BundleError, match=reason):
        fetch_text(server.url("/r.json"), 1000, patience=QUICK)
