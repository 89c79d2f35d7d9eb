"""Downloads from a server that cuts, tampers and forgets; and what they leave on the disk."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuraxis.errors import BundleError, ResourceError, UsageError
from neuraxis.net.download import FetchOptions, fetch_file
from neuraxis.net.remote import RemoteFile

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).with_name("web_server.py"))
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
CONTENT = web_server.CONTENT
HALF = web_server.HALF
OTHER = web_server.OTHER
QUICK = web_server.QUICK
Act = web_server.Act
Server = web_server.Server
fetch = web_server.fetch
interrupted = web_server.interrupted
names = web_server.names
refusal = web_server.refusal
says = web_server.says
serve = web_server.serve
server = web_server.server
stall = web_server.stall
wanted = web_server.wanted

# --- a good server ----------------------------------------------------------------------------------------------------


def test_a_file_is_fetched_and_nothing_lies_beside_it(server: Server, tmp_path: Path) -> None:
    into = tmp_path / "new" / "folder" / "m.nxb"
    assert fetch(server, into)
    assert into.read_bytes() == CONTENT
    assert names(into.parent) == ["m.nxb"]
    assert into.stat().st_mode & 0o777 == 0o666 & ~current_umask()


def test_progress_is_told_in_megabytes(server: Server, tmp_path: Path) -> None:
    content = random.Random(9).randbytes(3_500_000)
    server.acts["/m.nxb"] = [serve(content, until=2_200_000), serve(content)]
    told = Told()
    fetch_file(wanted(server.url(), content=content), tmp_path / "m.nxb", FetchOptions(patience=QUICK), told)
    assert told.stages == [("fetch lesions, MB", 4)]
    assert told.done == 4


def test_a_file_in_place_is_used_without_asking_anybody(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.nxb").write_bytes(CONTENT)
    assert not fetch(server, tmp_path / "m.nxb")
    assert server.asked == []


def test_another_file_of_that_name_is_replaced_only_when_asked(server: Server, tmp_path: Path) -> None:
    into = tmp_path / "m.nxb"
    into.write_bytes(OTHER)
    assert "exists already" in refusal(server, into, error=UsageError)
    assert server.asked == []
    assert fetch(server, into, overwrite=True)
    assert into.read_bytes() == CONTENT


def test_a_failed_replacement_leaves_the_old_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.nxb").write_bytes(OTHER)
    server.acts["/m.nxb"] = [says(404)]
    refusal(server, tmp_path / "m.nxb", overwrite=True)
    assert (tmp_path / "m.nxb").read_bytes() == OTHER
    assert names(tmp_path) == ["m.nxb"]


def test_md5_is_checked_where_nothing_better_is_known(server: Server, tmp_path: Path) -> None:
    right = RemoteFile("m", (server.url(),), len(CONTENT), md5=hashlib.md5(CONTENT).hexdigest())
    wrong = RemoteFile("m", (server.url(),), len(CONTENT), md5=hashlib.md5(OTHER).hexdigest())
    assert fetch_file(right, tmp_path / "m.nxb", FetchOptions(patience=QUICK))
    with pytest.raises(BundleError, match="its MD5 is"):
        fetch_file(wrong, tmp_path / "n.nxb", FetchOptions(patience=QUICK))
    assert names(tmp_path) == ["m.nxb"]


def test_where_both_hashes_are_known_both_must_be_right(server: Server, tmp_path: Path) -> None:
    sha, md5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(OTHER).hexdigest()
    with pytest.raises(BundleError, match="its MD5 is"):
        fetch_file(RemoteFile("m", (server.url(),), len(CONTENT), sha, md5), tmp_path / "m.nxb")


# --- cuts, and going on -----------------------------------------------------------------------------------------------


def test_a_cut_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(etag='"a"', until=HALF), serve(etag='"a"')]
    assert fetch(server, tmp_path / "m.nxb")
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT
    assert server.header("Range") == [None, f"bytes={HALF}-"]
    assert server.header("If-Range") == [None, '"a"']
    assert names(tmp_path) == ["m.nxb"]


def test_many_cuts_do_not_matter_as_long_as_it_gets_on(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(until=at) for at in (70_000, 140_000, 210_000, 280_000)] + [serve()]
    assert fetch(server, tmp_path / "m.nxb")
    assert len(server.asked) == 5


def test_a_server_that_always_cuts_at_one_place_is_given_up_and_the_bytes_are_kept(
    server: Server, tmp_path: Path
) -> None:
    server.acts["/m.nxb"] = [serve(until=HALF)]
    message = refusal(server, tmp_path / "m.nxb")
    assert f"{HALF} of {len(CONTENT)} bytes are kept" in message
    assert names(tmp_path) == ["m.nxb.part", "m.nxb.part.json"]
    assert len(server.asked) == 1 + QUICK.tries
    server.acts["/m.nxb"] = [serve()]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("Range")[-1] == f"bytes={HALF}-"
    assert names(tmp_path) == ["m.nxb"]


def test_a_killed_process_is_taken_up_by_the_next(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [stall(HALF), serve(etag='"a"')]
    into, part = tmp_path / "m.nxb", tmp_path / "m.nxb.part"
    script = f"""
from pathlib import Path
from neuraxis.net.download import fetch_file
from neuraxis.net.remote import RemoteFile
fetch_file({wanted(server.url())!r}, Path({str(into)!r}))
"""
    pulling = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == HALF):
        assert pulling.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert "another neuraxis process" in refusal(server, into, error=ResourceError)
    pulling.send_signal(signal.SIGKILL)
    assert pulling.wait(10) == -signal.SIGKILL
    assert names(tmp_path) == ["m.nxb.part", "m.nxb.part.json"]
    assert fetch(server, into)
    assert server.header("Range") == [None, f"bytes={HALF}-"]
    assert into.read_bytes() == CONTENT
    assert names(tmp_path) == ["m.nxb"]


def test_a_process_killed_before_the_last_rename_needs_no_server(server: Server, tmp_path: Path) -> None:
    interrupted(server, tmp_path)
    (tmp_path / "m.nxb.part").write_bytes(CONTENT)
    server.asked.clear()
    assert fetch(server, tmp_path / "m.nxb", offline=True)
    assert server.asked == []
    assert names(tmp_path) == ["m.nxb"]


def test_a_server_that_knows_no_parts_sends_the_whole(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(until=HALF), serve(ranges=False)]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("Range") == [None, f"bytes={HALF}-"]
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


def test_a_file_that_changed_between_two_tries_is_fetched_whole(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(OTHER, '"old"', until=HALF), serve(CONTENT, '"new"')]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("If-Range") == [None, '"old"']
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_bytes_of_two_versions_without_a_strong_etag_are_found_out_by_the_hash(
    server: Server, tmp_path: Path, etag: str
) -> None:
    server.acts["/m.nxb"] = [serve(OTHER, etag, until=HALF), serve(CONTENT, etag)]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("If-Range") == [None, None, None]
    assert server.header("Range") == [None, f"bytes={HALF}-", None]
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


def test_bytes_kept_of_another_model_are_not_gone_on_with(server: Server, tmp_path: Path) -> None:
    interrupted(server, tmp_path)
    server.acts["/other"] = [serve(OTHER)]
    other = wanted(server.url("/other"), content=OTHER)
    server.asked.clear()
    assert fetch_file(other, tmp_path / "m.nxb", FetchOptions(patience=QUICK))
    assert server.header("Range") == [None]
    assert (tmp_path / "m.nxb").read_bytes() == OTHER


def test_a_part_that_no_pull_left_behind_is_not_touched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.nxb.part").write_text("of my browser")
    assert "in the way" in refusal(server, tmp_path / "m.nxb", error=UsageError)
    assert (tmp_path / "m.nxb.part").read_text() == "of my browser"


def test_a_link_in_the_place_of_the_part_is_not_followed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "m.nxb.part").symlink_to(tmp_path / "precious")
    refusal(server, tmp_path / "m.nxb", error=ResourceError)
    assert (tmp_path / "precious").read_text() == "mine"


@pytest.mark.parametrize(
    "answer",
    [
        says(206, CONTENT[1000:], Content_Range=f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        says(206, CONTENT[HALF:], Content_Range=f"bytes {HALF}-{len(CONTENT) - 1}/999999"),
        says(206, CONTENT[HALF:]),
        says(206, CONTENT[HALF:], Content_Range="bytes somewhere"),
        says(416),
    ],
)
def test_another_part_than_was_asked_for_is_not_used(server: Server, tmp_path: Path, answer: Act) -> None:
    server.acts["/m.nxb"] = [serve(until=HALF), answer, serve()]
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("Range") == [None, f"bytes={HALF}-", None]
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


def test_ctrl_c_keeps_what_arrived(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    server.acts["/m.nxb"] = [serve(until=HALF)]

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt), caplog.at_level("INFO"):
        fetch(server, tmp_path / "m.nxb")
    assert f"{HALF} of {len(CONTENT)} bytes are kept" in caplog.text
    assert (tmp_path / "m.nxb.part").stat().st_size == HALF


# --- wrong bytes ------------------------------------------------------------------------------------------------------


def test_wrong_bytes_are_refused_and_nothing_is_left(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(OTHER)]
    message = refusal(server, tmp_path / "m.nxb")
    assert hashlib.sha256(OTHER).hexdigest() in message
    assert hashlib.sha256(CONTENT).hexdigest() in message
    assert names(tmp_path) == []
    assert len(server.asked) == 1


def test_one_changed_bit_is_enough(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))]
    refusal(server, tmp_path / "m.nxb")
    assert names(tmp_path) == []


def test_a_server_that_tampers_is_left_for_its_mirror(server: Server, tmp_path: Path) -> None:
    server.acts["/bad"] = [serve(OTHER)]
    assert fetch(server, tmp_path / "m.nxb", "/bad", "/m.nxb")
    assert server.header("Range") == [None, None]
    assert (tmp_path / "m.nxb").read_bytes() == CONTENT


def test_a_server_that_tampers_only_after_a_cut_is_found_out(server: Server, tmp_path: Path) -> None:
    server.acts["/m.nxb"] = [serve(until=HALF), serve(OTHER)]
    refusal(server, tmp_path / "m.nxb")
    assert len(server.asked) == 3  # the rest, which is wrong, and the whole once more
    assert names(tmp_path) == []


def test_the_check_is_made_before_the_file_gets_its_name(server: Server, tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        assert path.read_bytes() == CONTENT
        assert names(tmp_path) == ["m.nxb.part", "m.nxb.part.json"]
        raise BundleError(f"{path}: is no bundle.")

    message = refusal(server, tmp_path / "m.nxb", check=refuse)
    assert message == f"{tmp_path / 'm.nxb'}: is no bundle."
    assert names(tmp_path) == []


# --- the disk ---------------------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_told_before_anything_is_read(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))  # type: ignore[attr-defined]
    message = refusal(server, tmp_path / "m.nxb", error=ResourceError)
    assert "1 MB are needed" in message
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_on_the_way_keeps_what_arrived(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def write(handle: int, content: bytes, at: int) -> int:
        if at + len(content) > 200_000:
            if at >= 200_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            content = content[: 200_000 - at]
        return real(handle, content, at)

    with monkeypatch.context() as full:
        full.setattr(os, "pwrite", write)
        message = refusal(server, tmp_path / "m.nxb", error=ResourceError)
    assert "No space left on device" in message
    assert "type the same command again" in message
    assert (tmp_path / "m.nxb.part").stat().st_size == 200_000
    assert fetch(server, tmp_path / "m.nxb")
    assert server.header("Range") == [None, "bytes=200000-"]


def test_a_folder_that_cannot_be_written_to_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "Choose another --into" in refusal(server, tmp_path / "file" / "m.nxb", error=ResourceError)


def test_a_folder_in_the_place_of_the_file_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "m.nxb").mkdir()
    assert "is a folder" in refusal(server, tmp_path / "m.nxb", error=UsageError)


def test_two_at_once_do_not_write_into_one_file(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "m.nxb.part"
    with part.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another neuraxis process" in refusal(server, tmp_path / "m.nxb", error=ResourceError)
        assert server.asked == []
    assert fetch(server, tmp_path / "m.nxb")


# --- helpers of these tests -------------------------------------------------------------------------------------------


class Told:
    """A progress that notes what it is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.done = 0

    @contextmanager
    def stage(self, name: str, total: int) -> Iterator[Told]:
        self.stages.append((name, total))
        yield self

    def advance(self, amount: int = 1, note: str = "", total: int = 0) -> None:
        self.done += amount


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
