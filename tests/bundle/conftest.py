"""A small bundle to open, to take apart and to put together wrongly."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from neuraxis.bundle.bundle import open_bundle
from neuraxis.errors import BundleError

SCHEMA_1 = Path(__file__).parent / "fixtures" / "schema-1.nxb"

Members = dict[str, bytes]
Pack = Callable[[Mapping[str, bytes]], Path]


@pytest.fixture
def schema_1() -> Path:
    """The stored bundle of schema 1."""
    return SCHEMA_1


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder of the test's own, so that the caches of runtimes start empty."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def members() -> Members:
    """The stored bundle's files, by name."""
    with zipfile.ZipFile(SCHEMA_1) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Zip files as they are given, whatever is wrong with them."""

    def packed(files: Mapping[str, bytes]) -> Path:
        path = tmp_path / "model.nxb"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return packed


@pytest.fixture
def sealed() -> Callable[[Members], Members]:
    """Give files the SHA256SUMS that fit them, as one who means harm would."""

    def seal(files: Members) -> Members:
        rest = {name: content for name, content in files.items() if name != "SHA256SUMS"}
        lines = [f"{hashlib.sha256(rest[name]).hexdigest()}  {name}\n" for name in sorted(rest)]
        return {**rest, "SHA256SUMS": "".join(lines).encode()}

    return seal


@pytest.fixture
def with_card(members: Members, sealed: Callable[[Members], Members]) -> Callable[..., Members]:
    """The stored bundle's files with keys of its card changed (None removes one), and hashes that fit."""

    def changed(**changes: Any) -> Members:
        card = {**json.loads(members["bundle.json"]), **changes}
        kept = {key: value for key, value in card.items() if value is not None}
        return sealed({**members, "bundle.json": json.dumps(kept).encode()})

    return changed


@pytest.fixture
def folder(tmp_path: Path, members: Members) -> Path:
    """The stored bundle as a folder."""
    place = tmp_path / "unpacked"
    place.mkdir()
    for name, content in members.items():
        (place / name).write_bytes(content)
    return place


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[Path], str]:
    """Open a bundle that must be refused with exit code 4, in one line, leaving nothing in the cache."""

    def refused(path: Path) -> str:
        cache = tmp_path / "cache"
        with pytest.raises(BundleError) as caught:
            open_bundle(path, cache)
        message = str(caught.value)
        assert caught.value.exit_code == 4
        assert message.isprintable()
        assert str(path) in message
        left = [place for place in cache.rglob("*") if place.name != "bundles"] if cache.exists() else []
        assert left == []
        return message

    return refused
