"""Where the frames of one DICOM file lie, from its header or from its functional groups."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuraxis.errors import DataError

Vector = tuple[float, float, float]
TAGS = (
    "AcquisitionNumber", "EchoTime", "ImageOrientationPatient", "ImagePositionPatient", "ImagerPixelSpacing",
    "InstanceNumber", "NumberOfFrames", "PerFrameFunctionalGroupsSequence", "PixelSpacing", "RescaleIntercept",
    "RescaleSlope", "SharedFunctionalGroupsSequence", "SliceThickness", "SpacingBetweenSlices",
    "TemporalPositionIdentifier",
)  # fmt: skip
MAX_FRAMES = 100_000


@dataclass(frozen=True)
class Frame:
    """One slice: where it lies and how its numbers are scaled.

    Attributes:
        path: of its file.
        index: of the frame in its file.
        position: of the centre of its first pixel, in mm, in DICOM's world (left, posterior, head); None: not told.
        row: the direction in which the column's index grows.
        column: the direction in which the row's index grows.
        spacing: between rows and between columns, in mm.
        thickness: in mm; 0: not told.
        distance: between slices as the header has it, in mm; 0: not told.
        slope: what stored values are multiplied with.
        intercept: what is added then.
        order: what sorts frames at one position: echo, time, acquisition, instance, index.
        uid: of its instance; never shown.
    """

    path: Path = field(repr=False)
    index: int
    position: Vector | None
    row: Vector
    column: Vector
    spacing: tuple[float, float]
    thickness: float
    distance: float
    slope: float
    intercept: float
    order: tuple[float, ...]
    uid: str = field(repr=False, default="")


def frames_of(dataset: Any, path: Path, who: str) -> tuple[Frame, ...]:
    """Return the frames that a header describes.

    Args:
        dataset: the header.
        path: of the file.
        who: names the file in messages.

    Raises:
        DataError: a value cannot be, or a multi-frame file says nothing about where its frames lie.
    """
    count = int(number(dataset, "NumberOfFrames", who, 1) or 1)
    groups = dataset.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        if count > 1:
            raise DataError(
                f"{who}: holds {count} frames and does not say where they lie. Needed is an enhanced multi-frame "
                "image with functional groups; export the series as single slices."
            )
        return (_frame([dataset], dataset, path, 0, who),)
    if not 1 <= count <= MAX_FRAMES or len(groups) != count:
        raise DataError(f"{who}: claims {count} frames and describes {len(groups)}. Fetch or export it again.")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [None])[0]
    found = []
    for index, group in enumerate(groups):
        places = [_flat(group), *([_flat(shared)] if shared is not None else []), dataset]
        found.append(_frame(places, dataset, path, index, who))
    return tuple(found)


def number(dataset: Any, keyword: str, who: str, default: float) -> float:
    """Return one finite number of a header, `default` where it says none.

    Raises:
        DataError: it says what is no number.
    """
    values = _numbers(dataset.get(keyword), keyword, who)
    return values[0] if values else default


def _flat(group: Any) -> dict[str, Any]:
    """Return what the macros of a functional group say, by keyword."""
    found: dict[str, Any] = {}
    for keyword in ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence",
                    "PixelValueTransformationSequence", "FrameContentSequence", "MREchoSequence"):  # fmt: skip
        for item in group.get(keyword) or ():
            found |= {element.keyword: element.value for element in item}
    if "EffectiveEchoTime" in found:
        found["EchoTime"] = found["EffectiveEchoTime"]
    return found


def _frame(places: list[Any], dataset: Any, path: Path, index: int, who: str) -> Frame:
    def values(*keywords: str) -> list[float]:
        for keyword in keywords:
            for place in places:
                if (told := place.get(keyword)) is not None and (read := _numbers(told, keyword, who)):
                    return read
        return []

    def one(*keywords: str, default: float = 0.0) -> float:
        return (values(*keywords) or [default])[0]

    orientation = values("ImageOrientationPatient") or [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    position = values("ImagePositionPatient")
    spacing = values("PixelSpacing", "ImagerPixelSpacing") or [1.0, 1.0]
    if len(orientation) != 6 or len(position) not in (0, 3) or len(spacing) != 2 or min(spacing) <= 0:
        raise DataError(f"{who}: position, orientation or pixel spacing cannot be. Fetch or export it again.")
    row, column = _unit(orientation[:3], who), _unit(orientation[3:], who)
    if abs(sum(a * b for a, b in zip(row, column, strict=True))) > 0.02:
        raise DataError(f"{who}: its rows and columns are not at right angles. Fetch or export it again.")
    order = (
        one("EchoTime"),
        one("TemporalPositionIndex", "TemporalPositionIdentifier"),
        one("AcquisitionNumber", "FrameAcquisitionNumber"),
        one("InstanceNumber"),
        float(index),
    )
    return Frame(
        path=path,
        index=index,
        position=(position[0], position[1], position[2]) if position else None,
        row=row,
        column=column,
        spacing=(spacing[0], spacing[1]),
        thickness=max(0.0, one("SliceThickness")),
        distance=abs(one("SpacingBetweenSlices")),
        slope=one("RescaleSlope", default=1.0) or 1.0,
        intercept=one("RescaleIntercept"),
        order=order,
        uid=f"{dataset.get('SOPInstanceUID', '')}",
    )


def _unit(vector: list[float], who: str) -> Vector:
    length = math.sqrt(sum(value * value for value in vector))
    if not 0.9 < length < 1.1:
        raise DataError(f"{who}: the orientation is no direction. Fetch or export it again.")
    x, y, z = (value / length for value in vector)
    return x, y, z


def _numbers(value: Any, keyword: str, who: str) -> list[float]:
    if value is None or value == "":
        return []
    many = value if isinstance(value, list | tuple) or type(value).__name__ == "MultiValue" else [value]
    try:
        found = [float(one) for one in many]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{who}: {keyword} is no number. Fetch or export it again.") from error
    if not all(math.isfinite(one) and abs(one) < 1e9 for one in found):
        raise DataError(f"{who}: {keyword} cannot be that large. Fetch or export it again.")
    return found
