"""Names, sizes and hashes of a bundle's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from neuraxis.bundle.members import check_hashes, check_names, format_sums
from neuraxis.errors import BundleError

BOTH = {"bundle.json": 10, "SHA256SUMS": 10}


def test_every_name_of_the_design_is_allowed() -> None:
    folds = ("fold-0.safetensors", "fold-0.onnx", "fold-12.int8.onnx", "fold-999.onnx")
    check_names({**BOTH, **dict.fromkeys((*folds, "quality.json"), 10)}, "m")


@pytest.mark.parametrize(
    "name",
    ["fold-1000.onnx", "fold-01.onnx", "fold--1.onnx", "fold-².onnx", "xbundle.json", "fold-0.onnx.py", ".DS_Store"],
)
def test_names_close_to_those_are_not(name: str) -> None:
    with pytest.raises(BundleError, match="no part of a bundle"):
        check_names({**BOTH, name: 10}, "m")


@pytest.mark.parametrize(
    ("name", "size"),
    [("SHA256SUMS", 2**20), ("bundle.json", 2**24), ("fold-0.onnx", 2**31), ("fold-0.safetensors", 2**34)],
)
def test_a_file_may_be_as_large_as_its_limit_and_no_larger(name: str, size: int) -> None:
    check_names({**BOTH, name: size}, "m")
    with pytest.raises(BundleError, match=f"{name} has {size + 1} bytes, more than {size}"):
        check_names({**BOTH, name: size + 1}, "m")


@pytest.mark.parametrize(
    "sums",
    [
        "{hash}  a\n{hash}  a\n",
        "{hash} a\n",
        "{hash}  a\nrubbish\n",
        "",
        "{hash}  ../a\n",
        "{hash}  a\n{hash}  b\n",
    ],
)
def test_a_list_of_hashes_that_is_not_of_exactly_these_files_is_refused(sums: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "SHA256SUMS").write_text(sums.format(hash=hashlib.sha256(b"content").hexdigest()))
    with pytest.raises(BundleError):
        check_hashes(tmp_path, ["a", "SHA256SUMS"], "m")


def test_the_right_list_passes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "SHA256SUMS").write_text(format_sums({"a": hashlib.sha256(b"content").hexdigest()}))
    check_hashes(tmp_path, ["a", "SHA256SUMS"], "m")
