"""Broken and lying DICOM files: one line each, never a crash, never memory for a size that a header only claims."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import uid

from neuraxis.errors import DataError, NeuraxisError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom.segmentation.writing import Segment, Source, write_segmentation
from neuraxis.volume.formats.dicom.series_writing import SeriesOptions, write_series
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Volume

SECRETS = ("doe", "jane", "mrn4711", "19700131", "1.2.840.99.4711")
Make = Callable[[Path], Path]


def slices(folder: Path, syntax: uid.UID | None = None, count: int = 4) -> Path:
    """Write a series of a patient with a name."""
    shape = (48, 40, count)
    array = np.random.default_rng(0).integers(0, 2000, (1, *shape), dtype=np.int16)
    write_series(folder, Volume(array, Grid(shape, np.eye(4))), SeriesOptions())
    for file in sorted(folder.glob("*.dcm")):
        dataset = pydicom.dcmread(file)
        dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Doe^Jane", "MRN4711", "19700131"
        dataset.StudyInstanceUID = "1.2.840.99.4711.1"
        del dataset.PatientIdentityRemoved
        if syntax is not None:
            dataset.compress(syntax)
        dataset.save_as(file)
    return folder


def segmentation(folder: Path) -> Path:
    image = any_format.read(slices(folder / "ct"))
    labels = image.with_array((image.array > 1000).astype(np.uint8))
    write_segmentation(folder / "seg.dcm", labels, Source(folder / "ct"), [Segment(1, "bone")])
    (folder / "only").mkdir()
    (folder / "seg.dcm").rename(folder / "only" / "seg.dcm")
    return folder / "only"


KINDS: dict[str, Make] = {
    "plain": slices,
    "rle": lambda folder: slices(folder, uid.RLELossless),
    "jpeg2000": lambda folder: slices(folder, uid.JPEG2000Lossless),
    "jpegls": lambda folder: slices(folder, uid.JPEGLSLossless),
    "segmentation": segmentation,
}


def refused(path: Path) -> str:
    """Read a path, and return the line with which it is refused, or nothing."""
    line = ""
    for ask in (any_format.read_grid, any_format.read):
        try:
            ask(path)
        except NeuraxisError as error:
            line, code = str(error), error.exit_code
        else:
            continue
        assert code in (3, 5)
        assert "\n" not in line
        assert len(line) < 600
        assert not any(secret in line.casefold() for secret in SECRETS), line
    return line


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_files_are_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    folder = KINDS[kind](tmp_path / kind)
    files = sorted(folder.glob("*.dcm"))
    whole = {file: file.read_bytes() for file in files}
    draws = random.Random(kind)
    counts = {"read": 0, "refused": 0}
    for _ in range(60):
        file = draws.choice(files)
        content = bytearray(whole[file])
        for _ in range(draws.choice((1, 2, 8, 40))):
            place = draws.randrange(128, min(len(content), 2500))
            content[place] = draws.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, draws.randrange(256)))
        if draws.random() < 0.2:
            content = content[: draws.randrange(len(content))]
        file.write_bytes(bytes(content))
        counts["refused" if refused(folder) else "read"] += 1
        refused(file)
        file.write_bytes(whole[file])
    assert not refused(folder)
    assert counts["read"] + counts["refused"] == 60
    assert min(counts.values()) > 0


@pytest.mark.parametrize("content", [b"", b"\0" * 4000, b"DICM" * 100, bytes(128) + b"DICM", b"\x1f\x8b" * 200])
def test_garbage_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(content)
    for path in (tmp_path / "x.dcm", tmp_path):
        with pytest.raises(DataError):
            any_format.read(path)


def test_a_file_that_ends_early_says_how_much_is_missing(tmp_path: Path) -> None:
    folder = slices(tmp_path / "ct")
    file = folder / "0002.dcm"
    file.write_bytes(file.read_bytes()[:-1000])
    assert "more than the file can hold" in refused(folder) or "ends early" in refused(folder)


def lie(keyword: str, value: object) -> Callable[[pydicom.Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


LIES = {
    "rows": lie("Rows", 65535),
    "columns": lie("Columns", 65535),
    "frames": lie("NumberOfFrames", 2_000_000_000),
    "bits": lie("BitsAllocated", 64),
    "samples": lie("SamplesPerPixel", 65535),
    "far": lie("ImagePositionPatient", [0, 0, 1e8]),
    "very far": lie("ImagePositionPatient", ["1e300", "0", "0"]),
    "aside": lie("ImagePositionPatient", [90000, 0, 1]),
    "no spacing": lie("PixelSpacing", [0, 0]),
    "no direction": lie("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
    "slanted": lie("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
    "steep": lie("RescaleSlope", "1e200"),
}


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("kind", ["plain", "rle", "jpeg2000"])
def test_a_lie_about_a_size_takes_no_memory(name: str, kind: str, tmp_path: Path) -> None:
    folder = KINDS[kind](tmp_path / "ct")
    for file in sorted(folder.glob("*.dcm"))[1:3]:
        dataset = pydicom.dcmread(file)
        LIES[name](dataset)
        dataset.save_as(file)
    line = refused(folder)
    assert line or name in ("rows", "columns", "frames", "bits", "samples", "very far", "no spacing", "slanted",
                            "no direction", "steep")  # the other two slices make a stack  # fmt: skip


_UNDER_A_LIMIT = """
import resource, sys
from pathlib import Path
from neuraxis.errors import NeuraxisError
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.dicom import reading, dicom
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        any_format.read(folder)
        print(folder.name, "read")
    except NeuraxisError as error:
        print(folder.name, error.exit_code)
"""


def test_no_size_word_makes_us_allocate(tmp_path: Path) -> None:
    """Every file of each folder claims what nothing holds; the reader may take 300 MB."""
    for kind in ("plain", "rle", "jpeg2000", "jpegls"):
        for name in ("rows", "frames", "bits", "samples"):
            folder = KINDS[kind](tmp_path / "all" / f"{kind}-{name}")
            for file in folder.glob("*.dcm"):
                dataset = pydicom.dcmread(file)
                LIES["columns"](dataset)
                LIES[name](dataset)
                dataset.save_as(file)
    long = slices(tmp_path / "all" / "plain-length", count=1) / "0001.dcm"
    content = long.read_bytes()
    place = content.index(b"\xe0\x7f\x10\x00OW") + 8
    long.write_bytes(content[:place] + (0xFFFFFF00).to_bytes(4, "little") + content[place + 4 :])
    command = [sys.executable, "-c", _UNDER_A_LIMIT, str(tmp_path / "all")]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    outcomes = dict(line.split() for line in told.stdout.splitlines())
    assert len(outcomes) == 17
    assert {name: code for name, code in outcomes.items() if code != "3"} in ({}, {"plain-length": "read"})


def test_positions_that_would_make_a_vast_grid_are_refused(tmp_path: Path) -> None:
    folder = slices(tmp_path / "ct")
    for place, file in enumerate(sorted(folder.glob("*.dcm"))):
        dataset = pydicom.dcmread(file)
        dataset.ImagePositionPatient = [0, 0, (0, 0.02, 0.04, 20)[place]]
        dataset.save_as(file)
    assert "strewn too far" in refused(folder)
