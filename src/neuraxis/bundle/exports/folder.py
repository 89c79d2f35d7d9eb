"""The bundle's own files as a folder, which `segment` opens like the file."""

from __future__ import annotations

import shutil
from pathlib import Path

from neuraxis.bundle.bundle import ModelBundle, check_folder, member_name
from neuraxis.bundle.exports.places import new_folder
from neuraxis.bundle.members import CARD, PREVIOUS, QUALITY, SUMS


def export_folder(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write the files of a bundle into a folder, unchanged, and check what was written.

    Args:
        bundle: the opened bundle.
        into: the folder.
        overwrite: whether an older export may be replaced.

    Raises:
        UsageError: the folder exists and is not to be replaced.
        ResourceError: it cannot be written.
        BundleError: a file was changed since the bundle was opened.
    """
    files = {name: bundle.folder / name for name in (CARD, SUMS)}
    files |= {name: path for fold in bundle.folds for name, path in fold.by_name().items()}
    if bundle.quality is not None:
        files[QUALITY] = bundle.quality
    if bundle.previous is not None:
        files[PREVIOUS] = bundle.folder / PREVIOUS
    names = [member_name(number) for number in range(1, len(bundle.members) + 1)]
    files |= {name: bundle.folder / name for name in names}
    with new_folder(into, overwrite, SUMS) as part:
        for name, path in files.items():
            shutil.copyfile(path, part / name)
        check_folder(part, str(bundle.path))
    return into
