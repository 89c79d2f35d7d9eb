"""The values of slices: decoded by pydicom and its plugins, scaled slice by slice, light where they were light."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from neuraxis.errors import DataError, MissingExtra, ResourceError
from neuraxis.volume.formats.dicom.frames import Frame
from neuraxis.volume.formats.dicom.headers import IMPLICIT, MAX_BYTES, NATIVE, Instance, opened
from neuraxis.volume.formats.dicom.quiet_pydicom import pydicom

_RLE = "1.2.840.10008.1.2.5"
# What decodes a compressed syntax, by the beginning of its UID; the longest fits.
_PLUGINS = {
    "1.2.840.10008.1.2.4.5": "python-gdcm",
    "1.2.840.10008.1.2.4.7": "python-gdcm",
    "1.2.840.10008.1.2.4.8": "python-gdcm",
    "1.2.840.10008.1.2.4.9": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.20": "pylibjpeg-openjpeg",
}


def values_of(frames: Sequence[Frame], instances: Sequence[Instance], who: str) -> np.ndarray:
    """Return the values of slices (K, rows, columns), in the order given.

    Whole slopes and intercepts that all slices share give int16, or int32 where that is too small; else float32.

    Raises:
        DataError: a file ends early, is corrupt, or holds something else than its header says.
        MissingExtra: its compression needs a package that is not installed.
        ResourceError: the series needs more memory than there is.
    """
    by_path = {instance.path: instance for instance in instances}
    first = by_path[frames[0].path]
    if first.fault:
        raise DataError(f"{who}: {first.fault}")
    size = len(frames) * first.rows * first.columns * 4
    if size > MAX_BYTES:
        raise DataError(f"{who}: needs {size >> 30} GiB, more than {MAX_BYTES >> 30}. Name a smaller series.")
    stored: np.ndarray | None = None
    try:
        for place, (frame, array) in enumerate(_decoded(frames, by_path)):
            light = _lightened(array, by_path[frame.path])
            if stored is None:
                stored = np.empty((len(frames), *light.shape), light.dtype)
            elif stored.dtype != light.dtype:
                stored = stored.astype(np.promote_types(stored.dtype, light.dtype))
            stored[place] = light
        if stored is None:
            raise DataError(f"{who}: holds no slice. Name a folder of slices.")
        return _scaled(stored, frames)
    except MemoryError as error:
        raise ResourceError(f"{who}: needs {size / 2**30:.1f} GiB. Close programs or use a larger machine.") from error


def frames_in(instance: Instance) -> Iterator[np.ndarray]:
    """Yield the stored values of each frame of one file (rows, columns), such as those of a DICOM SEG.

    Raises:
        DataError: as `values_of`.
        MissingExtra: as `values_of`.
    """
    return (array for _, array in _decoded(instance.frames, {instance.path: instance}))


def _decoded(frames: Sequence[Frame], instances: dict[Path, Instance]) -> Iterator[tuple[Frame, np.ndarray]]:
    """Yield the stored values of each slice; a file of many frames is opened once for those that follow one another."""
    path, dataset, decoder = None, None, None
    with ExitStack() as held:
        for frame in frames:
            instance = instances[frame.path]
            if frame.path != path:
                held.close()
                dataset, path = held.enter_context(opened(frame.path)), frame.path
                decoder = _decoder(dataset, instance)
            yield frame, _decode(decoder, dataset, frame, instance)


def _decoder(dataset: Any, instance: Instance) -> Any:
    """Return what decodes a dataset, after its pixels were held against its header."""
    who, syntax = instance.shown, instance.syntax
    if dataset.file_meta.get("TransferSyntaxUID") is None:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(IMPLICIT)
    keys = [key for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData") if key in dataset]
    if not keys:
        raise DataError(f"{who}: holds no pixels. Fetch or export it again.")
    try:
        decoder = get_decoder(pydicom.uid.UID(syntax))
    except NotImplementedError:
        what = pydicom.uid.UID(syntax).name if pydicom.uid.UID(syntax).is_transfer_syntax else "a way nobody knows"
        raise DataError(f"{who}: is stored as {what}, which holds no slices. Export the original series.") from None
    if not decoder.is_available:
        near = max((key for key in _PLUGINS if syntax.startswith(key)), key=len, default="")
        raise MissingExtra(_PLUGINS.get(near, "pylibjpeg"), "dicom")
    if syntax in NATIVE:
        bits = int(dataset.BitsAllocated)
        wanted = -(-instance.rows * instance.columns * len(instance.frames) * bits // 8)
        held = len(dataset[keys[0]].value or b"")
        if held < wanted:
            raise DataError(f"{who}: ends early, {wanted - held} of {wanted} bytes are missing. Fetch it again.")
    elif find_spec("gdcm") is not None:
        import gdcm

        gdcm.Trace.WarningOff()
        gdcm.Trace.ErrorOff()
    return decoder


def _decode(decoder: Any, dataset: Any, frame: Frame, instance: Instance) -> np.ndarray:
    who, index = instance.shown, frame.index
    try:
        if instance.syntax not in NATIVE and instance.syntax != _RLE:
            _refuse_other_size(dataset, index, instance)
        array, _ = decoder.as_array(dataset, index=index, raw=True)
    except DataError:
        raise
    except Exception as error:  # every plugin has errors of its own
        what = f"its pixels cannot be decoded ({type(error).__name__})"
        raise DataError(f"{who}: {what}. Fetch or export it again.") from None
    if array.shape != (instance.rows, instance.columns):
        raise DataError(f"{who}: holds {array.shape} pixels, its header says {instance.rows} x {instance.columns}.")
    result: np.ndarray = array
    return result


def _refuse_other_size(dataset: Any, index: int, instance: Instance) -> None:
    """Refuse a compressed frame that says another size than the header, before it is decoded."""
    code = get_frame(dataset.PixelData, index, number_of_frames=len(instance.frames))
    found = _jpeg2000_size(code) if code[:4] == b"\xff\x4f\xff\x51" else _jpeg_size(code)
    if found != (instance.rows, instance.columns):
        raise DataError(
            f"{instance.shown}: its compressed pixels are not of the {instance.rows} x {instance.columns} that the "
            "header says. Fetch or export it again."
        )


def _jpeg2000_size(code: bytes) -> tuple[int, int] | None:
    if len(code) < 24:
        return None
    right, bottom, left, top = struct.unpack(">4I", code[8:24])
    return bottom - top, right - left


def _jpeg_size(code: bytes) -> tuple[int, int] | None:
    """Return rows and columns of a JPEG or JPEG-LS frame, None where there is no such header."""
    place = 2
    while place + 9 <= len(code) and code[place] == 0xFF:
        marker = code[place + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            rows, columns = struct.unpack(">2H", code[place + 5 : place + 9])
            return rows, columns
        if marker == 0xFF:
            place += 1
            continue
        place += 2 + int(struct.unpack(">H", code[place + 2 : place + 4])[0])
    return None


def _lightened(array: np.ndarray, instance: Instance) -> np.ndarray:
    """Turn values that are shown dark where they are high; those in a unit of their own stay as they are."""
    if not is_inverted(instance) or array.dtype.kind == "f":
        return array
    highest = -1 if array.dtype.kind == "i" else 2 ** min(max(1, instance.bits), 8 * array.itemsize) - 1
    inverted: np.ndarray = np.array(highest, array.dtype) - array
    return inverted


def is_inverted(instance: Instance) -> bool:
    """Tell whether low values are shown bright (MONOCHROME1) and mean nothing but that."""
    return instance.photometric.upper() == "MONOCHROME1" and not instance.is_measured


def _scaled(stored: np.ndarray, frames: Sequence[Frame]) -> np.ndarray:
    """Return the real values of stored ones (K, rows, columns)."""
    dtype = _whole_type(stored, frames)
    if dtype is not None and (frames[0].slope, frames[0].intercept) == (1, 0):
        return stored.astype(dtype, copy=False)
    result = np.empty(stored.shape, dtype or np.float32)
    for out, array, frame in zip(result, stored, frames, strict=True):
        out[...] = array * np.float64(frame.slope) + frame.intercept
    return result


def _whole_type(stored: np.ndarray, frames: Sequence[Frame]) -> type[np.int16] | type[np.int32] | None:
    """Return the integers that hold every value exactly; None where fractions may come, or slices differ in scale."""
    (slope, intercept), *others = {(frame.slope, frame.intercept) for frame in frames}
    if others or slope != int(slope) or intercept != int(intercept) or stored.dtype.kind not in "iu":
        return None
    ends = [int(end) * int(slope) + int(intercept) for end in (stored.min(), stored.max())]
    for dtype in (np.int16, np.int32):
        if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
            return dtype
    return None
