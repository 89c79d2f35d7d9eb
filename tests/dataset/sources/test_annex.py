"""Datasets whose repository holds pointers: each becomes the file that its name tells, checked with the hash in it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from neuraxis.dataset.sources.annex import take_pointers
from neuraxis.dataset.sources.source import Annex, Source
from neuraxis.errors import BundleError

PAGE = "https://example.org/page"
ANNEX = Annex(address="https://example.org/store", stated_at=PAGE)
SCAN, MASK = bytes(range(256)) * 300, b"mask" * 900


def key_of(content: bytes, kind: str = "SHA256E", ending: str = ".nii.gz") -> str:
    digest = (hashlib.sha256 if kind.startswith("SHA256") else hashlib.md5)(content).hexdigest()
    return f"{kind}-s{len(content)}--{digest}{ending}"


def pointer(content: bytes, kind: str = "SHA256E") -> str:
    return f"/annex/objects/{key_of(content, kind)}\n"


def link(content: bytes) -> str:
    """What a link of git-annex points to."""
    return f"../../.git/annex/objects/Xx/9z/{key_of(content)}/{key_of(content)}"


def zip_of(files: dict[str, str], links: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"set-1/{name}"), text)
        for name, target in links.items():
            member = zipfile.ZipInfo(f"set-1/{name}")
            member.external_attr = 0o120777 << 16
            archive.writestr(member, target)
    return content.getvalue()


ARCHIVE = zip_of(
    {"README.md": "about annex/objects/ of the set\n", "sub-1/anat/sub-1_T2w.nii.gz": pointer(SCAN)},
    {"sub-1/anat/sub-1_mask.nii.gz": link(MASK)},
)


@pytest.fixture
def wanted(server, source, web) -> Source:
    """A dataset of one archive with two pointers, and a server that holds what they stand for."""
    server.acts["/set.zip"] = [web.serve(ARCHIVE)]
    server.acts[f"/store/{key_of(SCAN)}"] = [web.serve(SCAN)]
    server.acts[f"/store/{key_of(MASK)}"] = [web.serve(MASK)]
    files = [{"url": server.url("/set.zip"), "path": "set.zip", "stated_at": PAGE, "unpack": "zip"}]
    return source(server, files=files, top="set-1", annex={"address": server.url("/store"), "stated_at": PAGE})


def test_pointers_become_the_files_that_they_name(wanted, fetch, tmp_path: Path) -> None:
    fetched = fetch(wanted, tmp_path / "set")
    assert (tmp_path / "set/sub-1/anat/sub-1_T2w.nii.gz").read_bytes() == SCAN
    assert (tmp_path / "set/sub-1/anat/sub-1_mask.nii.gz").read_bytes() == MASK
    assert (tmp_path / "set/README.md").read_text() == "about annex/objects/ of the set\n"
    assert fetched.on_trust == 1  # the archive; what the pointers name has its hash in the name
    checked = {name: file["checked_with"] for name, file in json.loads(fetched.lock.read_text())["files"].items()}
    assert checked == {
        "set.zip": "first download",
        "set-1/sub-1/anat/sub-1_T2w.nii.gz": "published",
        "set-1/sub-1/anat/sub-1_mask.nii.gz": "published",
    }


def test_after_a_cut_what_came_stays_and_the_rest_goes_on(server, web, wanted, fetch, tmp_path: Path) -> None:
    half = len(MASK) // 2
    server.acts[f"/store/{key_of(MASK)}"] = [web.serve(MASK, until=half), web.says(503)]
    with pytest.raises(BundleError, match=f"{half} of {len(MASK)} bytes are kept"):
        fetch(wanted, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    server.acts[f"/store/{key_of(MASK)}"] = [web.serve(MASK)]
    asked = len(server.asked)
    assert fetch(wanted, tmp_path / "set").fetched
    assert [path for path, _ in server.asked[asked:]] == [f"/store/{key_of(MASK)}"]
    assert server.header("Range")[-1] == f"bytes={half}-"
    assert (tmp_path / "set/sub-1/anat/sub-1_T2w.nii.gz").read_bytes() == SCAN
    assert (tmp_path / "set/sub-1/anat/sub-1_mask.nii.gz").read_bytes() == MASK


def test_a_tampered_file_is_not_what_its_name_tells(server, web, wanted, fetch, tmp_path: Path) -> None:
    server.acts[f"/store/{key_of(SCAN)}"] = [web.serve(bytes(len(SCAN)))]
    with pytest.raises(BundleError, match="sent another file"):
        fetch(wanted, tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_archive_without_an_annex_may_hold_no_link(wanted, fetch, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is a link"):
        fetch(wanted.model_copy(update={"annex": None}), tmp_path / "set")


def test_other_files_are_no_pointers_and_an_empty_one_is_made_here(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(f"see {pointer(SCAN)}")
    (tmp_path / "b.bin").write_bytes(pointer(SCAN).encode() + bytes(40_000))
    (tmp_path / "c.md5").write_text(pointer(SCAN, "MD5E"))
    (tmp_path / "d.nii.gz").write_text(pointer(b""))
    (file,) = take_pointers(tmp_path, ANNEX)
    assert (file.path, file.md5, file.sha256) == ("c.md5", hashlib.md5(SCAN).hexdigest(), "")
    assert file.size == len(SCAN)
    assert (tmp_path / "d.nii.gz").read_bytes() == b""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.bin", "d.nii.gz"]


@pytest.mark.parametrize("key", ["WORM-s12-m123--scan.nii.gz", "SHA256E--" + "a" * 64, "SHA1-s3--" + "a" * 40])
def test_a_pointer_that_tells_no_hash_is_refused(tmp_path: Path, key: str) -> None:
    (tmp_path / "a.nii.gz").write_text(f"/annex/objects/{key}\n")
    with pytest.raises(BundleError, match="tells no size and no hash"):
        take_pointers(tmp_path, ANNEX)
