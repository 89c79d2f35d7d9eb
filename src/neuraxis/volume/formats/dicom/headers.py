"""One DICOM file's header, read without its pixels and without believing its sizes.

Files are mapped into memory, so that nothing is taken for a length that a header only claims. What the pixels would
need is held against what the file can hold before anybody asks for them.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from neuraxis.errors import DataError, NeuraxisError
from neuraxis.volume.formats.dicom import frames, identity
from neuraxis.volume.formats.dicom.dicom import is_file
from neuraxis.volume.formats.dicom.frames import Frame, frames_of, number
from neuraxis.volume.formats.dicom.identity import Identity
from neuraxis.volume.formats.dicom.quiet_pydicom import pydicom

IMPLICIT, DEFLATED = "1.2.840.10008.1.2", b"1.2.840.10008.1.2.1.99"
NATIVE = (IMPLICIT, "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
MAX_BYTES = 64 * 2**30
_MAX_RATIO, _SMALL = 1032, 2**22  # no codec packs real slices closer; a slice of one value may be packed any closer
_PREAMBLE, _META = 132, 4096
_TAGS = [
    *frames.TAGS, *identity.TAGS, "BitsAllocated", "BitsStored", "Columns", "FrameOfReferenceUID", "ImageType",
    "Modality", "ModalityLUTSequence", "PhotometricInterpretation", "PixelRepresentation", "ProtocolName",
    "RescaleType", "Rows", "SOPClassUID", "SOPInstanceUID", "SamplesPerPixel", "SeriesDescription",
    "SeriesInstanceUID", "SeriesNumber", "StudyInstanceUID", "TransferSyntaxUID",
]  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """What a DICOM file says about itself, its pixels left out.

    Attributes:
        path: of the file.
        patient: tells patients apart; never shown.
        study: UID, never shown.
        series: UID, never shown.
        kind: UID of what it is (SOP class).
        number: of the series; -1: not told.
        description: of the series.
        protocol: name of the protocol.
        modality: such as CT or MR.
        image_type: such as ORIGINAL, PRIMARY, AXIAL.
        rows: of a frame.
        columns: of a frame.
        bits: of a stored value that count.
        syntax: UID of how its pixels are stored.
        photometric: how its numbers become grey or colour.
        is_measured: whether its numbers are in a unit of their own, such as Hounsfield's.
        frames: where they lie; empty where it holds no pixels.
        identity: the words that must not be shown.
        fault: why its pixels cannot be used, as a sentence; empty where they can.
    """

    path: Path = field(repr=False)
    patient: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    kind: str
    number: int
    description: str
    protocol: str
    modality: str
    image_type: tuple[str, ...]
    rows: int
    columns: int
    bits: int
    syntax: str
    photometric: str
    is_measured: bool
    frames: tuple[Frame, ...]
    identity: Identity
    fault: str = ""

    @property
    def shown(self) -> str:
        """The name of its file as messages may say it."""
        return self.identity.mask(self.path.name)

    @property
    def is_segmentation(self) -> bool:
        """Whether it is a DICOM SEG."""
        return self.kind in SEGMENTATION


def read_header(path: Path) -> Instance | None:
    """Read what a file says about itself; None where it is no DICOM file, or a directory of others (DICOMDIR).

    Raises:
        DataError: it is one, and its header cannot be read or cannot be true.
    """
    try:
        told = path.stat()
    except OSError:
        return None
    return _read(path, told.st_size, told.st_mtime_ns)


@contextmanager
def opened(path: Path, tags: list[str] | None = None, pixels: bool = True) -> Iterator[Any]:
    """Yield a file's dataset; with `tags` only these.

    Raises:
        DataError: it cannot be read.
    """
    who = Identity().mask(path.name)
    with ExitStack() as held:
        with understood(who):
            stream = held.enter_context(path.open("rb"))
            mapped = held.enter_context(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
            if mapped[128:_PREAMBLE] == b"DICM" and DEFLATED in mapped[:_META]:
                raise DataError(f"{who}: the whole file is deflated, which is not read. Convert it (dcmconv +ti).")
            source = cast(BinaryIO, mapped)
            dataset = pydicom.dcmread(source, stop_before_pixels=not pixels, force=True, specific_tags=tags)
        yield dataset


@contextmanager
def understood(who: str) -> Iterator[None]:
    """Turn whatever a broken header makes pydicom raise into a `DataError` that repeats nothing of the header.

    Raises:
        DataError: something was raised.
    """
    try:
        yield
    except (NeuraxisError, MemoryError):
        raise
    except OSError as error:
        raise DataError(f"{who}: cannot be read ({error.strerror}).") from None
    except Exception as error:  # no list of pydicom's errors covers what is wrong in broken headers
        what = f"cannot be read as DICOM ({type(error).__name__})"
        raise DataError(f"{who}: {what}. Fetch or export it again.") from None


@lru_cache(maxsize=20_000)
def _read(path: Path, size: int, changed: int) -> Instance | None:
    if not is_file(path):
        return None
    with opened(path, _TAGS, pixels=False) as dataset, understood(Identity().mask(path.name)):
        if str(dataset.file_meta.get("MediaStorageSOPClassUID", "")) == "1.2.840.10008.1.3.10":
            return None
        who = Identity.of(dataset).mask(path.name)
        instance = _instance(dataset, path, who)
        return instance if instance is None or not instance.frames else _held(instance, dataset, size, who)


def _instance(dataset: Any, path: Path, who: str) -> Instance | None:
    text = {keyword: str(dataset.get(keyword, "") or "").strip() for keyword in _TEXTS}
    if not text["SOPClassUID"] and not text["SeriesInstanceUID"]:
        raise DataError(f"{who}: begins as DICOM and says nothing about what it is. Fetch or export it again.")
    who_it_is = Identity.of(dataset)
    rows, columns = (int(number(dataset, keyword, who, 0)) for keyword in ("Rows", "Columns"))
    kind = text["SOPClassUID"] or str(dataset.file_meta.get("MediaStorageSOPClassUID", ""))
    if min(rows, columns) < 1 and ("Image Storage" in pydicom.uid.UID(kind).name or kind in SEGMENTATION):
        raise DataError(f"{who}: is an image without rows and columns, so it ends early. Fetch or export it again.")
    fault = _fault(dataset, text)
    frames: tuple[Frame, ...] = ()
    if rows > 0 and columns > 0:
        try:
            frames = frames_of(dataset, path, who)
        except DataError as error:
            if text["SOPClassUID"] in SEGMENTATION or not fault:
                raise error
    image_type = tuple(str(word).upper() for word in _many(dataset.get("ImageType")))
    return Instance(
        path=path,
        patient=f"{text['PatientID']}\n{text['PatientName']}",
        study=text["StudyInstanceUID"],
        series=text["SeriesInstanceUID"],
        kind=text["SOPClassUID"],
        number=int(number(dataset, "SeriesNumber", who, -1)),
        description=who_it_is.mask_words(text["SeriesDescription"]),
        protocol=who_it_is.mask_words(text["ProtocolName"]),
        modality=text["Modality"][:16],
        image_type=image_type,
        rows=rows,
        columns=columns,
        bits=int(number(dataset, "BitsStored", who, 16)),
        syntax=str(dataset.file_meta.get("TransferSyntaxUID", IMPLICIT)),
        photometric=text["PhotometricInterpretation"],
        is_measured=text["Modality"] in ("CT", "PT", "NM") or text["RescaleType"] == "HU",
        frames=frames,
        identity=who_it_is,
        fault=fault,
    )


_TEXTS = (
    "Modality", "PatientID", "PatientName", "PhotometricInterpretation", "ProtocolName", "RescaleType", "SOPClassUID",
    "SeriesDescription", "SeriesInstanceUID", "StudyInstanceUID",
)  # fmt: skip


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]


def _fault(dataset: Any, text: dict[str, str]) -> str:
    """Say why the pixels of a file cannot be used as a scan's values."""
    photometric = text["PhotometricInterpretation"].upper()
    if photometric not in ("", "MONOCHROME1", "MONOCHROME2") and text["SOPClassUID"] not in SEGMENTATION:
        what = photometric if photometric.replace("_", "").replace(" ", "").isalnum() else "an unknown kind"
        return f"is a colour picture ({what[:20]}), not a scan. Needed are grey values; choose the original series."
    if "MOSAIC" in [str(word).upper() for word in _many(dataset.get("ImageType"))]:
        return "is a mosaic, many slices drawn into one picture. Convert it with dcm2niix and give the NIfTI file."
    if dataset.get("ModalityLUTSequence"):
        return "has its values in a table (Modality LUT), which is not read. Export it with slope and intercept."
    return ""


def _held(instance: Instance, dataset: Any, size: int, who: str) -> Instance:
    """Refuse a header that claims more pixels than its file can hold."""
    bits = int(number(dataset, "BitsAllocated", who, 0))
    samples = int(number(dataset, "SamplesPerPixel", who, 1))
    if bits not in (1, 8, 16, 32, 64) or not 1 <= samples <= 4 or max(instance.rows, instance.columns) > 65535:
        raise DataError(f"{who}: claims pixels of {bits} bits. Needed are 8, 16 or 32; fetch or export it again.")
    claimed = -(-instance.rows * instance.columns * samples * bits * len(instance.frames) // 8)
    most = size if instance.syntax in NATIVE else max(_MAX_RATIO * size, _SMALL)
    if claimed > min(most, MAX_BYTES):
        raise DataError(
            f"{who}: claims {claimed} bytes of pixels, more than the file can hold. Fetch or export it again."
        )
    return instance
