"""DICOM SEG written on the frames that a segmentation was made from.

Labels lie on the straight grid of their series; each source slice takes the voxels that stand for its pixels, so a
tilted or unevenly spaced series gets its segmentation on the slices as the scanner made them. A file goes with its
study: it carries the patient and the study of the source, as DICOM wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from neuraxis._version import __version__
from neuraxis.errors import DataError
from neuraxis.files import atomic_path, refuse_existing
from neuraxis.registry import import_extra, need
from neuraxis.volume.formats.dicom.headers import opened
from neuraxis.volume.formats.dicom.reading import Origin, origin_of
from neuraxis.volume.formats.dicom.segmentation.codes import Code, code_of
from neuraxis.volume.formats.dicom.series import find
from neuraxis.volume.grid import SAME_VOXELS
from neuraxis.volume.volume import Stored, Volume

NOTICE = "Research use only, not a medical device"
_COLOURS = (
    (214, 69, 65), (65, 131, 215), (38, 166, 91), (244, 179, 80), (155, 89, 182), (27, 188, 155), (230, 126, 34),
    (108, 122, 137), (246, 36, 89), (129, 207, 224),
)  # fmt: skip
_LONG_STRING = 64
# What every file must say, though it may say nothing; old exports leave it out.
_MAY_BE_EMPTY = ("AccessionNumber", "PatientBirthDate", "PatientID", "PatientName", "PatientSex",
                 "ReferringPhysicianName", "StudyDate", "StudyID", "StudyTime")  # fmt: skip


@dataclass(frozen=True)
class Segment:
    """One structure of a segmentation.

    Attributes:
        number: in the label map, from 1.
        name: of the structure.
        colour: red, green and blue from 0 to 255; None: one of a fixed row.
        code: its coded terms; None: by its name (`codes.code_of`).
    """

    number: int
    name: str
    colour: tuple[int, int, int] | None = None
    code: Code | None = None


@dataclass(frozen=True)
class Source:
    """The series that a segmentation was made from.

    Attributes:
        path: of its folder or file.
        series: its name where the path holds several; empty: the one whose grid the labels lie on.
    """

    path: Path
    series: str = ""


@dataclass(frozen=True)
class Author:
    """What made a segmentation, for the file's own words.

    Attributes:
        name: of the model or program; of a drawing, what was used.
        version: of it.
        kind: whether a program did it, a program and a person, or a person.
        description: of the new series.
    """

    name: str = "neuraxis"
    version: str = __version__
    kind: Literal["AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"] = "AUTOMATIC"
    description: str = f"Segmentation. {NOTICE}"


def write_segmentation(
    path: Path | str,
    labels: Volume,
    source: Source,
    segments: Sequence[Segment],
    author: Author | None = None,
    overwrite: bool = False,
) -> Path:
    """Write labels as a DICOM SEG (BINARY) on the slices of the series that they belong to.

    Args:
        path: of the file.
        labels: numbers (1, X, Y, Z) on the canonical grid of the series, as `segment` returns them.
        source: the series.
        segments: what the numbers mean; each number of the labels but 0 needs one.
        author: what made them.
        overwrite: whether an existing file is replaced.

    Raises:
        DataError: the labels lie on another grid, hold a number without a segment, or the series lacks what a
            segmentation of it needs.
        UsageError: the file exists and `overwrite` is false.
        MissingExtra: highdicom is not installed.
        ResourceError: it cannot be written.
    """
    need("highdicom", "dicom")
    path = Path(path)
    refuse_existing(path, overwrite)
    origin = _origin(labels, source)
    segments = sorted(segments, key=lambda segment: segment.number)
    slices = _slices(labels, origin, segments)
    datasets = _source_datasets(origin)
    who = origin.series.identity.shown(source.path)
    if not datasets[0].get("FrameOfReferenceUID"):
        raise DataError(f"{who}: names no frame of reference, which a DICOM SEG needs. Write NIfTI in its place.")
    made = _made(datasets, _as_framed(slices, origin, datasets), segments, author or Author(), who)
    with atomic_path(path, overwrite) as part:
        made.save_as(part)
    return path


def _origin(labels: Volume, source: Source) -> Origin:
    """Return the series that the labels lie on."""
    found = find(source.path)
    who = found.identity.shown(source.path)
    every = [one for one in found.series if not one.is_set_aside] or found.series
    names = [source.series] if source.series or len(found.series) < 2 else [one.name for one in every]
    fitting, grids = [], []
    for name in names:
        try:
            origin = origin_of(source.path, name)
        except DataError:
            if len(names) == 1:
                raise
            continue
        grid = Stored.of(origin.stack.grid()).canonical_grid
        grids.append(grid)
        if labels.grid.matches(grid, SAME_VOXELS):
            fitting.append(origin)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        several = ", ".join(f"'{origin.series.name}'" for origin in fitting)
        raise DataError(f"{who}: several series have the grid of the segmentation: {several}. Name one.")
    here = grids[0].describe() if len(grids) == 1 else f"{found.listed()}"
    raise DataError(
        f"{who}: the segmentation does not lie on its grid: {labels.grid.describe()} against {here}. Name the series "
        "that was segmented."
    )


def _slices(labels: Volume, origin: Origin, segments: Sequence[Segment]) -> np.ndarray:
    """Return segment numbers from 1 (K, rows, columns) on the slices of the series."""
    numbers = [segment.number for segment in segments]
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 1:
        raise DataError(f"Segments need different numbers from 1, found {numbers}. Mend the list of labels.")
    held = {int(number) for number in np.unique(labels.array)} - {0}
    if held - set(numbers):
        lacking = ", ".join(str(number) for number in sorted(held - set(numbers))[:6])
        raise DataError(f"The segmentation holds {lacking}, which no segment names. Add it to the list of labels.")
    table = np.zeros(max(numbers) + 1, np.uint8 if len(numbers) < 256 else np.uint16)
    for place, number in enumerate(numbers, start=1):
        table[number] = place
    stored = Stored.of(origin.stack.grid())
    straight = stored.from_canonical(labels.array)[0].transpose(2, 1, 0)
    numbered: np.ndarray = table[origin.stack.slices_of(straight.astype(np.int64))]
    return numbered


def _as_framed(slices: np.ndarray, origin: Origin, datasets: list[Any]) -> np.ndarray:
    """Return the slices in the order of the source: of a multi-frame file, in that of all its frames."""
    if len(datasets) > 1 or "NumberOfFrames" not in datasets[0]:
        return slices
    framed = np.zeros((int(datasets[0].NumberOfFrames), *slices.shape[1:]), slices.dtype)
    for frame, values in zip(origin.stack.frames, slices, strict=True):
        framed[frame.index] = values
    return framed


def _source_datasets(origin: Origin) -> list[Any]:
    """Return the headers of the source's files, without pixels, in the order of the stack."""
    paths = dict.fromkeys(frame.path for frame in origin.stack.frames)
    datasets = []
    for path in paths:
        with opened(path, pixels=False) as dataset:
            datasets.append(_tidied(dataset))
    if len(datasets) > 1 and len(datasets) != len(origin.stack.frames):
        raise DataError(
            f"{origin.series.name}: lies in {len(datasets)} multi-frame files, on which no single DICOM SEG can be "
            "written. Write NIfTI in its place."
        )
    return datasets


def _tidied(dataset: Any) -> Any:
    """Give a source's header what a valid file needs; what cannot be a date or a sex is left empty."""
    dataset.decode()
    dataset.SpecificCharacterSet = "ISO_IR 192"  # names of segments may need any letter
    for keyword in _MAY_BE_EMPTY:
        if keyword not in dataset or not _is_valid(keyword, str(dataset[keyword].value or "")):
            setattr(dataset, keyword, None)
    if not dataset.get("DeidentificationMethod", "not told"):
        dataset.DeidentificationMethod = "not told"
    return dataset


def _is_valid(keyword: str, value: str) -> bool:
    if keyword.endswith(("Date", "Time")) and value:
        form = "%Y%m%d" if keyword.endswith("Date") else "%H%M%S"
        try:
            datetime.strptime(value.partition(".")[0], form)
        except ValueError:
            return False
    return keyword != "PatientSex" or value in ("", "M", "F", "O")


def _made(datasets: list[Any], slices: np.ndarray, segments: Sequence[Segment], author: Author, who: str) -> Any:
    highdicom = import_extra("highdicom", "dicom")
    number = datasets[0].get("SeriesNumber")
    try:
        return highdicom.seg.Segmentation(
            source_images=datasets,
            pixel_array=slices,
            segmentation_type="BINARY",
            segment_descriptions=[_described(highdicom, one, place, author) for place, one in enumerate(segments, 1)],
            series_instance_uid=highdicom.UID(),
            series_number=min(9999, 1000 + max(0, int(number or 0))),
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="neuraxis",
            manufacturer_model_name=author.name[:_LONG_STRING],
            software_versions=f"neuraxis {__version__}",
            device_serial_number="0",
            content_label="SEGMENTATION",
            content_description=NOTICE,
            content_creator_name="neuraxis^",
            series_description=author.description[:_LONG_STRING],
        )
    except Exception as error:  # what a source lacks or misstates, highdicom tells in its values
        raise DataError(
            f"{who}: no DICOM SEG can be written on its slices ({type(error).__name__}). Its headers lack what one "
            "needs; write NIfTI in its place."
        ) from None


def _described(highdicom: Any, segment: Segment, place: int, author: Author) -> Any:
    code = segment.code or code_of(segment.name)
    identification = None
    if author.kind != "MANUAL":
        family = highdicom.sr.CodedConcept("123109", "DCM", "Artificial Intelligence")
        identification = highdicom.AlgorithmIdentificationSequence(
            author.name[:_LONG_STRING], family, author.version[:_LONG_STRING], source="neuraxis"
        )
    described = highdicom.seg.SegmentDescription(
        segment_number=place,
        segment_label=segment.name[:_LONG_STRING],
        segmented_property_category=highdicom.sr.CodedConcept(*code.category),
        segmented_property_type=highdicom.sr.CodedConcept(*code.type),
        algorithm_type=author.kind,
        algorithm_identification=identification,
        display_color=highdicom.color.CIELabColor.from_rgb(
            *(segment.colour or _COLOURS[(segment.number - 1) % len(_COLOURS)])
        ),
    )
    described.SegmentDescription = f"label {segment.number}"
    return described
