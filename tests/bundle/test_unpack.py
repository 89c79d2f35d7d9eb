"""The cache of unpacked bundles: made once, remade when damaged, shared by processes, kept tidy."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from neuraxis.bundle import unpack as unpacking
from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import BundleError, ResourceError
from neuraxis.files import sha256


def places(cache: Path) -> list[str]:
    return sorted(place.name for place in (cache / "bundles").iterdir())


def test_a_file_is_unpacked_under_its_hash_and_only_once(
    schema_1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = open_bundle(schema_1, tmp_path)
    assert places(tmp_path) == [sha256(schema_1)]
    monkeypatch.setattr(unpacking, "extract_zip", lambda *_: pytest.fail("it was unpacked again"))
    assert open_bundle(schema_1, tmp_path) == first


def test_a_copy_under_another_name_shares_the_place(schema_1: Path, tmp_path: Path) -> None:
    copy = tmp_path / "other.nxb"
    copy.write_bytes(schema_1.read_bytes())
    assert open_bundle(copy, tmp_path).folder == open_bundle(schema_1, tmp_path).folder


@pytest.mark.parametrize("damage", ["cut", "touched", "removed", "added", "no marker", "bad marker"])
def test_a_damaged_place_is_made_anew(schema_1: Path, tmp_path: Path, damage: str) -> None:
    folder = open_bundle(schema_1, tmp_path).folder
    weights, marker = folder / "fold-0.safetensors", folder.parent / "checked.json"
    whole = weights.read_bytes()
    weights.chmod(0o644)
    if damage == "cut":
        weights.write_bytes(whole[:100])
    elif damage == "touched":
        weights.write_bytes(whole[:-1] + b"\x7f")
    elif damage == "removed":
        weights.unlink()
    elif damage == "added":
        (folder / "fold-1.onnx").write_bytes(b"x")
    elif damage == "no marker":
        marker.unlink()
    else:
        marker.write_text("{")
    again = open_bundle(schema_1, tmp_path)
    assert again.folds[0].weights.read_bytes() == whole
    assert sorted(file.name for file in again.folder.iterdir()) == [
        "SHA256SUMS", "bundle.json", "fold-0.onnx", "fold-0.safetensors",
    ]  # fmt: skip
    assert places(tmp_path) == [sha256(schema_1)]


def test_stricter_checks_of_a_later_version_check_old_places_again(
    schema_1: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_bundle(schema_1, tmp_path)
    monkeypatch.setattr(unpacking, "CHECKS", unpacking.CHECKS + 1)
    checked = []
    unpacking.unpack(schema_1, tmp_path, checked.append)
    assert len(checked) == 1


def test_many_at_once_get_the_same_place_and_leave_nothing_else(schema_1: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: open_bundle(schema_1, tmp_path), range(16)))
    assert len({bundle.folder for bundle in opened}) == 1
    assert places(tmp_path) == [sha256(schema_1)]


def test_who_comes_second_takes_the_place_of_the_first(schema_1: Path, tmp_path: Path) -> None:
    def meanwhile(_: Path) -> None:
        if not done:
            done.append(open_bundle(schema_1, tmp_path).folder)

    done: list[Path] = []
    assert unpacking.unpack(schema_1, tmp_path, meanwhile) == done[0]
    assert places(tmp_path) == [sha256(schema_1)]


def test_a_file_that_changes_while_it_is_read_is_refused(schema_1: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.nxb"
    path.write_bytes(schema_1.read_bytes())
    with pytest.raises(BundleError, match="changed while it was read"):
        unpacking.unpack(path, tmp_path / "cache", lambda _: path.write_bytes(b"other"))
    assert places(tmp_path / "cache") == []


def test_what_killed_processes_left_and_what_nobody_opens_is_removed(schema_1: Path, tmp_path: Path) -> None:
    old = {".part-killed": 2, "unused": 61, ".part-running": 0.5, "used": 59}
    for name, days in old.items():
        (tmp_path / "bundles" / name).mkdir(parents=True)
        os.utime(tmp_path / "bundles" / name, (time.time() - days * 86_400,) * 2)
    open_bundle(schema_1, tmp_path)
    assert places(tmp_path) == sorted([".part-running", "used", sha256(schema_1)])


def test_a_cache_that_cannot_be_written_is_a_lack_of_resources(schema_1: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(ResourceError, match="could not be unpacked") as caught:
        open_bundle(schema_1, tmp_path / "cache")
    assert caught.value.exit_code == 5
