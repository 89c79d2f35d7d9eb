"""A zip that the Spinal Cord Toolbox installs: nnU-Net's results folder within a folder of the model's name.

`sct_deepseg` looks for one folder `nnUNetTrainer*` in what it unpacked, turns scans to the `image_orientation` of its
dataset.json and hands them to nnU-Net's predictor, without mirroring.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
from pathlib import Path

from neuraxis.bundle.bundle import ModelBundle
from neuraxis.bundle.nnunet.exporting import export_nnunet, folder_name
from neuraxis.errors import BundleError, UsageError
from neuraxis.files import atomic_path, refuse_existing


def export_sct(bundle: ModelBundle, into: Path, overwrite: bool = False) -> Path:
    """Write a bundle as a zip for `sct_deepseg`.

    Args:
        bundle: of one channel, a plain or residual-encoder U-Net.
        into: `NAME.zip`.
        overwrite: whether an existing file may be replaced.

    Raises:
        UsageError: the name does not end in .zip, or the file exists.
        BundleError: the model has several channels, or nnU-Net cannot do what its recipe says.
        ResourceError: it cannot be written.
    """
    if into.suffix != ".zip":
        raise UsageError(f"{into}: the Spinal Cord Toolbox installs a zip. Name it {into.stem}.zip.")
    refuse_existing(into, overwrite)
    if len(bundle.channels) != 1:
        raise BundleError(f"{bundle.path}: needs {len(bundle.channels)} channels; sct_deepseg gives nnU-Net only one.")
    name = re.sub(r"\W+", "_", into.stem)
    with tempfile.TemporaryDirectory(prefix="neuraxis-") as folder:
        model = export_nnunet(bundle, Path(folder) / folder_name(bundle))
        with atomic_path(into, overwrite) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(model.rglob("*")):
                if path.is_file():
                    archive.write(path, Path(name) / model.name / path.relative_to(model))
    return into
