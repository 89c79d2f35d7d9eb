"""Reading and writing a scan whatever its format, told by the ending of its name or by what it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from neuraxis.errors import DataError, UsageError
from neuraxis.volume.formats.catalog import BY_CONTENT, ENDINGS, FORMATS
from neuraxis.volume.formats.format import Format, Segment
from neuraxis.volume.grid import Grid
from neuraxis.volume.volume import Stored, Volume


def read(path: Path | str, series: str = "") -> Volume:
    """Read a scan as a canonical `Volume`; further dimensions become channels, a picture gets Z = 1.

    Args:
        path: of a file, or of a folder where the format keeps a scan in one.
        series: which one, where the path holds several.

    Raises:
        DataError: no format knows it, or its format refuses it.
        MissingExtra: its format needs an optional package.
    """
    return format_of(Path(path)).read(Path(path), series)


def read_label(path: Path | str, image: Path | str | None, series: str = "", segment: str = "") -> Volume:
    """Read a label map; where its format keeps only the labelled slices, on the grid of the image it belongs to.

    Args:
        path: of the label map.
        image: path of the scan that it was drawn on; None: it is read as it lies.
        series: of the image, where its path holds several.
        segment: which structure, where the label map holds several that overlap.

    Raises:
        DataError: as `read`, or it belongs to another image.
        MissingExtra: as `read`.
    """
    found = format_of(Path(path))
    if found.read_onto is None or image is None:
        return found.read(Path(path), segment)
    of_image = format_of(Path(image))
    if of_image.read_layout is not None:
        return found.read_onto(Path(path), segment, of_image.read_layout(Path(image), series))
    return found.read_onto(Path(path), segment, Stored.of(of_image.read_grid(Path(image), series)[0]))


def shown(path: Path | str) -> str:
    """Return a path as messages and sidecars may say it: what names a patient in it is masked.

    Raises:
        DataError: no format knows it.
        MissingExtra: as `read`.
    """
    return format_of(Path(path)).shown(Path(path))


def read_grid(path: Path | str, series: str = "") -> tuple[Grid, int]:
    """Read only the canonical grid and the number of channels.

    Raises:
        DataError: as `read`.
        MissingExtra: as `read`.
    """
    return format_of(Path(path)).read_grid(Path(path), series)


def write(path: Path | str, volume: Volume, overwrite: bool = True) -> None:
    """Write a volume in the format that the ending of the name says.

    Raises:
        UsageError: no format of that ending can be written, or the file exists and `overwrite` is false.
        ResourceError: it cannot be written.
    """
    _writer(Path(path))(Path(path), volume, overwrite)


def write_labels(path: Path | str, volume: Volume, segments: Sequence[Segment], overwrite: bool = True) -> None:
    """Write a label map in the format that the ending of the name says, with what its numbers mean where it can.

    Raises:
        UsageError: as `write`.
        ResourceError: as `write`.
    """
    path = Path(path)
    writer, labelled = _writer(path), _load(_named(path)).write_labels
    if labelled is None:
        writer(path, volume, overwrite)
    else:
        labelled(path, volume, segments, overwrite)


def check_writable(path: Path | str) -> None:
    """Raise `UsageError` where no scan can be written under the ending of a name."""
    _writer(Path(path))


def geometry_remarks(volume: Volume) -> tuple[str, ...]:
    """Say what is odd about the geometry that a scan's file told, where other programs may read it otherwise."""
    told: tuple[str, ...] | None = getattr(volume.stored.header if volume.stored else None, "remarks", None)
    if told is not None:  # a header that remarks on itself: its file's name may be masked
        return told
    path = Path(volume.name)
    name = (_named(path) or _by_content(path)) if volume.name else ""
    return _load(name).remarks(volume) if name else ()


def segments_of(path: Path | str) -> tuple[Segment, ...]:
    """Return what the numbers of a label map mean where its own file says so; else nothing.

    Raises:
        DataError: as `read`.
    """
    return format_of(Path(path)).segments(Path(path))


def format_of(path: Path) -> Format:
    """Return the format of a path.

    Raises:
        DataError: no format knows it.
    """
    name = _named(path) or _by_content(path)
    if not name:
        what = "no such file" if not path.exists() else "is no scan that is known"
        raise DataError(f"{path}: {what}. Known are {', '.join(known_endings())}; convert it, or check the name.")
    return _load(name)


def is_scan(path: Path) -> bool:
    """Tell whether the name of a file is a scan's; hidden files (such as macOS's `._`) are none."""
    return not path.name.startswith(".") and bool(_named(path))


def is_picture(path: Path) -> bool:
    """Tell whether the name of a file is a picture's."""
    return _named(path) == "picture"


def scans_among(paths: Iterable[Path]) -> list[Path]:
    """Return the scans among files, sorted; pictures beside other scans are none, but thumbnails and figures."""
    scans = sorted(path for path in paths if is_scan(path))
    volumes = [path for path in scans if not is_picture(path)]
    return volumes or scans


def stem(path: Path) -> str:
    """Return a scan's name without the ending of its format.

    >>> stem(Path("sub-01_FLAIR.nii.gz"))
    'sub-01_FLAIR'
    """
    ending = ending_of(path)
    return path.name[: len(path.name) - len(ending)]


def ending_of(path: Path) -> str:
    """Return the ending that tells a scan's format as the name has it; empty where there is none."""
    name = path.name.lower()
    return next((path.name[-len(ending) :] for ending in known_endings() if name.endswith(ending)), "")


def known_endings() -> tuple[str, ...]:
    """Return every ending of a scan's name, the longer ones first."""
    return tuple(sorted(ENDINGS, key=lambda ending: (-len(ending), ending)))


def _named(path: Path) -> str:
    return ENDINGS.get(ending_of(path).lower(), "")


def _writer(path: Path) -> Callable[[Path, Volume, bool], None]:
    name = _named(path)
    writer = _load(name).write if name else None
    if writer is None:
        raise UsageError(f"{path}: no scan can be written under that ending. Choose .nii.gz.")
    return writer


def _by_content(path: Path) -> str:
    for name in BY_CONTENT:
        is_part = _load(name).is_part
        if is_part is not None and is_part(path):
            return name
    return ""


def _load(name: str) -> Format:
    found: Any = FORMATS.load(name)
    if not isinstance(found, Format):
        raise TypeError(f"The format '{name}' is a {type(found).__name__}, not a Format.")
    return found
