"""Broken headers and archives in great numbers: one line and exit 3 each, never a crash, no memory on their word."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from neuraxis.cli import main

MODEL = str(Path(__file__).parents[1] / "bundle" / "fixtures" / "schema-1.nxb")
EACH_KIND = 40
MOST_BYTES, MOST_SECONDS = 64 * 2**20, 20.0
KINDS = ("bits", "fields", "cut", "gzip", "long", "noise")


def sound() -> bytes:
    image = nib.Nifti1Image(np.random.default_rng(0).integers(0, 900, (12, 11, 10)).astype(np.int16), np.eye(4))
    return image.to_bytes()


def broken(kind: str, seed: int) -> tuple[str, bytes]:
    """Return the ending and content of a damaged scan."""
    draws = np.random.default_rng([KINDS.index(kind), seed])
    content = bytearray(sound())
    if kind == "bits":
        for place in draws.integers(0, 352, draws.integers(1, 12)):
            content[place] ^= 1 << int(draws.integers(0, 8))
    elif kind == "fields":  # sizes, type, offset, scaling, geometry: any bytes at all
        start, size = [(40, 16), (70, 4), (76, 32), (108, 4), (112, 8), (252, 4), (280, 48), (0, 4)][seed % 8]
        content[start : start + size] = draws.bytes(size)
    elif kind == "cut":
        content = content[: int(draws.integers(0, len(content)))]
    elif kind == "long":  # dim claims up to 32767 voxels along each axis
        content[40:48] = np.array([3, *draws.integers(200, 32767, 3)], "<i2").tobytes()
    elif kind == "noise":
        content = bytearray(draws.bytes(int(draws.integers(1, 4000))))
    if kind == "gzip":
        packed = bytearray(gzip.compress(bytes(content), 6))
        for place in draws.integers(0, len(packed), draws.integers(1, 6)):
            packed[place] ^= 1 << int(draws.integers(0, 8))
        return ".nii.gz", bytes(packed)
    return (".nii", bytes(content)) if seed % 2 else (".nii.gz", gzip.compress(bytes(content), 1))


@pytest.mark.parametrize("kind", KINDS)
def test_check_answers_each_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    refused = 0
    for seed in range(EACH_KIND):
        ending, content = broken(kind, seed)
        path = tmp_path / f"scan-{seed}{ending}"
        path.write_bytes(content)
        began = time.monotonic()
        tracemalloc.start()
        code = main.run(["check", str(path), "--json"])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        printed = capsys.readouterr()
        assert code in (0, 3), (seed, printed.err)
        assert peak < MOST_BYTES, (seed, peak)
        assert time.monotonic() - began < MOST_SECONDS, seed
        assert "Traceback" not in printed.err
        (seen,) = json.loads(printed.out)["scans"]
        errors = [finding for finding in seen["findings"] if finding["severity"] == "error"]
        assert bool(errors) == (code == 3)
        assert all("\n" not in finding["message"] + finding["advice"] for finding in seen["findings"])
        refused += code == 3
    assert refused >= (EACH_KIND if kind in ("cut", "long", "noise") else EACH_KIND // 8)


def test_segment_refuses_each_with_one_line_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scans = tmp_path / "scans"
    scans.mkdir()
    for kind in ("cut", "long", "noise"):
        for seed in range(6):
            ending, content = broken(kind, seed)
            for channel in range(2):
                (scans / f"{kind}-{seed}_{channel:04d}{ending}").write_bytes(content)
    for channel in range(2):
        (scans / f"sound_{channel:04d}.nii").write_bytes(sound())
    command = ["segment", str(scans), "--model", MODEL, "--into", str(tmp_path / "out"), "--precision", "fp32"]
    assert main.run(command) == 3
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err + printed.out
    cases = json.loads((tmp_path / "out" / "segment-summary.json").read_text())["cases"]
    failed = {case["case"]: case for case in cases if case["exit_code"]}
    assert len(failed) == 18
    assert {case["exit_code"] for case in failed.values()} == {3}
    assert all("\n" not in case["error"] for case in failed.values())
    assert [case["case"] for case in cases if not case["exit_code"]] == ["sound"]
    assert not list((tmp_path / "out").glob(".part-*"))


@pytest.mark.parametrize("kind", ["cut", "long", "noise"])
def test_one_broken_scan_exits_with_3_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    ending, content = broken(kind, 1)
    scan = tmp_path / f"scan{ending}"
    scan.write_bytes(content)
    arguments = [f"FLAIR={scan}", f"T1={scan}", "--model", MODEL]
    code = main.run(["segment", *arguments, "--into", str(tmp_path / "found.nii.gz"), "--quiet"])
    told = capsys.readouterr().err.strip().splitlines()
    assert (code, len(told)) == (3, 1), told
    assert not (tmp_path / "found.nii.gz").exists()
