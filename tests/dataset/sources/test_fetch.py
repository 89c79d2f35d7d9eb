"""Public datasets from a server that cuts, tampers and forgets; and the folder and lock that they leave."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuraxis.dataset.layouts.recognise import open_dataset
from neuraxis.dataset.sources.fetch import FetchedDataset
from neuraxis.dataset.sources.listing import list_bucket
from neuraxis.dataset.sources.source import Listing, Many, Pairs, SourceFile
from neuraxis.errors import BundleError, DataError, ResourceError, UsageError
from neuraxis.volume.formats import nifti
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

spec = importlib.util.spec_from_file_location("web_server", Path(__file__).parents[2] / "net" / "web_server.py")
web_server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(web_server)
QUICK, Server, names = web_server.QUICK, web_server.Server, web_server.names
drip, says, serve, stall = (getattr(web_server, name) for name in ("drip", "says", "serve", "stall"))

PAGE = "https://example.org/page"
FILES = {"Task/dataset.json": b"{}", "Task/imagesTr/a.nii.gz": bytes(range(256)) * 500}


def zip_of(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def tar_of(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


ZIP, TAR = zip_of(FILES), tar_of(FILES)


@pytest.fixture
def good(server: Server) -> Server:
    server.acts["/toy.zip"] = [serve(ZIP)]
    server.acts["/toy.tar"] = [serve(TAR)]
    return server


def holds_all(folder: Path) -> bool:
    return all((folder / name.removeprefix("Task/")).read_bytes() == data for name, data in FILES.items())


# --- a good server ----------------------------------------------------------------------------------------------------


def test_a_dataset_is_fetched_unpacked_and_locked(source, fetch, good: Server, tmp_path: Path) -> None:
    fetched = fetch(source(good), tmp_path / "toy")
    assert fetched == FetchedDataset("toy", tmp_path / "toy", True, 1, tmp_path / "toy.lock.json")
    assert holds_all(tmp_path / "toy")
    assert names(tmp_path) == ["toy", "toy.lock.json"]
    lock = json.loads((tmp_path / "toy.lock.json").read_text())
    assert lock["licence"] == "CC0"
    assert lock["files"]["toy.zip"] == {
        "url": good.url("/toy.zip"), "size": len(ZIP), "sha256": hashlib.sha256(ZIP).hexdigest(),
        "checked_with": "first download",
    }  # fmt: skip


def test_a_tar_with_a_published_hash_needs_no_trust(source, fetch, good: Server, tmp_path: Path) -> None:
    file = {"url": good.url("/toy.tar"), "path": "toy.tar", "stated_at": PAGE, "unpack": "tar",
            "md5": hashlib.md5(TAR).hexdigest()}  # fmt: skip
    assert fetch(source(good, files=[file]), tmp_path / "toy").on_trust == 0
    assert holds_all(tmp_path / "toy")


def test_what_is_there_is_not_fetched_again(source, fetch, good: Server, tmp_path: Path) -> None:
    fetch(source(good), tmp_path / "toy")
    asked = len(good.asked)
    again = fetch(source(good), tmp_path / "toy", accept_licence=False, offline=True)
    assert not again.fetched
    assert again.on_trust == 1
    assert len(good.asked) == asked


def test_files_in_series_keep_their_places_and_pair(source, fetch, good: Server, tmp_path: Path) -> None:
    many = Many(
        file={"url": good.url("/{case}/{kind}.nii.gz"), "path": "{case}/{kind}.nii.gz", "stated_at": PAGE},
        words={"case": ("p1", "p2"), "kind": ("FLAIR", "gt")},
    )
    image, label = nifti_of(np.float32(7)), nifti_of(np.uint8(1))
    for case in ("p1", "p2"):
        good.acts[f"/{case}/FLAIR.nii.gz"], good.acts[f"/{case}/gt.nii.gz"] = [serve(image)], [serve(label)]
    pairs = Pairs(images=("{case}/FLAIR.nii.gz",), channels=("FLAIR",), label="{case}/gt.nii.gz",
                  labels={"lesion": 1}, stated_at=PAGE)  # fmt: skip
    fetch(source(good, files=[], many=[many], pairs=pairs, top=""), tmp_path / "toy")
    opened = open_dataset(tmp_path / "toy")
    assert [case.id for case in opened.cases] == ["p1", "p2"]
    assert opened.channels == ("FLAIR",)
    assert opened.cases[1].read_images().array.max() == 7
    assert opened.cases[1].read_label().array.max() == 1
    assert (tmp_path / "toy" / "p2" / "gt.nii.gz").read_bytes() == label


def nifti_of(value: np.generic) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii.gz"
        nifti.write(path, Volume(np.full((1, 4, 4, 4), value), Grid((4, 4, 4), np.eye(4))))
        return path.read_bytes()


def test_an_archive_packed_while_it_is_sent_has_no_size_and_comes_whole(
    source, fetch, good: Server, tmp_path: Path
) -> None:
    good.acts["/toy.zip"] = [chunked(ZIP)]
    assert fetch(source(good), tmp_path / "toy").fetched
    assert holds_all(tmp_path / "toy")


def chunked(content: bytes, until: int | None = None):
    def act(handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(content[:until]), 5000):
            part = content[:until][start : start + 5000]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        if until is None:
            handler.wfile.write(b"0\r\n\r\n")

    return act


# --- cut, slow and tampered -------------------------------------------------------------------------------------------


def test_a_cut_download_goes_on_where_it_stopped(source, fetch, good: Server, tmp_path: Path) -> None:
    half = len(ZIP) // 2
    good.acts["/toy.zip"] = [serve(ZIP[:1] + ZIP[1:], until=1), serve(ZIP, until=half), says(503)]
    with pytest.raises(BundleError, match=f"{half} of {len(ZIP)} bytes are kept"):
        fetch(source(good), tmp_path / "toy")
    assert names(tmp_path) == ["toy.part"]
    good.acts["/toy.zip"] = [serve(ZIP)]
    assert fetch(source(good), tmp_path / "toy").fetched
    assert good.header("Range")[-1] == f"bytes={half}-"
    assert holds_all(tmp_path / "toy")
    assert names(tmp_path) == ["toy", "toy.lock.json"]


def test_a_cut_archive_of_unknown_size_is_fetched_anew(source, fetch, good: Server, tmp_path: Path) -> None:
    good.acts["/toy.zip"] = [chunked(ZIP, 10_000), chunked(ZIP, 9_000), chunked(ZIP)]
    assert fetch(source(good), tmp_path / "toy").fetched
    assert holds_all(tmp_path / "toy")


def test_an_archive_that_ends_nowhere_is_refused(source, fetch, good: Server, tmp_path: Path) -> None:
    good.acts["/toy.zip"] = [lambda handler: handler.answer(200, ZIP, -1)]
    with pytest.raises(BundleError, match="tells neither the size of the file nor where it ends"):
        fetch(source(good), tmp_path / "toy")
    assert names(tmp_path) == []


@pytest.mark.parametrize("act", [stall(1000), drip])
def test_a_server_that_falls_silent_or_drips_is_left(source, fetch, good: Server, tmp_path: Path, act: object) -> None:
    good.acts["/toy.zip"] = [serve(ZIP, until=1), act]
    with pytest.raises(BundleError, match=r"toy\.zip"):
        fetch(source(good), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_tampered_file_with_a_published_hash_is_refused(source, fetch, good: Server, tmp_path: Path) -> None:
    wrong = bytes(len(ZIP))
    good.acts["/toy.zip"] = [serve(wrong)]
    file = {"url": good.url("/toy.zip"), "path": "toy.zip", "stated_at": PAGE, "unpack": "zip",
            "sha256": hashlib.sha256(ZIP).hexdigest()}  # fmt: skip
    with pytest.raises(BundleError, match="sent another file"):
        fetch(source(good, files=[file]), tmp_path / "toy")
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", [len(ZIP), len(ZIP) - 7])
def test_a_second_download_that_differs_from_the_first_is_refused(
    source, fetch, good: Server, tmp_path: Path, length: int
) -> None:
    fetch(source(good), tmp_path / "toy")
    (tmp_path / "toy").rename(tmp_path / "away")
    good.acts["/toy.zip"] = [serve(bytes(length))]
    with pytest.raises(BundleError, match="is not what came the first time"):
        fetch(source(good), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()
    good.acts["/toy.zip"] = [serve(ZIP)]
    assert fetch(source(good), tmp_path / "toy").fetched


def test_a_second_stream_that_differs_is_refused_too(source, fetch, good: Server, tmp_path: Path) -> None:
    good.acts["/toy.zip"] = [chunked(ZIP)]
    fetch(source(good), tmp_path / "toy")
    (tmp_path / "toy").rename(tmp_path / "away")
    good.acts["/toy.zip"] = [chunked(zip_of({**FILES, "Task/dataset.json": b"[]"}))]
    with pytest.raises(BundleError, match="is not what came the first time"):
        fetch(source(good), tmp_path / "toy")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"../evil": b"x"}, "would leave the folder"),
        ({"Task/a": b"x", "Task/A": b"y"}, "is there twice"),
        ({"Other/a": b"x"}, "has no folder 'Task'"),
    ],
)
def test_an_archive_of_another_shape_is_refused(
    source, fetch, good: Server, tmp_path: Path, files: dict, says: str
) -> None:
    good.acts["/toy.zip"] = [serve(zip_of(files))]
    with pytest.raises(BundleError, match=says):
        fetch(source(good), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()
    assert not (tmp_path / "evil").exists()


# --- licence, places, steps -------------------------------------------------------------------------------------------


def test_without_its_licence_accepted_nothing_is_asked_of_the_server(
    source, fetch, good: Server, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"its licence is CC0 .{PAGE}.*--accept-licence"):
        fetch(source(good), tmp_path / "toy", accept_licence=False)
    asked: list[str] = []
    with pytest.raises(UsageError, match="--accept-licence"):
        fetch(
            source(good), tmp_path / "toy", accept_licence=False, ask=lambda one: bool(asked.append(one.licence.says))
        )
    assert asked == ["CC0"]
    assert not good.asked
    assert names(tmp_path) == []
    assert fetch(source(good), tmp_path / "toy", accept_licence=False, ask=lambda _: True).fetched


def test_a_folder_that_no_fetch_made_is_left_alone(source, fetch, good: Server, tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    with pytest.raises(UsageError, match="no fetch made it"):
        fetch(source(good), tmp_path / "toy")


def test_a_lock_of_another_dataset_or_a_damaged_one_is_refused(source, fetch, good: Server, tmp_path: Path) -> None:
    fetch(source(good), tmp_path / "toy")
    with pytest.raises(UsageError, match="is of the dataset 'toy'"):
        fetch(source(good, name="other"), tmp_path / "toy")
    (tmp_path / "toy.lock.json").write_text('{"dataset": 3}')
    with pytest.raises(BundleError, match="is no lock of a dataset"):
        fetch(source(good), tmp_path / "toy")


def test_offline_nothing_is_fetched(source, fetch, good: Server, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="offline"):
        fetch(source(good), tmp_path / "toy", offline=True)
    assert not good.asked


def test_behind_a_login_the_steps_are_told(source, fetch, good: Server, tmp_path: Path) -> None:
    wanted = source(good, files=[], steps=["Make an account.", "Download it."], steps_stated_at=PAGE)
    assert fetch(wanted, tmp_path / "toy", accept_licence=False) == FetchedDataset("toy", None, steps=wanted.steps)


def test_a_place_that_cannot_be_written_to_is_a_matter_of_resources(
    source, fetch, good: Server, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        fetch(source(good), tmp_path / "file" / "toy")


def test_files_that_do_not_pair_are_refused(source, fetch, good: Server, tmp_path: Path) -> None:
    pairs = Pairs(images=("{case}/FLAIR.nii.gz",), channels=("FLAIR",), label="{case}/gt.nii.gz",
                  labels={"lesion": 1}, stated_at=PAGE)  # fmt: skip
    with pytest.raises(DataError, match="no case has all its images"):
        fetch(source(good, pairs=pairs), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


# --- a bucket that lists itself ---------------------------------------------------------------------------------------

ENTRY = "<Contents><Key>{key}</Key><ETag>&quot;{tag}&quot;</ETag><Size>{size}</Size></Contents>"


def page(*entries: str, token: str = "") -> bytes:
    more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return f"<?xml?><ListBucketResult>{more}{''.join(entries)}</ListBucketResult>".encode()


def entry(key: str, content: bytes, tag: str = "") -> str:
    return ENTRY.format(key=key, tag=tag or hashlib.md5(content).hexdigest(), size=len(content))


def listing(server: Server) -> Listing:
    return Listing(bucket=server.url("/bucket"), prefix="ds1/", stated_at=PAGE)


def test_a_bucket_is_listed_page_by_page_and_fetched(source, fetch, good: Server, tmp_path: Path) -> None:
    first, second = b"one", b"two &"
    start = "/bucket?list-type=2&prefix=ds1%2F"
    good.acts[start] = [serve(page(entry("ds1/", b""), entry("ds1/sub-1/a b.txt", first), token="x/y"))]
    good.acts[f"{start}&continuation-token=x%2Fy"] = [serve(page(entry("ds1/c&amp;d.txt", second, "not-md5-2")))]
    good.acts["/bucket/ds1/sub-1/a%20b.txt"] = [serve(first)]
    good.acts["/bucket/ds1/c%26d.txt"] = [serve(second)]
    fetched = fetch(source(good, files=[], listing=listing(good), top=""), tmp_path / "ds")
    assert fetched.on_trust == 1
    assert (tmp_path / "ds" / "sub-1" / "a b.txt").read_bytes() == first
    assert (tmp_path / "ds" / "c&d.txt").read_bytes() == second


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (page(entry("ds1/../../evil", b"x")), "would leave the folder"),
        (page(entry("ds2/a", b"x")), "outside of ds1/"),
        (page(), "lists no files"),
        (b"<html>sign in</html>", "lists no files"),
        (page(entry("ds1/a", b"x").replace(">1<", ">-1<")), "without a size"),
        (page(token="for ever"), "goes on without any"),
    ],
)
def test_a_listing_that_is_none_is_refused(good: Server, content: bytes, says: str) -> None:
    good.acts["/bucket?list-type=2&prefix=ds1%2F"] = [serve(content)]
    with pytest.raises(BundleError, match=says):
        list_bucket(listing(good), QUICK)


def test_a_path_in_the_table_cannot_leave_the_folder() -> None:
    with pytest.raises(ValueError, match="would leave the folder"):
        SourceFile(url="https://example.org/a", path="../a", stated_at=PAGE)
