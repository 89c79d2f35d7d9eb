"""The files of an explanation: maps as NIfTI on the scan's grid, and `CASE.json` that says what each one is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from neuraxis.errors import DataError
from neuraxis.files import read_json
from neuraxis.report.explaining.told import CaseFiles, GateFiles, GradCamFile
from neuraxis.volume.formats import any_format
from neuraxis.volume.formats.nifti_header import Header
from neuraxis.volume.volume import Stored, Volume

FORMAT = "neuraxis explanation 1"
_PLAIN = re.compile(r"[^0-9A-Za-z.+]+")
_MOST_WORDS = 79  # bytes of a NIfTI header's description


def plain(name: str) -> str:
    """Return a name as a part of a file's name.

    >>> plain("stage 1, block 2")
    'stage-1-block-2'
    """
    return _PLAIN.sub("-", name).strip("-") or "unnamed"


def file_names(case: str, names: Sequence[str], kind: str) -> tuple[str, ...]:
    """Return a file's name for each name, no two alike.

    >>> file_names("sub-01", ["core", "a b", "a/b"], "gradcam")
    ('sub-01_gradcam-core.nii.gz', 'sub-01_gradcam-a-b.nii.gz', 'sub-01_gradcam-a-b-2.nii.gz')
    """
    found: list[str] = []
    for name in names:
        base = f"{case}_{kind}-{plain(name)}"
        count = sum(one in (base, *(f"{base}-{number}" for number in range(2, len(names) + 1))) for one in found)
        found.append(base if not count else f"{base}-{count + 1}")
    return tuple(f"{one}.nii.gz" for one in found)


def write_map(path: Path, array: np.ndarray, scan: Volume, words: str, overwrite: bool) -> None:
    """Write a map (L, X, Y, Z) on exactly the scan's grid, with what it is in the header's description.

    Raises:
        UsageError: the file exists and `overwrite` is false.
    """
    volume = scan.with_array(array)
    stored = volume.stored or Stored.of(volume.grid)
    if isinstance(stored.header, Header):
        header = stored.header.without_words()
    else:
        header = Header()
        header.set_affine(stored.grid.affine)
    header["descrip"] = words.encode("ascii", "replace")[:_MOST_WORDS]
    any_format.write(path, replace(volume, stored=replace(stored, header=header)), overwrite)


def read_case(path: Path) -> CaseFiles:
    """Read a `CASE.json`.

    Raises:
        DataError: it is none, or names a file outside of its folder.
    """
    content = read_json(path)
    try:
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        found = CaseFiles(
            case=str(content["case"]),
            model=str(content["model"]),
            model_hash=str(content["model_hash"]),
            segmentation=str(content["segmentation"]),
            gradcam=tuple(GradCamFile(**{**one, "networks": tuple(one["networks"])}) for one in content["gradcam"]),
            experts=tuple(GateFiles(**{**one, "shares": tuple(one["shares"])}) for one in content["experts"]),
            experts_fold=int(content["experts_fold"]),
            warnings=tuple(map(str, content["warnings"])),
        )
        names = [found.segmentation, *(one.file for one in found.gradcam), *(one.file for one in found.experts)]
        odd = [name for name in names if Path(name).name != name or not (path.parent / name).is_file()]
        if odd:
            raise ValueError(f"{odd[0]!r} is no file beside it")
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: tells of no explanation that can be read ({error}). Make it again with neuraxis explain."
        ) from error
    return found
