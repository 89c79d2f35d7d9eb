"""Where a bundle of MONAI lies: a folder with `configs/metadata.json`, or a zip of one."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from neuraxis.bundle.monai.config import FILE, Config
from neuraxis.errors import BundleError, DataError
from neuraxis.files import extract_zip, read_json

METADATA = "configs/metadata.json"
MAX_JSON = 10_000_000
SCRIPT = "models/model.ts"


@dataclass(frozen=True)
class Found:
    """A bundle of MONAI.

    Attributes:
        name: what was given, for messages.
        folder: that holds `configs` and `models`.
        metadata: content of `metadata.json`.
        config: of inference.
    """

    name: str
    folder: Path
    metadata: dict[str, Any]
    config: Config


def is_monai(source: Path) -> bool:
    """Tell whether a folder or zip holds a bundle of MONAI, by the names of its files alone."""
    if source.is_dir():
        return _root(source) is not None
    try:
        with zipfile.ZipFile(source) as archive:
            names = [PurePosixPath(name) for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile, ValueError):
        return False
    return any(str(name).endswith(METADATA) and len(name.parts) <= 3 for name in names)


@contextmanager
def open_monai(source: Path) -> Iterator[Found]:
    """Yield the bundle in a folder or zip; a zip is unpacked for as long as it is needed.

    Raises:
        BundleError: it is unsafe, or lacks its configuration.
    """
    if source.is_dir():
        yield _read(source, str(source))
        return
    with tempfile.TemporaryDirectory(prefix="neuraxis-") as folder:
        extract_zip(source, Path(folder))
        yield _read(Path(folder), str(source))


def _root(folder: Path) -> Path | None:
    """Return the folder itself or the first in it that holds a bundle."""
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir())
        return next((place for place in (folder, *inner) if (place / METADATA).is_file()), None)
    except OSError:
        return None


def _read(folder: Path, name: str) -> Found:
    root = _root(folder)
    if root is None:
        raise BundleError(f"{name}: holds no {METADATA}, so it is no bundle of MONAI.")
    if not (root / FILE).is_file():
        others = sorted(path.name for path in (root / "configs").glob("inference.y*ml"))
        written = f"its configuration is {others[0]}: write it as JSON" if others else "fetch it again"
        raise BundleError(f"{name}: has no {FILE}; {written}.")
    metadata, content = (_json(root / file, f"{name}: {file}") for file in (METADATA, FILE))
    return Found(name, root, metadata, Config(content, name))


def _json(path: Path, name: str) -> dict[str, Any]:
    if path.stat().st_size > MAX_JSON:
        raise BundleError(f"{name}: is larger than any such file of MONAI. It is refused.")
    try:
        content = read_json(path)
    except DataError as error:
        raise BundleError(f"{name}: cannot be read as JSON. Fetch the bundle again.") from error
    if not isinstance(content, dict):
        raise BundleError(f"{name}: is not an object. Fetch the bundle again.")
    return content
