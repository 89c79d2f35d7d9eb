"""Compiled networks on disk: whole, unchanged, or not used."""

from __future__ import annotations

import os
import time

import pytest

from neuraxis.inference.runtimes.compiled import SUFFIX, keep, load


def test_what_is_kept_is_loaded_again(tmp_path):
    place = tmp_path / f"a{SUFFIX}"
    keep(place, b"a network")
    assert load(place).tobytes() == b"a network"


@pytest.mark.parametrize(
    "damage", [lambda old: old[:-1] + b"X", lambda old: old[:40], lambda old: b"", lambda old: old[:32]]
)
def test_what_is_damaged_is_not_loaded(tmp_path, damage):
    place = tmp_path / f"a{SUFFIX}"
    keep(place, b"a network of some length")
    place.write_bytes(damage(place.read_bytes()))
    assert load(place) is None


def test_what_is_not_there_is_not_loaded(tmp_path):
    assert load(tmp_path / "a") is None


def test_what_nobody_used_for_long_is_deleted_when_another_is_kept(tmp_path):
    old, used, new = (tmp_path / f"{name}{SUFFIX}" for name in ("old", "used", "new"))
    for place in (old, used):
        keep(place, b"a network")
        os.utime(place, (time.time() - 61 * 86_400,) * 2)
    load(used)
    keep(new, b"another")
    assert sorted(place.name for place in tmp_path.iterdir()) == [new.name, used.name]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    keep(tmp_path / "file" / f"a{SUFFIX}", b"a network")
    assert load(tmp_path / "file" / f"a{SUFFIX}") is None
