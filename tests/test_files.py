from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuraxis import files
from neuraxis.errors import BundleError, DataError, ResourceError, UsageError
from neuraxis.files import (
    atomic_path,
    extract_tar,
    extract_zip,
    folder_lock,
    read_json,
    refuse_existing,
    sha256,
    write_json,
    write_text,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_atomic_file_appears_whole_and_alone(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "deep" / "report.html") as part:
        part.write_text("half")
        assert not (tmp_path / "deep" / "report.html").exists()
        assert part.name.endswith("report.html")
        part.write_text("whole")
    assert names_in(tmp_path / "deep") == ["report.html"]
    assert (tmp_path / "deep" / "report.html").read_text() == "whole"


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_after_an_exception_nothing_is_left_and_the_old_file_is_untouched(
    tmp_path: Path, problem: type[BaseException]
) -> None:
    (tmp_path / "scores.csv").write_text("old")

    def write_half() -> None:
        with atomic_path(tmp_path / "scores.csv") as part:
            part.write_text("half")
            raise problem

    with pytest.raises(problem):
        write_half()
    assert names_in(tmp_path) == ["scores.csv"]
    assert (tmp_path / "scores.csv").read_text() == "old"


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text("old")
    program = (
        "import os, sys, pathlib; from neuraxis.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "scores.csv")], check=False)
    assert ended.returncode == -9
    assert (tmp_path / "scores.csv").read_text() == "old"


def test_a_new_file_can_be_read_by_those_whom_the_umask_allows(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "x")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_an_existing_output_is_refused_with_what_to_type(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(UsageError, match=r"a\.txt exists already\. .*--into.*--overwrite"):
        write_text(tmp_path / "a.txt", "new", overwrite=False)
    assert (tmp_path / "a.txt").read_text() == "old"
    refuse_existing(tmp_path / "a.txt", overwrite=True)
    refuse_existing(tmp_path / "b.txt", overwrite=False)


def test_a_place_that_cannot_be_written_to_is_a_matter_of_resources(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(ResourceError, match="cannot be written to"):
        write_text(tmp_path / "file" / "a.txt", "x")
    with pytest.raises(ResourceError, match=r"folder\.txt: could not be written"):
        write_text(tmp_path / "folder.txt", "x")
    assert names_in(tmp_path) == ["file", "folder.txt"]


def test_json_holds_null_where_a_number_is_none(tmp_path: Path) -> None:
    content = {
        "dice": float("nan"),
        "hd95": [np.float32(2.5), np.inf],
        1: np.int64(3),
        "there": (True, None, "yes"),
        "array": np.array([[1.5, np.nan]]),
        "path": Path("a/b"),
    }
    write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "dice": None,
        "hd95": [2.5, None],
        "1": 3,
        "there": [True, None, "yes"],
        "array": [[1.5, None]],
        "path": "a/b",
    }


def test_json_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"a": ')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"missing\.json: no such file"):
        read_json(tmp_path / "missing.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path)
    for name in ("broken.json", "binary.json", "deep.json"):
        with pytest.raises(DataError, match=f"{name}: is not valid JSON"):
            read_json(tmp_path / name)


def test_a_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_locked_folder_is_refused_until_the_other_process_ends(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from neuraxis.files import folder_lock\n"
        "with folder_lock(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ResourceError, match="another neuraxis process is writing here"), folder_lock(tmp_path):
            pass
        other.kill()
    with folder_lock(tmp_path):
        pass


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return path


def test_a_sound_archive_is_extracted(tmp_path: Path) -> None:
    extract_zip(zip_of(tmp_path / "a.zip", ("bundle.json", b"{}"), ("deep/weights", b"123")), tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "weights").read_bytes() == b"123"
    assert names_in(tmp_path / "out") == ["bundle.json", "deep"]


@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:evil", "a\\..\\evil", "..", "./", "a/./../../evil"]
)
def test_a_member_that_would_leave_the_folder_stops_everything(tmp_path: Path, name: str) -> None:
    member = zipfile.ZipInfo("x")
    member.filename = name
    archive = zip_of(tmp_path / "a.zip", ("good", b"1"), (member, b"2"))
    with pytest.raises(BundleError, match="would leave the folder"):
        extract_zip(archive, tmp_path / "out")
    assert names_in(tmp_path) == ["a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(BundleError, match="'link' is a link"):
        extract_zip(zip_of(tmp_path / "a.zip", (link, b"/etc/passwd")), tmp_path / "out")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["a", "A", "./a"])
def test_two_members_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    with pytest.raises(BundleError, match="is there twice"):
        extract_zip(zip_of(tmp_path / "a.zip", ("a", b"1"), (second, b"2")), tmp_path / "out")


def test_a_bomb_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a bomb"):
        extract_zip(zip_of(tmp_path / "a.zip", ("zeros", bytes(2**23))), tmp_path / "out")
    few, small = files.ExtractionLimits(members=2), files.ExtractionLimits(total_bytes=5)
    with pytest.raises(BundleError, match="holds 3 files"):
        extract_zip(zip_of(tmp_path / "b.zip", ("a", b""), ("b", b""), ("c", b"")), tmp_path / "out", few)
    with pytest.raises(BundleError, match="unpacks to more than"):
        extract_zip(zip_of(tmp_path / "c.zip", ("a", b"123"), ("b", b"123")), tmp_path / "out", small)
    assert not (tmp_path / "out").exists()


def test_a_broken_archive_is_refused_wherever_it_is_broken(tmp_path: Path) -> None:
    whole = zip_of(tmp_path / "a.zip", ("a", bytes(range(256)) * 40), ("b", b"123" * 99)).read_bytes()
    broken = tmp_path / "broken.zip"
    for place in range(0, len(whole), 3):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        broken.write_bytes(damaged)
        with contextlib.suppress(BundleError):  # nothing else may come out
            extract_zip(broken, tmp_path / f"out{place}")
    broken.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="not a readable zip archive"):
        extract_zip(broken, tmp_path / "out")


# --- tar --------------------------------------------------------------------------------------------------------------


def tar_of(folder: Path, *members: tarfile.TarInfo, mode: str = "w") -> Path:
    path = folder / "a.tar"
    with tarfile.open(path, mode) as archive:
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def member_of(name: str, kind: bytes = tarfile.REGTYPE, size: int = 3) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, "/etc/passwd", 0o4777
    member.size = size if kind == tarfile.REGTYPE else 0
    return member


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_sound_tar_is_extracted_without_its_rights(tmp_path: Path, mode: str) -> None:
    archive = tar_of(tmp_path, member_of("T", tarfile.DIRTYPE), member_of("./T/b/c.txt"), mode=mode)
    extract_tar(archive, tmp_path / "out")
    assert (tmp_path / "out" / "T" / "b" / "c.txt").read_bytes() == b"xxx"
    assert (tmp_path / "out" / "T" / "b" / "c.txt").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "c:\\x", "a\\..\\x"])
def test_a_tar_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="would leave the folder"):
        extract_tar(tar_of(tmp_path, member_of(name)), tmp_path / "out")
    assert names_in(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with pytest.raises(BundleError, match="is a link or device"):
        extract_tar(tar_of(tmp_path, member_of("a", kind)), tmp_path / "out")


def test_a_tar_with_too_much_is_refused_before_it_is_written(tmp_path: Path) -> None:
    archive = tar_of(tmp_path, member_of("a", size=600), member_of("b", size=600))
    with pytest.raises(BundleError, match="unpacks to more than"):
        extract_tar(archive, tmp_path / "out", files.ExtractionLimits(total_bytes=1000))
    assert names_in(tmp_path / "out") == ["a"]
    with pytest.raises(BundleError, match="more than 1 files"):
        extract_tar(archive, tmp_path / "more", files.ExtractionLimits(members=1))
    with pytest.raises(BundleError, match="there twice"):
        extract_tar(tar_of(tmp_path, member_of("a"), member_of("./A")), tmp_path / "twice")


def test_a_tar_that_is_cut_or_none_at_all_is_refused(tmp_path: Path) -> None:
    archive = tar_of(tmp_path, member_of("a", size=5000), mode="w:gz")
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(BundleError, match="Fetch it again"):
        extract_tar(archive, tmp_path / "out")
    archive.write_bytes(b"no tar at all" * 100)
    with pytest.raises(BundleError, match="is not a readable tar archive"):
        extract_tar(archive, tmp_path / "none")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot be unpacked"):
        extract_zip(zip_of(tmp_path / "a.zip", ("a", b"1"), ("a/b", b"2")), tmp_path / "out")


def test_the_cache_lies_in_the_home_folder_or_else_in_a_private_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache_folder() == tmp_path / ".cache" / "neuraxis"
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    monkeypatch.setattr(files.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    folder = files.cache_folder()
    assert folder.parent == tmp_path / "temporary"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
